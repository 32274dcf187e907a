//! Helpers that build on messages and handlers, tested over the wire.

mod channel;
mod cors;
mod events;
mod metrics;
mod multipart;
mod pairs_cookies_ranges;
mod pool;
mod rate;
mod receive_into;
