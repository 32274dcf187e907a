//! The loop: lives, deadlines and ends of connections, overload, faults, and what is left behind.

mod blocked_output;
mod chaos;
mod cleanup;
mod deadlines;
mod exchanges;
mod faults;
mod keep_alive_switch;
mod lifecycle;
mod overload;
mod producers_at_shutdown;
mod report;
mod shutdown;
mod split_requests;
