//! Requests and responses as values: what a client gets for what a program says.

mod body;
mod informational;
mod response;
mod trailers;
mod waiting_producers;
