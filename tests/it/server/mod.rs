//! The server on real sockets: behaviour that the simulator cannot show, because it depends on the
//! operating system (edge triggers, segments, resets, files, threads).
//!
//! Every wait here is bounded and none is measured: a test asserts results, not times.

mod auto_traits;
mod cores;
mod embedding;
mod endings;
mod large_content;
mod listeners;
mod numbers;
mod running;
mod shutdown;
mod slow_clients;
mod sources;
mod threads;
