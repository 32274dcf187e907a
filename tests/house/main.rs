//! Checks of the sources and the pages, not of a running server.

mod compiler_messages;
mod docs;
mod layers;
mod parity;
mod readme;

use std::fs;
use std::path::Path;

/// The text of a file of the repository.
fn read(file: impl AsRef<Path>) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All `.rs` files below these folders, as paths from the root with slashes, in order.
fn files(folders: &[&str]) -> Vec<String> {
    let mut files = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            if root().join(&path).is_dir() {
                files.extend(self::files(&[&path]));
            } else if path.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
