//! The locks and atomics that the loop shares with other threads, in one place so that the model
//! checks can replace them.
//!
//! With `--cfg loom` the unit tests use the types of the crate loom. It runs a test once for every
//! interleaving of the threads and every value that a load may return. Only the modules with the
//! name `loom_checks` run then:
//!
//! ```text
//! RUSTFLAGS='--cfg loom' cargo test --lib loom_checks
//! ```

#[cfg(all(loom, test))]
pub(crate) use loom::{
    sync::atomic::{fence, AtomicBool, AtomicUsize},
    sync::{Mutex, MutexGuard},
    thread::yield_now,
};
#[cfg(not(all(loom, test)))]
pub(crate) use std::{
    sync::atomic::{fence, AtomicBool, AtomicUsize},
    sync::{Mutex, MutexGuard},
    thread::yield_now,
};
