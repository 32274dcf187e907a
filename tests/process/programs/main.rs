//! Tests that start programs: the binary, the examples, nginx. They are apart from `tests/it`,
//! because a program that is just being started holds for a moment every socket of this process,
//! and a test there may wait for one to be closed.

mod binary;
mod built;
mod descriptors;
mod examples;
mod nginx;
