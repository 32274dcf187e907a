//! Handlers and the other parts that a program provides, on the simulated kernel and clock.

mod announced_lengths;
mod later;
mod layers;
mod receive_limits;
mod reply_changes;
mod request_content;
mod request_deadlines;
mod timers;
mod upgrade;
