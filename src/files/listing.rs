//! Listings of directories as responses. A page is made once and shared by all its readers, and the
//! memory of pages is bounded.
//!
//! A page costs the loop milliseconds and up to megabytes. So it is shared in three ways:
//!
//! * A page is used again for a second, [`FRESH`], as long as its directory shows no change.
//! * A page that was made anew and is equal to one that readers still receive is dropped in favour of
//!   that one. So all readers of a directory that does not change share one page, however slowly they
//!   read and whenever they came.
//! * If there is no memory for a new page, an older one of the same directory is used. Its names are
//!   right; the sizes and times of files may have changed.
//!
//! The shelf holds the pages weakly, so a page lives as long as its readers. The newest ones are kept
//! for the next reader, up to a small share of the budget, until the next request for any listing.

use std::collections::VecDeque;
use std::mem::{size_of, take};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bytes::Bytes;

use crate::account::{Account, Hold};
use crate::files::entries::{Directory, Order, Room};
use crate::files::meta::Meta;
use crate::files::page;
use crate::files::path::Names;
use crate::files::root::Missing;
use crate::heap::free;
use crate::message::body::Body;
use crate::message::request::{Method, Request, TurnTime};
use crate::message::response::Response;

/// The part of the memory budget that all pages of one tree may take, with those that are being
/// made: a quarter. The clients that receive a page do not appear to hold its memory, so the loop
/// cannot take it back from them, and the rest must be enough for everybody else.
const ALL_PAGES: usize = 4;
/// The part of the budget that the making of one page may take: an eighth. A listing that would need
/// more is cut.
const ONE_PAGE: usize = 8;
/// The part of the budget that pages without readers may take: a thirty-second. An idle server holds
/// no more.
const KEPT_PAGES: usize = 32;

/// The time for which a page is used again, in milliseconds. The sizes and times of files change
/// without a trace in their directory, so a page may be outdated by this time.
const FRESH: u64 = 1_000;
/// The pages that are known. The clients of a page that is pushed out still receive it.
const PAGES_KNOWN: usize = 64;

/// The listings of one tree.
#[derive(Debug, Default)]
pub(super) struct Listings {
    shelf: Mutex<VecDeque<Known>>,
    /// Bounds the memory of all pages.
    share: OnceLock<Account>,
}

/// A page that was asked for, the one asked for last in front.
#[derive(Debug)]
struct Known {
    key: Key,
    /// The time of the turn in which the directory was read, in milliseconds.
    made: u64,
    /// Whether a change of the directory after it was read would have changed the key.
    is_reliable: bool,
    page: Weak<Page>,
    /// The same page, if it is kept for the next reader.
    kept: Option<Arc<Page>>,
    /// The memory that could not be had when the page was last to be made; 0 if it was made.
    wanted: usize,
}

/// Everything that decides about a page, except the sizes and times of the entries.
#[derive(Debug, PartialEq)]
struct Key {
    /// Identifies the directory and, by the time of its last change, its names.
    directory: Meta,
    order: Order,
    shows_dot_files: bool,
    /// The path on the page, where names are separated by slashes.
    path: Box<[u8]>,
    /// The loop whose budget the page counts against.
    account: Account,
}

/// A page, counted until its last reader has received it.
#[derive(Debug)]
struct Page {
    text: String,
    charge: Charge,
}

/// Bytes that count against the budget of a loop, and against the share of it that listings have.
#[derive(Debug)]
struct Charge {
    in_share: Hold,
    in_loop: Hold,
    bytes: usize,
    /// The bytes for which there must be room in the budget of the loop, too.
    reserve: usize,
}

impl Listings {
    /// Returns the response that lists `directory`, which `names` led to.
    ///
    /// For HEAD no page is made. So the response has no `Content-Length`, which a server may omit if
    /// it would have to generate the content to know it (RFC 9110, section 9.3.2).
    pub(super) fn respond(
        &self,
        directory: &Directory<'_>,
        req: &Request<'_>,
        names: &Names<'_>,
    ) -> Result<Response, Missing> {
        let body = match *req.method() {
            Method::HEAD => Body::omitted(None),
            _ => Body::from(Bytes::from_owner(Reader(self.page(directory, req, names)?))),
        };
        Ok(Response::ok("text/html; charset=utf-8", body)
            .with_header("Content-Security-Policy", page::POLICY)
            .with_header("Cache-Control", "no-cache"))
    }

