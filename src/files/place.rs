//! The path of the root, and the directory that it means now.
//!
//! A deploy switches a symbolic link or renames directories. A build removes its output and makes it
//! anew. The path then means another directory, and an open descriptor still the old one. So the path
//! is looked at again, at most once in a second: one `stat`, and no more if the directory is the same.
//! While there is none, each request looks, because that costs less than to find a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::stat;

use crate::files::meta::Identity;
use crate::files::root::{Missing, Reach, Root};
use crate::logging::{info, warn};

/// The time for which the path is taken to mean the same directory.
const TRUSTED: Duration = Duration::from_secs(1);

/// The root as the program has named it.
#[derive(Debug)]
pub(super) struct Place {
    /// Absolute, so that it does not depend on the working directory later.
    path: PathBuf,
    reach: Reach,
    seen: Mutex<Seen>,
}

/// The result of the last look.
#[derive(Debug)]
struct Seen {
    /// While a directory is open, no other gets its identity.
    root: Option<Arc<Root>>,
    /// The time of the look since 1970, by the clock of the loop that looked.
    at: Option<Duration>,
}

impl Place {
    /// Opens the directory at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Place> {
        Place::with_reach(path, Reach::default())
    }

    /// Opens the directory of the file at `path`, and of its files only that one. The program has
    /// named it, so it may be a link to anywhere.
    pub(super) fn open_file(path: &Path) -> io::Result<Place> {
        // A file that may not be read is an error now, and not a 403 for every client.
        std::fs::File::open(path)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let reach = Reach { only: Some(name.into()), leaves: true };
        Place::with_reach(parent.unwrap_or(Path::new(".")), reach)
    }

    fn with_reach(path: &Path, reach: Reach) -> io::Result<Place> {
        let root = Some(Arc::new(Root::open(path, reach.clone())?));
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Place { path, reach, seen: Mutex::new(Seen { root, at: None }) })
    }

    /// Sets whether links may leave the root.
    pub(super) fn set_leaves(&mut self, leaves: bool) {
        self.reach.leaves = leaves || self.reach.only.is_some();
        let root = Root::open(&self.path, self.reach.clone()).ok().map(Arc::new);
        *self.lock() = Seen { root, at: None };
    }

    /// Returns the directory that the path means, by a look that is at most a second old at `now`, a
    /// time since 1970. Returns an error if there is none.
    pub(super) fn root(&self, now: Duration) -> Result<Arc<Root>, Missing> {
        let mut seen = self.lock();
        let is_fresh = seen.at.is_some_and(|at| now.abs_diff(at) < TRUSTED);
        if let Some(root) = seen.root.as_ref().filter(|_| is_fresh) {
            return Ok(Arc::clone(root));
        }
        seen.at = Some(now);
        match self.look(seen.root.as_ref()) {
            Ok(root) => seen.root = Some(root),
            Err(Missing::NotFound) => {
                if seen.root.take().is_some() {
                    warn!(
                        "{}: no directory is there: every request gets a 503",
                        self.path.display()
                    );
                }
            }
            // There may be another directory, but no descriptor for it, or this process has given up
            // the permission to look. The open one is served further.
            Err(_) => {}
        }
        seen.root.clone().ok_or(Missing::Exhausted)
    }

    /// Returns `last` if the path still means it, and opens the directory otherwise.
    fn look(&self, last: Option<&Arc<Root>>) -> Result<Arc<Root>, Missing> {
        let identity = Identity::of(&stat(&self.path)?);
        if let Some(last) = last.filter(|last| last.identity() == identity) {
            return Ok(Arc::clone(last));
        }
        let root = Root::open(&self.path, self.reach.clone())?;
        info!("{}: a new directory is served from now on", self.path.display());
        Ok(Arc::new(root))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_does_not_follow_the_working_directory() {
        for place in [Place::open(Path::new("src")), Place::open_file(Path::new("Cargo.toml"))] {
            assert!(place.unwrap().path.is_absolute());
        }
    }
}
