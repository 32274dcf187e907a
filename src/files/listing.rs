//! Listings of directories as responses, bounded in memory.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use crate::files::entries::{Directory, Order};
use crate::files::page;
use crate::files::path::Names;
use crate::files::root::Missing;
use crate::message::body::{Body, Out, Produce, Produced};
use crate::message::request::Request;
use crate::message::response::Response;

/// The most bytes of all pages that wait for slow readers; beyond it a listing is a 503. Pages are
/// the only responses of `Files` that are held in memory, so this bounds the memory that readers
/// can pin.
const PAGES_MAX: usize = 8 << 20;

/// The state that all listings of one tree share.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// The bytes of the pages that are being sent.
    held: Arc<AtomicUsize>,
}

impl Listings {
    /// Returns the response that lists `directory`, which `names` led to.
    pub(super) fn respond(
        &self,
        directory: &Directory<'_>,
        req: &Request<'_>,
        names: &Names<'_>,
    ) -> Result<Response, Missing> {
        if self.held.load(Ordering::Relaxed) >= PAGES_MAX {
            // The page is not made at all.
            return Err(Missing::Exhausted);
        }
        let order = Order::of_query(req.raw_query().unwrap_or_default());
        let (mut entries, is_cut) = directory.read()?;
        order.sort(&mut entries);
        let page = page::render(names, &entries, order, is_cut);
        let len = page.len();
        let body = Page { text: page, sent: 0, charged: len, held: self.held.clone() };
        if self.held.fetch_add(len, Ordering::Relaxed) + len > PAGES_MAX {
            return Err(Missing::Exhausted);
        }
        Ok(Response::ok("text/html; charset=utf-8", Body::produce_exactly(len as u64, body))
            // A second defence: a name that got through the escaping could still not run a script.
            .with_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            .with_header("Cache-Control", "no-cache"))
    }
}

/// A page that is being sent, counted until it is dropped.
struct Page {
    text: String,
    sent: usize,
    charged: usize,
    held: Arc<AtomicUsize>,
}

impl Produce for Page {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.sent += out.put(&self.text.as_bytes()[self.sent..]);
        Ok(if self.sent == self.text.len() { Produced::End } else { Produced::More })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.held.fetch_sub(self.charged, Ordering::Relaxed);
    }
}
