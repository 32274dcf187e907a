//! Routes over the wire: examples, and a comparison with a model of the definition.

mod model;
mod one_path;
mod wire;
