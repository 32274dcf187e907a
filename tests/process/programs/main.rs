//! Tests that start programs: the binary, the examples, nginx. They are not part of `tests/it`,
//! because a program that is being started holds every socket of this process for a moment, and a
//! test there may wait for one to close.

mod attack;
mod binary;
mod built;
mod cors;
mod descriptors;
mod examples;
mod flags;
mod nginx;
mod output;
mod reading;
mod reload;
mod services;
mod signals;
mod site;
