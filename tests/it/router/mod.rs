//! Routes over the wire: examples, and a comparison with a model of the definition.

pub(crate) mod model;
mod one_path;
mod wire;
