//! The server on real sockets: what the simulator cannot vouch for, because it is the operating
//! system's part of the bargain (edge triggers, segments, resets, files, threads).
//!
//! Every wait here is bounded and none is measured: a test says what comes, not when.

mod cores;
mod embedding;
mod endings;
mod large_content;
mod listeners;
mod running;
mod shutdown;
mod slow_clients;
mod threads;
