//! Helpers on top of messages and handlers, over the wire.

mod channel;
mod events;
mod pairs_cookies_ranges;
