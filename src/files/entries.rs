//! The entries of a directory, in an order.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::mem::size_of;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{statat, AtFlags, Dir, FileType};

use crate::files::path::is_possible;
use crate::files::root::{Meta, Missing, Root};

/// The most names that are read from one directory. Names that are not shown count, too, so that a
/// directory with a million dot files is not read to its end for each request.
const NAMES_MAX: usize = 5_000;

/// The most bytes of the names that are read.
const NAMES_BYTES_MAX: usize = 512 << 10;

/// The memory that reading takes beside the entries: the buffer of the system call.
const READ_BUFFER: usize = 32 << 10;

/// A directory to be listed.
pub(super) struct Directory<'a> {
    pub(super) root: &'a Root,
    pub(super) fd: &'a OwnedFd,
    pub(super) meta: Meta,
    /// The path of the directory from the root.
    pub(super) path: &'a Path,
    pub(super) shows_dot_files: bool,
}

/// One line of a listing.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Box<[u8]>,
    /// The name in lower case, by which people look for it.
    key: Box<str>,
    pub(super) is_directory: bool,
    pub(super) meta: Meta,
}

/// The entries of a directory that are shown, or some of them.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) list: Vec<Entry>,
    /// Whether the directory has more names than were read.
    pub(super) is_cut: bool,
}

/// Whether there is memory for one more entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// The page would be longer than any page may be: it is cut here.
    PageIsFull,
    /// There is no memory now.
    None,
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
    /// Reads the entries. `room` is asked before each of them is kept, with the memory that it and
    /// all entries before it take. Returns an error if there is none.
    pub(super) fn read(
        &self,
        mut room: impl FnMut(&Entry, usize) -> Room,
    ) -> Result<Entries, Missing> {
        let mut entries = Entries::default();
        let (mut names, mut bytes, mut memory) = (0, 0, READ_BUFFER);
        for item in Dir::read_from(self.fd)? {
            // A name that cannot be read is one more that is not shown.
            let Ok(item) = item else {
                entries.is_cut = true;
                break;
            };
            let name = item.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            names += 1;
            bytes += name.len();
            if names > NAMES_MAX || bytes > NAMES_BYTES_MAX {
                entries.is_cut = true;
                break;
            }
            let is_hidden = name.starts_with(b".") && !self.shows_dot_files;
            if is_hidden || !is_possible(name) {
                continue;
            }
            let Some(entry) = self.entry(name) else { continue };
            memory += entry.memory();
            match room(&entry, memory) {
                Room::Enough => entries.list.push(entry),
                Room::PageIsFull => {
                    entries.is_cut = true;
                    break;
                }
                Room::None => return Err(Missing::Exhausted),
            }
        }
        Ok(entries)
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
        Some(Entry::new(name, is_directory, meta))
    }
}

impl Entry {
    pub(super) fn new(name: &[u8], is_directory: bool, meta: Meta) -> Entry {
        let key = String::from_utf8_lossy(name).to_lowercase().into_boxed_str();
        Entry { name: name.into(), key, is_directory, meta }
    }

    /// Returns the most bytes of memory that the entry takes in a list.
    fn memory(&self) -> usize {
        /// The allocator adds to both texts.
        const OVERHEAD: usize = 2 * 24;
        // A list that grows has at most twice the room that it needs.
        2 * size_of::<Entry>() + self.name.len() + self.key.len() + OVERHEAD
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

    /// Sorts entries: directories first, and equal ones by name in both directions.
    pub(super) fn sort(self, entries: &mut [Entry]) {
        fn name(entry: &Entry) -> (&str, &[u8]) {
            (&entry.key, &entry.name)
        }
        let compare = |a: &Entry, b: &Entry| match self.by {
            Column::Name => name(a).cmp(&name(b)),
            Column::Size if a.is_directory => Ordering::Equal,
            Column::Size => a.meta.len.cmp(&b.meta.len),
            Column::Date => (a.meta.modified, a.meta.nanos).cmp(&(b.meta.modified, b.meta.nanos)),
        };
        // No two names are equal, so an unstable sort, which takes no memory, has one result.
        entries.sort_unstable_by(|a, b| {
            let compared = compare(a, b);
            b.is_directory
                .cmp(&a.is_directory)
                .then(if self.is_descending { compared.reverse() } else { compared })
                .then_with(|| name(a).cmp(&name(b)))
        });
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
