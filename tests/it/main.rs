//! The behaviour of the library, in one program. The folders are those of `src`: a test lies where
//! the code lies whose promise it checks. What needs a process of its own is in `tests/process`.

mod files;
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