    fn page(
        &self,
        directory: &Directory<'_>,
        req: &Request<'_>,
        names: &Names<'_>,
    ) -> Result<Arc<Page>, Missing> {
        let time = req.turn_time();
        let key = Key {
            directory: directory.meta,
            order: Order::of_query(req.raw_query().unwrap_or_default()),
            shows_dot_files: directory.shows_dot_files,
            path: names.segments.join(&b'/').into(),
            account: req.account().clone(),
        };
        let mut known = self.take(key, time.now);
        let page = self.page_of(&mut known, directory, names, time);
        self.put_back(known, page.as_ref().ok());
        page
    }

    /// Takes the page with this key from the shelf. While a directory is read, which may take long,
    /// the shelf is open to the other loops. They have other keys, so none of them misses this page.
    fn take(&self, key: Key, now: u64) -> Known {
        let mut shelf = self.shelf();
        // A page that is too old to be used again is kept only by its readers.
        for known in shelf.iter_mut().filter(|known| !known.is_fresh(now)) {
            known.kept = None;
        }
        let at = shelf.iter().position(|known| known.key == key);
        at.and_then(|at| shelf.remove(at)).unwrap_or_else(|| Known::new(key))
    }

    /// Puts what was taken in front, and keeps its page for the next reader if it is short.
    fn put_back(&self, mut known: Known, page: Option<&Arc<Page>>) {
        let mut shelf = self.shelf();
        if let Some(page) = page {
            let most = known.key.account.max() / KEPT_PAGES;
            known.kept = (page.charge.bytes <= most).then(|| page.clone());
            keep_at_most(&mut shelf, most.saturating_sub(page.charge.bytes));
        }
        shelf.truncate(PAGES_KNOWN - 1);
        shelf.push_front(known);
    }

    fn shelf(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the page that is known, if it can be used again, and makes it otherwise.
    fn page_of(
        &self,
        known: &mut Known,
        directory: &Directory<'_>,
        names: &Names<'_>,
        time: TurnTime,
    ) -> Result<Arc<Page>, Missing> {
        let last = known.page.upgrade();
        if known.is_reliable && known.is_fresh(time.now) {
            if let Some(page) = last {
                return Ok(page);
            }
            // The directory need not be read again to find that there is still no memory.
            if known.wanted > 0 && self.charge(&known.key.account, known.wanted).is_none() {
                return Err(Missing::Exhausted);
            }
        }
        let was_reliable = known.is_reliable;
        known.made = time.now;
        known.is_reliable = directory.meta.is_older_than(time.wall());
        known.wanted = 0;
        let made = self.make(known, directory, names);
        match (made, last) {
            (Ok(page), Some(last)) if page.text == last.text => Ok(last),
            (Ok(page), _) => {
                let page = Arc::new(page);
                known.page = Arc::downgrade(&page);
                Ok(page)
            }
            (Err(Missing::Exhausted), Some(last)) if was_reliable => Ok(last),
            (Err(missing), _) => Err(missing),
        }
    }

    fn make(
        &self,
        known: &mut Known,
        directory: &Directory<'_>,
        names: &Names<'_>,
    ) -> Result<Page, Missing> {
        let Known { key, wanted, .. } = known;
        let most = key.account.max() / ONE_PAGE;
        let mut len_max = page::frame_max(names);
        let mut charge = self.charge(&key.account, 0).ok_or(Missing::Exhausted)?;
        let mut entries = directory.read(|entry, memory| {
            let row = page::row_max(&entry.name);
            let needed = memory + len_max + row;
            if needed > most {
                return Room::PageIsFull;
            }
            if !charge.resize(needed) {
                *wanted = needed;
                return Room::None;
            }
            len_max += row;
            Room::Enough
        })?;
        if entries.list.is_empty() && !charge.resize(len_max) {
            *wanted = len_max;
            return Err(Missing::Exhausted);
        }
        key.order.sort(&mut entries.list);
        let mut text = page::render(names, &entries, key.order, len_max);
        free(entries.list);
        text.shrink_to_fit();
        let has_shrunk = charge.resize(text.capacity() + size_of::<Page>());
        debug_assert!(has_shrunk, "a page takes less than its making");
        Ok(Page { text, charge })
    }

    fn charge(&self, account: &Account, bytes: usize) -> Option<Charge> {
        let share = self.share.get_or_init(|| Account::new(account.max() / ALL_PAGES));
        let (in_share, in_loop) = (share.hold(0)?, account.hold(0)?);
        let reserve = account.reserve();
        let mut charge = Charge { in_share, in_loop, bytes: 0, reserve };
        charge.resize(bytes).then_some(charge)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        free(take(&mut self.text).into_bytes());
    }
}

/// Drops pages without readers, those of the longest time ago first, until at most `most` bytes of
/// pages are kept.
fn keep_at_most(shelf: &mut VecDeque<Known>, mut most: usize) {
    for known in shelf {
        let Some(page) = &known.kept else { continue };
        match most.checked_sub(page.charge.bytes) {
            Some(left) => most = left,
            None => known.kept = None,
        }
    }
}

impl Known {
    fn new(key: Key) -> Known {
        Known { key, made: 0, is_reliable: false, page: Weak::new(), kept: None, wanted: 0 }
    }

