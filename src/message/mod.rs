//! HTTP messages as values: requests, responses and their parts (RFC 9110). Nothing here knows how
//! a message is written on the wire or who handles it.

pub(crate) mod body;
pub(crate) mod field_lines;
pub(crate) mod fields;
pub(crate) mod html;
pub(crate) mod id;
pub(crate) mod informational;
pub(crate) mod media_type;
pub(crate) mod params;
pub(crate) mod path;
pub(crate) mod percent;
pub(crate) mod redirect;
pub(crate) mod request;
pub(crate) mod request_error;
pub(crate) mod response;
pub(crate) mod template;
pub(crate) mod trailers;
pub(crate) mod unlogged;
