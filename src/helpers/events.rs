//! Server-sent events (the event stream of the HTML standard): one ring of events in memory, and
//! any number of readers.
//!
//! Each event is encoded once and held in the ring once. A reader is a place in the ring. A slow
//! reader does not delay other readers, and holds only the event that is being sent to it. When the
//! ring moves on, the reader skips the missed events or is cut off, as the options of the topic
//! decide. Browsers reconnect by themselves and name the last event that they received, which the
//! ring usually still has. A ring is memory of the program. What a topic holds for its readers counts
//! against [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max): a place for each of them, and
//! each event that slow readers hold, once for all of them.
//!
//! ```
//! use wheelhouse::events::{Event, Topic};
//! use wheelhouse::{Reply, Request, Response};
//!
//! let ticks = Topic::new(64);
//! let publisher = ticks.clone(); // For a timer, another handler, another thread.
//! let handler = move |req: &Request<'_>| match req.path() {
//!     "/events" => ticks.subscribe(req),
//!     _ => Response::not_found(),
//! };
//! # let mut sim = wheelhouse::sim::Sim::new(handler);
//! # let c = sim.connect_and_send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
//! publisher.publish(Event::new("tick"));
//! # sim.advance(std::time::Duration::ZERO);
//! # assert!(sim.received(c).ends_with(b"id: 1\ndata: tick\n\n\r\n"));
//! ```
//!
//! # When to use it
//!
//! Use a [`Topic`] for pages that show news as it happens: prices, progress, a log. A page reads it
//! with `EventSource`. Events go from the server to the client. For messages in both directions use
//! the module `websocket`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::account::{Account, Hold};
use crate::message::body::{Body, Out, Produce, Produced};
use crate::message::request::Request;
use crate::message::response::{Response, StatusCode};
use crate::waker::Waker;

/// The silence after which a comment is sent: 15 s. The comment keeps proxies from closing the
/// connection, and detects readers that have left without closing theirs.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// One event of a [`Topic`].
#[doc(alias = "SSE")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an event is sent with `Topic::publish`"]
pub struct Event {
    name: Option<String>,
    data: String,
}

impl Event {
    /// Creates an event with the text `data`. Each line of the text becomes a field `data`.
    pub fn new(data: impl Into<String>) -> Event {
        Event { name: None, data: data.into() }
    }

    /// Returns the event with a name. Scripts listen for the events of a name. Line ends in the
    /// name are removed.
    pub fn named(mut self, name: impl Into<String>) -> Event {
        let mut name = name.into();
        name.retain(|c| c != '\r' && c != '\n');
        self.name = Some(name);
        self
    }

    fn encode(&self, id: u64) -> Bytes {
        let mut text = format!("id: {id}\n");
        if let Some(name) = &self.name {
            text += &format!("event: {name}\n");
        }
        // The format has three line ends: CR LF, LF and CR.
        for line in self.data.replace("\r\n", "\n").split(['\n', '\r']) {
            text += &format!("data: {line}\n");
        }
        text.push('\n');
        text.into()
    }
}

impl From<&str> for Event {
    fn from(data: &str) -> Event {
        Event::new(data)
    }
}

impl From<String> for Event {
    fn from(data: String) -> Event {
        Event::new(data)
    }
}

/// The rule for slow readers, whose next event is no longer in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slow {
    /// The reader continues with the oldest event in the ring. A comment gives the number of missed
    /// events.
    Skip,
    /// The response ends, so that the reader reconnects and knows that it has missed events. Then
    /// it continues with the oldest event in the ring.
    Cut,
}

/// The settings of a [`Topic`].
///
/// ```
/// use wheelhouse::events::{Slow, Topic, TopicOptions};
///
/// let prices = Topic::with_options(TopicOptions::new(256).slow(Slow::Cut).readers_max(1000));
/// # let _ = prices;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options have an effect only through `Topic::with_options`"]
pub struct TopicOptions {
    capacity: usize,
    slow: Slow,
    readers_max: usize,
}

impl TopicOptions {
    /// Creates the settings of [`Topic::new`].
    pub const fn new(capacity: usize) -> TopicOptions {
        TopicOptions { capacity, slow: Slow::Skip, readers_max: usize::MAX }
    }

