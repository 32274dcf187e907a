//! Where cargo has put an example: beside the directory of the test that asks.

use std::path::PathBuf;

pub(crate) fn built(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let path = profile.join("examples").join(example);
    assert!(path.exists(), "{example} is not built: run `cargo test` or `cargo build --examples`");
    path
}
