//! The fuzz targets of `tests/it/fuzz`, compiled from the same files as the tests, so that no part
//! of the server has to become public for them. Each binary in `fuzz_targets` calls one function.

// The shared files have parts that only the tests use.
#![allow(dead_code, unused_imports)]

#[path = "../tests/it/fuzz/mod.rs"]
mod fuzz;
#[path = "../tests/it/router/model.rs"]
mod model;
#[path = "../tests/it/http1/reference/mod.rs"]
mod reference;
#[path = "../tests/it/support/mod.rs"]
mod support;
#[path = "../tests/it/files/tree.rs"]
mod tree;

// The paths under which the targets know these modules.
mod files {
    pub(crate) use crate::tree;
}
mod http1 {
    pub(crate) use crate::reference;
}
mod router {
    pub(crate) use crate::model;
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("The target `", stringify!($name), "`.")]
            pub fn $name(data: &[u8]) {
                fuzz::$name::target(data);
            }
        )*
    };
}

targets! { head chunked pipeline response path range websocket router cookies form wheel script }