    /// Sets the rule for slow readers. By default they [skip](Slow::Skip) the missed events.
    pub const fn slow(mut self, slow: Slow) -> TopicOptions {
        self.slow = slow;
        self
    }

    /// Sets the most readers at the same time. A further reader gets a 503. By default only the
    /// number of connections limits the readers.
    pub const fn readers_max(mut self, readers: usize) -> TopicOptions {
        self.readers_max = readers;
        self
    }
}

/// A stream of events with one ring and any number of readers. Clones are the same topic, and any
/// thread can publish.
#[doc(alias("SSE", "EventSource", "broadcast"))]
#[derive(Clone)]
pub struct Topic {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    ring: VecDeque<Bytes>,
    capacity: usize,
    slow: Slow,
    /// The number of the first event in the ring. The first event of all has the number 1.
    first: u64,
    is_closed: bool,
    readers: BTreeMap<u64, Place>,
    next_reader: u64,
    readers_max: usize,
    /// The events that slow readers hold, by number: each counts once in each loop.
    held: BTreeMap<u64, Vec<Weak<Hold>>>,
}

/// The place of a reader in the ring, as of its last visit.
struct Place {
    /// `None` until the response begins.
    waker: Option<Waker>,
    /// The number of the next event to send.
    next: u64,
    /// The reader is slow: it has not taken all that it was sent.
    is_stalled: bool,
}

/// The bytes that a topic holds for a reader, at most: the reader, its place in the tree, and its
/// waker.
const READER: usize = 320;

impl Topic {
    /// Creates a topic that keeps the last `capacity` events (at least one). Slow readers
    /// [skip](Slow::Skip) missed events, and only the number of connections limits the readers.
    pub fn new(capacity: usize) -> Topic {
        Topic::with_options(TopicOptions::new(capacity))
    }

