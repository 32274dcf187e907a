//! Content that goes into a writer: all of it, or the writer is dropped.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::support::*;
use wheelhouse::sim::Sim;
use wheelhouse::{Reply, Request};

/// What the test sees of a writer: its bytes, its flushes, and its end.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    flushed: bool,
    dropped: bool,
    /// The number of bytes after which writing fails.
    room: Option<usize>,
    flush_fails: bool,
}

struct Writer(Arc<Mutex<Seen>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut seen = self.0.lock().unwrap();
        let taken = bytes.len().min(3); // A short write is not an error.
        if seen.room.is_some_and(|room| seen.bytes.len() + taken > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        seen.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut seen = self.0.lock().unwrap();
        seen.flushed = true;
        if seen.flush_fails {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.lock().unwrap().dropped = true;
    }
}

/// A server that takes 20 bytes into a writer.
fn twenty_bytes(seen: Seen) -> (Sim, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(seen));
    let of_handler = seen.clone();
    let sim = Sim::new(move |_: &Request<'_>| -> Reply {
        let writer = Writer(of_handler.clone());
        Reply::receive_into(20, writer, |_, writer| {
            let seen = writer.0.lock().unwrap();
            assert!(seen.flushed && !seen.dropped);
            format!("{} bytes\n", seen.bytes.len())
        })
    });
    (sim, seen)
}

#[test]
fn content_is_written_and_flushed_before_the_reply() {
    for request in [
        post("/", 20, b"twenty bytes of text"),
        [post_chunked("/"), chunk(b"twenty bytes "), chunk(b"of text"), chunk(b"")].concat(),
    ] {
        for piece in [1, 1000] {
            let (mut sim, seen) = twenty_bytes(Seen::default());
            let client = sim.connect();
            request.chunks(piece).for_each(|bytes| sim.send(client, bytes));
            assert!(text(&mut sim, client).ends_with("\r\n\r\n20 bytes\n"));
            let seen = seen.lock().unwrap();
            assert_eq!(seen.bytes, b"twenty bytes of text");
            assert!(seen.dropped);
        }
    }
}

#[test]
fn the_writer_is_dropped_if_the_content_is_too_long_or_never_complete() {
    let too_long = [post_chunked("/"), chunk(b"twenty bytes of text!")].concat();
    for (request, status) in [(post("/", 20, b"half"), 400), (too_long, 413)] {
        let (mut sim, seen) = twenty_bytes(Seen::default());
        let client = sim.connect();
        sim.send_and_end(client, &request);
        assert_eq!(statuses(&sim.take_received(client)), [status]);
        assert!(seen.lock().unwrap().dropped && !seen.lock().unwrap().flushed);
    }
}

#[test]
fn an_error_of_the_writer_is_a_500_and_the_writer_is_dropped() {
    for seen in
        [Seen { room: Some(10), ..Seen::default() }, Seen { flush_fails: true, ..Seen::default() }]
    {
        let (mut sim, seen) = twenty_bytes(seen);
        let client = sim.connect_and_send(post("/", 20, b"twenty bytes of text"));
        assert_eq!(statuses(&sim.take_received(client)), [500]);
        assert!(seen.lock().unwrap().dropped);
    }
}
