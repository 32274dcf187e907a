//! Finds the permission that is missing to serve a directory, so that the server does not start and
//! then refuse every request.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{openat, statat, AtFlags, Mode, OFlags, CWD};
use rustix::io::Errno;

/// Returns a sentence about the permission that this process lacks for `dir`, if it lacks one. A
/// directory that is listed must be readable.
pub(crate) fn missing_permission(dir: &Path, lists: bool) -> Option<String> {
    if let Some(closed) = ancestors(dir).into_iter().find(|dir| !can_be_searched(dir)) {
        return Some(sentence(&closed, "search", "+x", ""));
    }
    let can_be_read = openat(CWD, dir, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    match can_be_read {
        Err(Errno::ACCESS) if lists => {
            Some(sentence(dir, "read", "+r", ", or give --no-listing to serve files by name only"))
        }
        _ => None,
    }
}

fn sentence(dir: &Path, verb: &str, mode: &str, or: &str) -> String {
    let user = rustix::process::geteuid().as_raw();
    let dir = dir.display();
    format!(
        "cannot serve {dir}: this process, of the user {user}, may not {verb} it: expected the \
         permission to {verb} ({mode}){or}"
    )
}

/// The directories on the way to `dir`, from the root, and `dir` itself.
fn ancestors(dir: &Path) -> Vec<PathBuf> {
    let full = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let mut all: Vec<PathBuf> = full.ancestors().map(Path::to_owned).collect();
    all.reverse();
    all
}

/// Whether names in a directory can be looked up. An error of another kind is for others to report.
fn can_be_searched(dir: &Path) -> bool {
    !matches!(statat(CWD, dir.join("."), AtFlags::empty()), Err(Errno::ACCESS))
}

/// Returns an error if a file cannot be read.
pub(crate) fn check_readable(file: &Path) -> io::Result<()> {
    std::fs::File::open(file).map(drop)
}
