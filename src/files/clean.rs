//! Clean URLs: `/about` for `about.html`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::files::path::Names;
use crate::files::redirect::Change;
use crate::files::respond::Walk;
use crate::message::response::{Response, StatusCode};

/// The ending that a clean path does not have.
const ENDING: &str = ".html";
/// The page of a directory, whose clean path is that of the directory.
const INDEX: &str = "index.html";

impl Walk<'_, '_> {
    /// Returns the response with the page of a clean path, to which no file belongs.
    pub(super) fn clean_page(
        &self,
        names: &Names<'_>,
        path: &Path,
    ) -> Result<Option<Response>, StatusCode> {
        match self.page(names, path) {
            Some(page) => self.send_if_found(&page),
            None => Ok(None),
        }
    }

    /// Returns whether a path that ends with a slash would be a clean path without it.
    pub(super) fn has_clean_page(&self, names: &Names<'_>, path: &Path) -> bool {
        let page = self.page(names, path);
        page.is_some_and(|page| matches!(self.tree.look(&page), Ok((FileType::RegularFile, _))))
    }

    /// Returns the path of the page to which a clean path belongs.
    fn page(&self, names: &Names<'_>, path: &Path) -> Option<PathBuf> {
        if !self.files.has_clean_urls || names.segments.is_empty() {
            return None;
        }
        // `/.well-known` is public, but `.well-known.html` is a name like any other with a dot.
        if names.last().starts_with(b".") && !self.files.serves_dot_files {
            return None;
        }
        let mut page = OsString::from(path);
        page.push(ENDING);
        Some(page.into())
    }

    /// Returns the change that makes the path of a page clean. `None` if it is clean, or if the clean
    /// path would not lead to this page.
    pub(super) fn clean_name(&self, path: &Path) -> Option<Change> {
        if !self.files.has_clean_urls {
            return None;
        }
        let name = path.file_name()?.as_bytes();
        // The path of the request ends as that of the file does, unless the program has mapped it.
        let last = self.req.path().rsplit('/').next().unwrap_or_default();
        if !last.ends_with(ENDING) {
            return None;
        }
        if name == INDEX.as_bytes()
            && self.files.index.first().is_some_and(|it| it.as_os_str() == INDEX)
        {
            return (last == INDEX).then_some(Change::CutName);
        }
        let stem = name.strip_suffix(ENDING.as_bytes())?;
        let is_dots = stem.iter().all(|&byte| byte == b'.');
        let clean = path.with_file_name(OsStr::from_bytes(stem));
        if is_dots || matches!(self.tree.look(&clean), Ok((FileType::RegularFile, _))) {
            return None;
        }
        Some(Change::CutEnding(ENDING))
    }
}
