//! The entries of a directory, in an order.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{statat, AtFlags, Dir, FileType};

use crate::files::path::is_possible;
use crate::files::root::{Meta, Missing, Root};

/// The most entries that are read from one directory.
const ENTRIES_MAX: usize = 5_000;

/// The most bytes of their names. Each byte may be nine on the page, which then has at most about 6
/// MiB.
const NAMES_BYTES_MAX: usize = 512 << 10;

/// A directory to be listed.
pub(super) struct Directory<'a> {
    pub(super) root: &'a Root,
    pub(super) fd: &'a OwnedFd,
    /// The path of the directory from the root.
    pub(super) path: &'a Path,
    pub(super) shows_dot_files: bool,
}

/// One line of a listing.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) is_directory: bool,
    pub(super) meta: Meta,
}

/// The order of the entries. Directories always come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: Column,
    pub(super) is_descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Size,
    Date,
}

impl Directory<'_> {
    /// Returns the entries, and whether there are more than these.
    pub(super) fn read(&self) -> Result<(Vec<Entry>, bool), Missing> {
        let (mut entries, mut room) = (Vec::new(), NAMES_BYTES_MAX);
        let stream = Dir::read_from(self.fd).map_err(Missing::from)?;
        for item in stream {
            let Ok(item) = item else { break };
            let name = item.file_name().to_bytes();
            let is_hidden = name.starts_with(b".") && !self.shows_dot_files;
            if matches!(name, b"." | b"..") || is_hidden || !is_possible(name) {
                continue;
            }
            if entries.len() == ENTRIES_MAX || name.len() > room {
                return Ok((entries, true));
            }
            if let Some(entry) = self.entry(name) {
                room -= name.len();
                entries.push(entry);
            }
        }
        Ok((entries, false))
    }

    /// Returns one entry; `None` for an entry that could not be served: a device, a link that leads
    /// outside.
    fn entry(&self, name: &[u8]) -> Option<Entry> {
        let stat = statat(self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let (is_directory, meta) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => (true, Meta::of(&stat)),
            FileType::RegularFile => (false, Meta::of(&stat)),
            // A link is followed here as in a request for it.
            FileType::Symlink => {
                match self.root.look(&self.path.join(OsStr::from_bytes(name))).ok()? {
                    (FileType::RegularFile, meta) => (false, meta),
                    (FileType::Directory, meta) => (true, meta),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Entry { name: name.to_vec(), is_directory, meta })
    }
}

impl Order {
    pub(super) const DEFAULT: Order = Order { by: Column::Name, is_descending: false };

    /// Returns the order that `sort=size` or `sort=-size` asks for; the order by name for any other
    /// query.
    pub(super) fn of_query(query: &str) -> Order {
        let value = query.split('&').find_map(|pair| pair.strip_prefix("sort="));
        let value = value.unwrap_or_default();
        let (word, is_descending) = match value.strip_prefix('-') {
            Some(word) => (word, true),
            None => (value, false),
        };
        let by = match word {
            "name" => Column::Name,
            "size" => Column::Size,
            "date" => Column::Date,
            _ => return Order::DEFAULT,
        };
        Order { by, is_descending }
    }

    pub(super) fn sort(self, entries: &mut [Entry]) {
        entries.sort_by_cached_key(|entry| {
            let name = String::from_utf8_lossy(&entry.name).to_lowercase();
            (name, entry.name.clone())
        });
        // A stable sort: equal entries stay in the order of names in both directions.
        let key = |entry: &Entry| match self.by {
            Column::Name => (0, 0),
            Column::Size if entry.is_directory => (0, 0),
            Column::Size => (i128::from(entry.meta.len), 0),
            Column::Date => (i128::from(entry.meta.modified), entry.meta.nanos),
        };
        match (self.by, self.is_descending) {
            (Column::Name, true) => entries.reverse(),
            (_, true) => entries.sort_by_key(|entry| std::cmp::Reverse(key(entry))),
            (_, false) => entries.sort_by_key(key),
        }
        entries.sort_by_key(|entry| !entry.is_directory);
    }

    pub(super) fn to_query(self) -> String {
        let minus = if self.is_descending { "-" } else { "" };
        format!("?sort={minus}{}", self.by.word())
    }

    /// Returns the order after a click on the head of `column`: the reverse if the entries are in
    /// that order now, else the more useful direction, with the largest or the newest first.
    pub(super) fn after_click(self, column: Column) -> Order {
        let is_descending = match self.by == column {
            true => !self.is_descending,
            false => column != Column::Name,
        };
        Order { by: column, is_descending }
    }
}

impl Column {
    fn word(self) -> &'static str {
        match self {
            Column::Name => "name",
            Column::Size => "size",
            Column::Date => "date",
        }
    }
}
