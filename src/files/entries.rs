//! The entries of a directory, in an order.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::mem::size_of;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{statat, AtFlags, Dir, FileType};

use crate::files::meta::Meta;
use crate::files::path::is_possible;
use crate::files::root::Missing;
use crate::files::tree::Tree;

/// The most names that are read from one directory. Names that are not shown count, too, so that a
/// directory with a million dot files is not read to its end for each request.
const NAMES_MAX: usize = 5_000;

/// The most bytes of the names that are read.
const NAMES_BYTES_MAX: usize = 512 << 10;

/// The memory that reading takes beside the entries: the buffer of the system call.
const READ_BUFFER: usize = 32 << 10;

/// A directory to be listed.
pub(super) struct Directory<'a> {
    pub(super) tree: &'a Tree<'a>,
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

/// The order of the entries. Directories always come first. Names are in the order in which people
/// count: `a2` before `a10`.
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
                match self.tree.look(&self.path.join(OsStr::from_bytes(name))).ok()? {
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
        let by_name = |a: &Entry, b: &Entry| {
            let natural = natural_order(a.key.as_bytes(), b.key.as_bytes());
            natural.then_with(|| (&a.key, &a.name).cmp(&(&b.key, &b.name)))
        };
        let compare = |a: &Entry, b: &Entry| match self.by {
            Column::Name => by_name(a, b),
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
                .then_with(|| by_name(a, b))
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

/// Compares two texts, in which each run of digits counts as one number of any length.
fn natural_order(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let (number_a, rest_a) = split_number(a);
        let (number_b, rest_b) = split_number(b);
        let order = match (number_a, number_b) {
            ([], _) | (_, []) => match (a.split_first(), b.split_first()) {
                (Some((byte_a, after_a)), Some((byte_b, after_b))) if byte_a == byte_b => {
                    (a, b) = (after_a, after_b);
                    continue;
                }
                (first_a, first_b) => return first_a.map(|it| it.0).cmp(&first_b.map(|it| it.0)),
            },
            (a, b) => number_value(a).cmp(&number_value(b)),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Splits a text after the digits at its start.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let len = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(len)
}

/// Returns the value of some digits in a form that can be compared: their number without zeros at the
/// front, and the digits.
fn number_value(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().position(|&byte| byte != b'0').unwrap_or(digits.len());
    (digits.len() - zeros, &digits[zeros..])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_compared_by_their_value() {
        let meta = Meta { len: 0, modified: 0, nanos: 0, device: 0, inode: 0 };
        let sorted = [
            "",
            "2",
            "10",
            "a",
            "a-1",
            "a01",
            "A1",
            "a1",
            "a001b",
            "a1c",
            "a2",
            "a10",
            "a10b2",
            "a10b10",
            "a99999999999999999999999",
            "a100000000000000000000000",
            "b",
            "\u{e4}9",
            "\u{e4}10",
        ];
        let entry = |name: &&str| Entry::new(name.as_bytes(), false, meta);
        for start in 0..sorted.len() {
            let mut list: Vec<Entry> = sorted.iter().map(entry).collect();
            list.rotate_left(start);
            Order::DEFAULT.sort(&mut list);
            let names: Vec<_> = list.iter().map(|it| String::from_utf8_lossy(&it.name)).collect();
            assert_eq!(names, sorted);
        }
    }

    /// The library refuses to sort by an order that contradicts itself.
    #[test]
    fn the_order_of_names_is_total() {
        let letters = |n: usize| [n % 4, n / 4 % 4, n / 16].map(|at| ['0', '1', '9', 'a'][at]);
        let texts: Vec<String> = (0..64).map(|n| String::from_iter(letters(n))).collect();
        let order = |a: &String, b: &String| natural_order(a.as_bytes(), b.as_bytes());
        for a in &texts {
            for b in &texts {
                assert_eq!(order(a, b), order(b, a).reverse(), "{a} {b}");
                for c in texts.iter().filter(|c| order(a, b).is_le() && order(b, c).is_le()) {
                    assert!(order(a, c).is_le(), "{a} {b} {c}");
                }
            }
        }
    }
}
