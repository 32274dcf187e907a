//! Files in the program: [`Asset`], and the tree that assets make.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use rustix::fs::FileType;

use crate::files::meta::Meta;
use crate::files::mixed::Mixed;
use crate::files::root::{Found, Missing, Opened};
use crate::files::source::Source;

/// A file in the program, for [`Files::packed`](crate::files::Files::packed).
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    path: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    /// Creates a file at `path`, which has no slash at its start, such as `css/site.css`. `bytes` are
    /// most often those of `include_bytes!`.
    pub const fn new(path: &'static str, bytes: &'static [u8]) -> Asset {
        Asset { path, bytes }
    }
}

/// The files of a program, in the order of their paths.
#[derive(Debug)]
pub(super) struct Packed(Vec<Entry>);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: &'static [u8],
    pub(super) bytes: &'static [u8],
    /// All bytes mixed into one number, for the tag.
    mixed: u64,
}

impl Packed {
    /// Of two assets with the same path, the first one counts.
    pub(super) fn new(assets: impl IntoIterator<Item = Asset>) -> Packed {
        let entry = |Asset { path, bytes }| {
            let mut mixed = Mixed::new();
            mixed.add(bytes);
            Entry { path: path.trim_start_matches('/').as_bytes(), bytes, mixed: mixed.0 }
        };
        let mut entries: Vec<Entry> = assets.into_iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.path);
        entries.dedup_by_key(|entry| entry.path);
        Packed(entries)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Returns the file with this path.
    pub(super) fn entry(&self, path: &[u8]) -> Option<&Entry> {
        self.0.binary_search_by(|entry| entry.path.cmp(path)).ok().map(|at| &self.0[at])
    }

    pub(super) fn find(&self, path: &Path) -> Result<Found, Missing> {
        let path = plain(path);
        let path = path.as_os_str().as_bytes();
        if path.is_empty() {
            return Ok(Found::Folder);
        }
        if let Some(entry) = self.entry(path) {
            return Ok(Found::File(entry.open()));
        }
        // The names in a directory need not follow at once: `a-b` comes between `a` and `a/b`.
        let is_inside = |entry: &Entry| {
            entry.path.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        let at = self.0.partition_point(|entry| entry.path < path);
        let after = self.0[at..].iter().take_while(|entry| entry.path.starts_with(path));
        match after.into_iter().any(is_inside) {
            true => Ok(Found::Folder),
            false => Err(Missing::NotFound),
        }
    }

    pub(super) fn look(&self, path: &Path) -> Result<(FileType, Meta), Missing> {
        match self.find(path)? {
            Found::File(opened) => Ok((FileType::RegularFile, opened.meta)),
            Found::Directory(_, meta) => Ok((FileType::Directory, meta)),
            Found::Folder => Ok((FileType::Directory, Meta::of_bytes(0, 0))),
        }
    }
}

/// Returns a path without the parts that mean nothing, as the system reads it: `./index.html` is the
/// index of the root.
fn plain(path: &Path) -> Cow<'_, Path> {
    let bytes = path.as_os_str().as_bytes();
    let is_plain = bytes.split(|&byte| byte == b'/').all(|name| !matches!(name, b"" | b"."));
    // The end of `a/` stays, because it does not mean the file `a`.
    match is_plain || bytes.is_empty() || bytes.ends_with(b"/") {
        true => Cow::Borrowed(path),
        false => {
            let parts = path.components().filter(|part| *part != Component::CurDir);
            Cow::Owned(parts.collect::<PathBuf>())
        }
    }
}

impl Entry {
    pub(super) fn open(&self) -> Opened {
        Opened {
            source: Source::Bytes(Bytes::from_static(self.bytes)),
            meta: Meta::of_bytes(self.bytes.len() as u64, self.mixed),
            changed: (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_the_directories_in_their_paths_are_found() {
        const ASSETS: [Asset; 6] = [
            Asset::new("a/b", b"1"),
            Asset::new("a-b", b"2"),
            Asset::new("a.txt", b"3"),
            Asset::new("/index.html", b"4"),
            Asset::new("a/c/d", b"5"),
            Asset::new("a.txt", b"second"),
        ];
        let packed = Packed::new(ASSETS);
        for (path, expected) in [
            ("a/b", Some(Some(1))),
            ("a-b", Some(Some(1))),
            ("a.txt", Some(Some(1))),
            ("index.html", Some(Some(1))),
            ("a", Some(None)),
            ("a/c", Some(None)),
            (".", Some(None)),
            ("", Some(None)),
            ("a/b/c", None),
            ("a/", None),
            ("b", None),
            ("a/c/", None),
            ("in", None),
        ] {
            let found = packed.find(Path::new(path)).ok().map(|found| match found {
                Found::File(opened) => Some(opened.meta.len),
                _ => None,
            });
            assert_eq!(found, expected, "{path}");
        }
    }
}
