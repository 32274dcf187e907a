//! Static files through the simulator: a real tree, no socket. The names `t203` to `t227` are
//! the rows of Go's tests that a test here equals, or differs from on purpose, and then it says
//! so.

mod conditions;
mod fuzz;
mod listing;
mod paths;
mod ranges;
mod representation;
mod sending;
mod tree;
