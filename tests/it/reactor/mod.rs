//! The loop: the life, the deadlines and the end of connections, overload, faults, and cleanup.

mod blocked_output;
mod chaos;
mod cleanup;
mod deadlines;
mod exchanges;
mod faults;
mod hearing;
mod keep_alive_switch;
mod lifecycle;
mod numbers;
mod overload;
mod pressure;
mod producers_at_shutdown;
mod report;
mod shutdown;
mod split_requests;
mod time_budget;
mod torture;
mod witness;
