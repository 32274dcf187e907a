//! Optional helpers, built on messages, handlers and routes. The server runs without any of them.

pub(crate) mod auth;
pub(crate) mod channel;
pub(crate) mod cookies;
pub(crate) mod cors;
pub mod events;
pub(crate) mod forwarded;
mod http_types;
#[cfg(feature = "json")]
pub(crate) mod json;
pub mod metrics;
pub mod multipart;
pub(crate) mod origin;
pub(crate) mod pool;
pub(crate) mod query;
pub(crate) mod rate;
mod receive_into;
