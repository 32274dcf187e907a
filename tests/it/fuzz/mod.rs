//! Fuzz targets: functions that take any bytes and panic if the server breaks a rule.
//!
//! Each target is a plain function with two callers. A test of this program calls it with a few
//! hundred inputs that a seed makes ([`run`]), in at most two seconds. The package in `fuzz` at the
//! root of the repository compiles the same files for cargo-fuzz, which searches for inputs with
//! the coverage of the code as its guide; see its README.
//!
//! All targets use the public surface alone: whole servers on `wheelhouse::sim`, and the wheel of
//! `wheelhouse_timers`. So nothing has to become public for them, and a client could send whatever
//! they find. Their oracles:
//!
//! | target | its bytes | its oracle |
//! |---|---|---|
//! | [`head`] | the bytes of a connection | [the reader from the RFC](crate::http1::reference), however they are cut; an end stays an end |
//! | [`chunked`] | a chunked body, and decisions for a valid one | the same reader; content that was encoded comes out again |
//! | [`pipeline`] | the bytes of a connection to handlers of every kind | the same responses however the bytes are cut and read |
//! | [`response`] | decisions of a handler about its response | a careful client reads back the parts that the handler set |
//! | [`path`] | the path of a file | a model of the tree; no file outside the root |
//! | [`range`] | the fields of a request for a file | a model of ranges and conditions |
//! | [`websocket`] | frames, and decisions for valid messages | a model of frames; messages come back |
//! | [`router`] | decisions about patterns and requests | [the model of Go's patterns](crate::router::model) |
//! | [`cookies`] | fields and queries, and a cookie to set | a model; a browser reads the cookie that was set |
//! | [`form`] | a form with files | a slow reader of the whole text, however it is cut |
//! | [`wheel`] | operations | an ordered map |
//! | [`script`] | clients, time, and faults of the kernel | bounded work and memory; service and memory return at the end |
//!
//! Every server checks its invariants after each turn of its loop.

pub(crate) mod chunked;
pub(crate) mod cookies;
pub(crate) mod form;
mod generate;
pub(crate) mod head;
pub(crate) mod path;
pub(crate) mod pipeline;
pub(crate) mod range;
pub(crate) mod response;
pub(crate) mod router;
#[cfg(test)]
mod run;
pub(crate) mod script;
mod server;
#[cfg(feature = "websocket")]
pub(crate) mod websocket;
pub(crate) mod wheel;

pub(crate) use generate::{message, mutate};
pub(crate) use server::compare;
