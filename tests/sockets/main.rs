//! The server on real sockets: what the simulator cannot vouch for, because it is the operating
//! system's part of the bargain (edge triggers, segments, resets, files, threads).
//!
//! Every wait here is bounded and none is measured: a test says what comes, not when.

mod content;
mod deadlines;
mod elsewhere;
mod endings;
mod listeners;
mod shutdown;
mod support;