    fn is_fresh(&self, now: u64) -> bool {
        now.abs_diff(self.made) < FRESH
    }
}

impl Charge {
    /// Changes the number of bytes. Returns false, and changes nothing, if there is no room for them.
    fn resize(&mut self, bytes: usize) -> bool {
        if !self.in_share.resize(bytes) {
            return false;
        }
        if bytes > self.bytes && !self.in_loop.resize(bytes + self.reserve) {
            self.in_share.resize(self.bytes);
            return false;
        }
        self.bytes = bytes;
        self.in_loop.resize(bytes)
    }
}

/// One reader of a page.
struct Reader(Arc<Page>);

impl AsRef<[u8]> for Reader {
    fn as_ref(&self) -> &[u8] {
        self.0.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several cores share one tree: a slow disk under one of them must not stop the others.
    #[test]
    fn the_shelf_is_free_while_a_directory_is_read() {
        let (listings, account) = (Listings::default(), Account::new(1 << 20));
        let key = |path: &[u8]| Key {
            directory: Meta { len: 0, modified: 1, nanos: 0, device: 1, inode: 1 },
            order: Order::DEFAULT,
            shows_dot_files: false,
            path: path.into(),
            account: account.clone(),
        };
        let first = listings.take(key(b"slow"), 0);
        let second = listings.take(key(b"quick"), 0);
        let charge = listings.charge(&account, 10).unwrap();
        let page = Arc::new(Page { text: "quick".to_owned(), charge });
        listings.put_back(second, Some(&page));
        listings.put_back(first, None);
        let kept = |path| listings.take(key(path), 0).kept.is_some();
        assert_eq!((kept(b"quick"), kept(b"slow")), (true, false));
    }

    #[test]
    fn pages_take_a_quarter_of_the_budget_and_leave_its_reserve_free() {
        let (listings, account) = (Listings::default(), Account::new(1000));
        account.set_reserve(100);
        account.settle(700);
        let mut charge = listings.charge(&account, 150).expect("a quarter is free");
        assert!(charge.resize(200) && !charge.resize(201), "a tenth stays free");
        account.settle(0);
        assert!(charge.resize(250) && !charge.resize(251), "a quarter is taken");
        account.settle(950);
        assert!(charge.resize(100), "to take less is always possible");
        assert_eq!(account.held(), 100);
        assert!(listings.charge(&account, 1).is_none());
        drop(charge);
        assert_eq!(account.held(), 0);
    }
}
