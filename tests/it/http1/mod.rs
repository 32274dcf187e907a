//! HTTP/1.1 on the wire: bytes in, bytes out.

mod conformance;
mod expect;
mod refusals;