    /// Creates a topic with these settings.
    pub fn with_options(options: TopicOptions) -> Topic {
        let shared = Shared {
            ring: VecDeque::new(),
            capacity: options.capacity.max(1),
            slow: options.slow,
            first: 1,
            is_closed: false,
            readers: BTreeMap::new(),
            next_reader: 0,
            readers_max: options.readers_max,
            held: BTreeMap::new(),
        };
        Topic { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Adds an event, which is sent to all readers. Returns its number, which is its `id`; the
    /// first event of a topic has the number 1. A closed topic does not take the event.
    ///
    /// The oldest event of a full ring is dropped. A program that publishes many events at once
    /// checks [`is_full`](Topic::is_full) before each of them.
    pub fn publish(&self, event: impl Into<Event>) -> u64 {
        let event = event.into();
        let mut shared = self.lock();
        let id = shared.next();
        if shared.is_closed {
            return id;
        }
        if shared.ring.len() == shared.capacity {
            shared.ring.pop_front();
            shared.first += 1;
        }
        shared.ring.push_back(event.encode(id));
        shared.wake_all();
        id
    }

    /// Returns whether the next event would drop one that has not been sent to a reader yet, although
    /// the reader takes all that it is sent. A publisher that waits until that is over makes no such
    /// reader miss an event. It is over after a turn of the loop, or when a reader whose socket is full
    /// has read on. One that has not done so for a tenth of a second is slow. Slow readers do not make
    /// a topic full: they miss events, or are cut off.
    pub fn is_full(&self) -> bool {
        let shared = self.lock();
        if shared.ring.len() < shared.capacity {
            return false;
        }
        let misses_one = |place: &&Place| !place.is_stalled && place.next <= shared.first;
        let mut waits = shared.readers.values().filter(misses_one).peekable();
        let is_full = waits.peek().is_some();
        // The loop finds out whether they are slow.
        waits.filter_map(|place| place.waker.as_ref()).for_each(Waker::wake);
        is_full
    }

    /// Ends the stream of every reader after the last event. A reader that subscribes later gets a
    /// 204, so that it does not reconnect.
    pub fn close(&self) {
        let mut shared = self.lock();
        shared.is_closed = true;
        shared.wake_all();
    }

    /// Returns the number of readers.
    pub fn readers(&self) -> usize {
        self.lock().readers.len()
    }

    /// Creates the response for a reader, with the events from now on. If the reader names the last
    /// event that it received (`Last-Event-ID`), it gets the events after that one, as far as the
    /// ring still has them. A comment has the number of missed events.
    ///
    /// The stream does not have a time limit. At least a comment is sent every [`HEARTBEAT`], and a
    /// reader that takes less than
    /// [`Limits::response_rate_min`](crate::Limits::response_rate_min) is cut off. The stream ends
    /// when the reader ends its side. At a graceful shutdown of the server it ends after the last
    /// event, so that the shutdown does not wait for it. Browsers reconnect by themselves.
    pub fn subscribe(&self, req: &Request<'_>) -> Response {
        let last = req.header("last-event-id").and_then(|id| id.parse::<u64>().ok());
        let mut shared = self.lock();
        if shared.is_closed {
            return Response::new(StatusCode::NO_CONTENT);
        }
        if shared.readers.len() >= shared.readers_max {
            return Response::busy();
        }
        // The number of an event that does not exist yet is from an earlier run of the server.
        let next = last.filter(|&last| last < shared.next()).map_or(shared.next(), |last| last + 1);
        // A reader that reconnects does not count as slow and continues with the oldest event. If
        // it were cut off, it would name the same event again, and be cut off again.
        let (next, missed) = (next.max(shared.first), shared.first.saturating_sub(next));
        let rest = match missed {
            0 => Bytes::from_static(GREETING.as_bytes()),
            _ => format!("{GREETING}{}", comment_on(missed)).into(),
        };
        let Some(hold) = req.account().hold(READER) else { return Response::busy() };
        let id = shared.next_reader;
        shared.next_reader += 1;
        shared.readers.insert(id, Place { waker: None, next, is_stalled: false });
        drop(shared);
        let reader = Reader {
            topic: self.clone(),
            id,
            next,
            rest,
            event: None,
            lasts: Lasts::ForEver,
            hold,
            shared: None,
        };
        Response::ok("text/event-stream", Body::produce(reader))
            .with_header("Cache-Control", "no-store")
            .with_header("X-Accel-Buffering", "no")
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Returns the number of the next event.
    fn next(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// Counts an event of `len` bytes for a reader, together with the other readers of its loop that
    /// hold the event.
    fn hold(&mut self, event: u64, len: usize, account: &Account) -> Arc<Hold> {
        let holds = self.held.entry(event).or_default();
        let known = holds.iter().filter_map(Weak::upgrade).find(|hold| hold.account() == account);
        known.unwrap_or_else(|| {
            let mut hold = account.empty();
            hold.set(len);
            let hold = Arc::new(hold);
            holds.push(Arc::downgrade(&hold));
            hold
        })
    }

    /// Ends the hold of a reader on an event.
    fn release(&mut self, event: u64, hold: Arc<Hold>) {
        drop(hold);
        let Some(holds) = self.held.get_mut(&event) else { return };
        holds.retain(|hold| hold.strong_count() > 0);
        if holds.is_empty() {
            self.held.remove(&event);
        }
    }

    fn wake_all(&self) {
        for waker in self.readers.values().filter_map(|place| place.waker.as_ref()) {
            waker.wake();
        }
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.lock();
        f.debug_struct("Topic")
            .field("next", &shared.next())
            .field("readers", &shared.readers.len())
            .finish_non_exhaustive()
    }
}

/// The comment that is sent at once, so that the reader knows that the stream has begun.
const GREETING: &str = ": here\n\n";

/// Returns the comment for a reader that has missed `missed` events.
fn comment_on(missed: u64) -> String {
    format!(": {missed} events missed\n\n")
}

/// One reader: a place in the ring.
struct Reader {
    topic: Topic,
    id: u64,
    /// The number of the next event to send.
    next: u64,
    /// The rest of the present event, or of a comment.
    rest: Bytes,
    /// The number of the present event, and its length; `None` for a comment.
    event: Option<(u64, usize)>,
    lasts: Lasts,
    /// Counts this reader, and a comment.
    hold: Hold,
    /// The number of the event that was left over from the last call, and its hold.
    shared: Option<(u64, Arc<Hold>)>,
}

/// The point at which the stream of a reader ends, from the latest to the earliest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lasts {
    ForEver,
    /// Until the last event in the ring: the server shuts down.
    ToLastEvent,
    /// Until the present event is sent: the client has left.
    ToPresentEvent,
}

impl Reader {
    /// Puts the rest of the present event. Returns whether all of it was put.
    fn put_rest(&mut self, out: &mut Out<'_>) -> bool {
        let put = out.put(&self.rest);
        self.rest.advance(put);
        self.rest.is_empty()
    }

    /// Puts events until there is no room or no event.
    fn put_events(&mut self, out: &mut Out<'_>) -> Produced {
        loop {
            if !self.put_rest(out) {
                return Produced::More;
            }
            if self.lasts == Lasts::ToPresentEvent {
                return Produced::End;
            }
            let shared = self.topic.lock();
            if self.next < shared.first {
                let missed = shared.first - self.next;
                if shared.slow == Slow::Cut {
                    return Produced::End;
                }
                self.next = shared.first;
                (self.rest, self.event) = (comment_on(missed).into(), None);
                continue;
            }
            let Some(event) = shared.ring.get((self.next - shared.first) as usize) else {
                let ends = shared.is_closed || self.lasts == Lasts::ToLastEvent;
                return if ends { Produced::End } else { Produced::Wait(HEARTBEAT) };
            };
            (self.rest, self.event) = (event.clone(), Some((self.next, event.len())));
            self.next += 1;
        }
    }

    /// Notes the place of the reader, and counts the event that is left over.
    fn settle(&mut self) {
        let of_comment = if self.event.is_none() { self.rest.len() } else { 0 };
        self.hold.set(READER + of_comment);
        let mut shared = self.topic.lock();
        if let Some(place) = shared.readers.get_mut(&self.id) {
            (place.next, place.is_stalled) = (self.next, false);
        }
        let left = self.event.filter(|_| !self.rest.is_empty());
        if self.shared.as_ref().map(|(event, _)| *event) == left.map(|(event, _)| event) {
            return;
        }
        if let Some((event, hold)) = self.shared.take() {
            shared.release(event, hold);
        }
        self.shared =
            left.map(|(event, len)| (event, shared.hold(event, len, self.hold.account())));
    }
}

impl Produce for Reader {
    fn start(&mut self, waker: Waker) {
        if let Some(place) = self.topic.lock().readers.get_mut(&self.id) {
            place.waker = Some(waker);
        }
    }

    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        let produced = self.put_events(out);
        self.settle();
        Ok(produced)
    }

    fn expire(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        out.put(b":\n\n");
        Ok(Produced::Wait(HEARTBEAT))
    }

    fn peer_left(&mut self) {
        self.lasts = Lasts::ToPresentEvent;
    }

    fn stalled(&mut self) {
        if let Some(place) = self.topic.lock().readers.get_mut(&self.id) {
            place.is_stalled = true;
        }
    }

    fn shutdown(&mut self) {
        self.lasts = self.lasts.max(Lasts::ToLastEvent);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut shared = self.topic.lock();
        shared.readers.remove(&self.id);
        if let Some((event, hold)) = self.shared.take() {
            shared.release(event, hold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_full_while_a_reader_that_waits_would_miss_an_event() {
        let topic = Topic::new(2);
        let mut reader = reader(&topic, 1);
        assert!(!topic.is_full());
        topic.publish("a");
        topic.publish("b");
        assert!(topic.is_full());
        // It is slow, and holds an event that may leave the ring.
        let _ = read(&mut reader, 3);
        reader.stalled();
        topic.publish("c");
        assert!(!topic.is_full());
        let _ = read(&mut reader, 1000);
        assert!(!topic.is_full());
        topic.publish("d");
        assert!(!topic.is_full());
        topic.publish("e");
        assert!(topic.is_full());
        drop(reader);
        assert!(!topic.is_full());
    }

    #[test]
    fn an_event_has_its_number_its_name_and_a_data_field_for_each_line() {
        let event = Event::new("one\ntwo\r\nthree\rfour").named("a\r\nb");
        assert_eq!(
            event.encode(7),
            "id: 7\nevent: ab\ndata: one\ndata: two\ndata: three\ndata: four\n\n"
        );
        assert_eq!(Event::new("").encode(1), "id: 1\ndata: \n\n");
    }

    fn reader(topic: &Topic, next: u64) -> Reader {
        reader_on(&Account::new(0), topic, next)
    }

    fn reader_on(account: &Account, topic: &Topic, next: u64) -> Reader {
        let mut shared = topic.lock();
        let id = shared.readers.len() as u64;
        shared.readers.insert(id, Place { waker: None, next, is_stalled: false });
        Reader {
            topic: topic.clone(),
            id,
            next,
            rest: Bytes::new(),
            event: None,
            lasts: Lasts::ForEver,
            hold: account.empty(),
            shared: None,
        }
    }

    /// Its readers share the event. Each loop has a budget of its own.
    #[test]
    fn an_event_that_many_readers_hold_counts_once_in_each_loop() {
        let (topic, accounts) = (Topic::new(1), [(); 2].map(|()| Account::new(1 << 20)));
        topic.publish("x".repeat(10_000));
        let mut readers: Vec<_> =
            accounts.iter().flat_map(|of| [(); 3].map(|()| reader_on(of, &topic, 1))).collect();
        for room in [100, 100] {
            for reader in &mut readers {
                assert_eq!(read(reader, room).1, Produced::More);
            }
            let event = "id: 1\ndata: \n\n".len() + 10_000;
            let held = accounts.each_ref().map(Account::held);
            assert_eq!(held, [3 * READER + event; 2]);
        }
        topic.publish("a second event, which pushes the first one out of the ring");
        assert_eq!(read(&mut readers[0], 20_000).1, Produced::Wait(HEARTBEAT));
        assert_eq!(topic.lock().held.len(), 1, "five readers still hold the first");
        readers.drain(..1);
        readers.pop();
        assert_eq!(accounts[0].held(), 2 * READER + 10_014);
        readers.clear();
        assert!(topic.lock().held.is_empty());
        assert_eq!(accounts.each_ref().map(Account::held), [0, 0]);
    }

    fn read(reader: &mut Reader, room: usize) -> (String, Produced) {
        let mut buffer = Vec::new();
        let produced = reader.produce(&mut Out::new(&mut buffer, room)).unwrap();
        (String::from_utf8(buffer).unwrap(), produced)
    }

    #[test]
    fn an_event_that_does_not_fit_is_sent_in_parts() {
        let topic = Topic::new(4);
        topic.publish("abc");
        let mut reader = reader(&topic, 1);
        let (first, produced) = read(&mut reader, 8);
        assert_eq!((first.as_str(), produced), ("id: 1\nda", Produced::More));
        let (second, produced) = read(&mut reader, 100);
        assert_eq!((second.as_str(), produced), ("ta: abc\n\n", Produced::Wait(HEARTBEAT)));
    }

    #[test]
    fn a_reader_whose_next_event_was_dropped_skips_or_is_cut_off() {
        let topic = Topic::new(2);
        for n in 0..5 {
            topic.publish(n.to_string());
        }
        let (text, _) = read(&mut reader(&topic, 2), 1000);
        assert_eq!(text, ": 2 events missed\n\nid: 4\ndata: 3\n\nid: 5\ndata: 4\n\n");
        let topic = Topic::with_options(TopicOptions::new(2).slow(Slow::Cut));
        for n in 0..5 {
            topic.publish(n.to_string());
        }
        let (text, produced) = read(&mut reader(&topic, 2), 1000);
        assert_eq!((text.as_str(), produced), ("", Produced::End));
    }

    #[test]
    fn a_closed_topic_ends_its_readers_after_the_last_event() {
        let topic = Topic::new(2);
        topic.publish("last");
        topic.close();
        assert_eq!(topic.publish("too late"), 2);
        let (text, produced) = read(&mut reader(&topic, 1), 1000);
        assert_eq!((text.as_str(), produced), ("id: 1\ndata: last\n\n", Produced::End));
    }
}
