//! The behaviour of the library, in one program. The folders are those of `src`: a test lies in the
//! folder of the code that it checks. Tests that need a process of their own are in
//! `tests/process`.

mod files;
mod fuzz;
mod handler;
mod helpers;
mod http1;
mod message;
mod reactor;
mod router;
mod server;
mod sim;
mod support;
#[cfg(feature = "websocket")]
mod websocket;
