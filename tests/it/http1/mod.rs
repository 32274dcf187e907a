//! HTTP/1.1 on the wire: the bytes of requests and of responses.

mod conformance;
mod differential;
mod expect;
pub(crate) mod reference;
mod refusals;
