//! Requests and responses as values: the bytes that a client receives for a response of the
//! program.

mod body;
mod informational;
mod response;
mod trailers;
mod waiting_producers;
