//! Static files in the simulator: a real tree without sockets. The ids `t203` to `t227` are rows of
//! Go's tests. A test here gives the same result, or differs on purpose and says so.

mod conditions;
mod fuzz;
mod listing;
mod packed;
mod pages;
mod paths;
mod ranges;
mod representation;
mod root_changes;
mod roots;
mod sending;
pub(crate) mod tree;
