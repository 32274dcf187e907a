//! Descriptors of a program that the loop watches beside its connections.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use wheelhouse::runtime::{EventLoop, Interest, Next, SourceId, Turn};
use wheelhouse::{Request, Server};

use crate::support::GET_CLOSE;

/// The numbers of bytes that each call of a function has read.
type Calls = Vec<usize>;

fn events() -> EventLoop<Calls> {
    let server = Server::with_state(Calls::new()).listen("127.0.0.1:0").unwrap();
    server.build(|_: &Request<'_>| "served").unwrap()
}

/// Two ends of a stream; the first one does not block.
fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours, theirs)
}

/// Adds a source whose function reads at most `most` bytes in each call.
fn add_reader(events: &mut EventLoop<Calls>, source: UnixStream, most: usize) -> SourceId {
    let added = events.add_source(source, Interest::Read, move |calls, source, readiness| {
        assert!(readiness.is_readable() && !readiness.is_writable());
        let len = source.read(&mut vec![0; most]).unwrap();
        calls.push(len);
        match len {
            0 if most > 0 => Next::Remove,
            _ => Next::Keep,
        }
    });
    added.unwrap()
}

#[track_caller]
fn turn(events: &mut EventLoop<Calls>) {
    assert_eq!(events.turn(Some(Duration::ZERO)).unwrap(), Turn::Running);
}

#[track_caller]
fn assert_dropped(mut theirs: UnixStream) {
    theirs.set_nonblocking(true).unwrap();
    assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "the other end is still open");
}

#[test]
fn a_source_is_called_when_it_has_input_and_not_before() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    add_reader(&mut events, ours, 100);
    for _ in 0..3 {
        turn(&mut events);
    }
    assert_eq!((events.state().clone(), events.next_timeout()), (vec![], None));
    theirs.write_all(b"input").unwrap();
    // Without a bound: the input ends the sleep.
    assert_eq!(events.turn(None).unwrap(), Turn::Running);
    assert_eq!((events.state().clone(), events.next_timeout()), (vec![5], None));
}

#[test]
fn input_that_was_there_before_the_source_is_not_missed() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    theirs.write_all(b"early").unwrap();
    add_reader(&mut events, ours, 100);
    turn(&mut events);
    assert_eq!(*events.state(), [5]);
}

#[test]
fn input_that_is_left_unread_is_offered_in_every_turn_until_it_is_read() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    add_reader(&mut events, ours, 2);
    theirs.write_all(b"abcde").unwrap();
    for n in 0..3 {
        assert_eq!(events.state().len(), n, "one call in each turn");
        turn(&mut events);
    }
    assert_eq!(events.next_timeout(), None, "nothing is left to read");
    turn(&mut events);
    assert_eq!(*events.state(), [2, 2, 1]);
}

#[test]
fn a_source_that_reads_nothing_does_not_keep_connections_waiting() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    add_reader(&mut events, ours, 0);
    theirs.write_all(b"unread").unwrap();
    let mut client = TcpStream::connect(events.local_addrs()[0]).unwrap();
    client.write_all(GET_CLOSE).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    for n in 1..=5 {
        turn(&mut events);
        assert_eq!(events.state().len(), n, "one call in each turn");
        assert_eq!(events.next_timeout(), Some(Duration::ZERO));
    }
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nserved"), "{response}");
}

#[test]
fn the_end_of_the_input_is_offered_and_a_source_that_asks_to_be_removed_is_dropped() {
    let (mut events, (ours, theirs)) = (events(), pair());
    let kept = Rc::new(());
    let of_function = kept.clone();
    let added = events.add_source(ours, Interest::Read, move |calls: &mut Calls, source, _| {
        calls.push(source.read(&mut [0]).unwrap() + Rc::strong_count(&of_function));
        Next::Remove
    });
    let id = added.unwrap();
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    turn(&mut events);
    assert_eq!((&**events.state(), Rc::strong_count(&kept)), (&[2][..], 1));
    assert_dropped(theirs);
    events.remove_source(id);
}

#[test]
fn a_panic_in_a_function_removes_its_source_and_no_other() {
    let (mut events, (ours, theirs), (other, mut writes)) = (events(), pair(), pair());
    let function = |_: &mut Calls, _: &mut UnixStream, _| panic!("a function of a test panics");
    events.add_source(ours, Interest::Read, function).unwrap();
    add_reader(&mut events, other, 100);
    (&theirs).write_all(b"input").unwrap();
    writes.write_all(b"more").unwrap();
    for _ in 0..3 {
        turn(&mut events);
    }
    let reset = (&theirs).read(&mut [0]).unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset, "it was closed with its input unread");
    let (calls, report) = events.into_state();
    assert_eq!((&*calls, report.totals.panics), (&[4][..], 1));
}

#[test]
fn a_source_that_is_removed_is_not_called_although_the_program_has_its_descriptor() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    let ours = Rc::new(ours);
    let function = |calls: &mut Calls, _: &mut Rc<UnixStream>, _| {
        calls.push(0);
        Next::Keep
    };
    let id = events.add_source(ours.clone(), Interest::Read, function).unwrap();
    theirs.write_all(b"input").unwrap();
    turn(&mut events);
    assert_eq!(events.next_timeout(), Some(Duration::ZERO), "input is left unread");
    events.remove_source(id);
    assert_eq!((events.next_timeout(), Rc::strong_count(&ours)), (None, 1));
    theirs.write_all(b"input").unwrap();
    turn(&mut events);
    assert_eq!(*events.state(), [0]);
}

#[test]
fn the_number_of_a_source_that_is_gone_removes_no_later_one() {
    let (mut events, (first, _), (second, mut theirs)) = (events(), pair(), pair());
    let id = add_reader(&mut events, first, 100);
    events.remove_source(id);
    let second = add_reader(&mut events, second, 100);
    assert_ne!(id, second);
    events.remove_source(id);
    theirs.write_all(b"input").unwrap();
    turn(&mut events);
    assert_eq!(*events.state(), [5]);
}

#[test]
fn room_for_output_is_reported_once_and_again_after_a_write_that_found_none() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    let ours = Rc::new(ours);
    let function =
        |calls: &mut Calls, _: &mut Rc<UnixStream>, readiness: wheelhouse::runtime::Readiness| {
            calls.push(usize::from(readiness.is_writable()));
            Next::Keep
        };
    events.add_source(ours.clone(), Interest::Write, function).unwrap();
    for _ in 0..3 {
        turn(&mut events);
    }
    assert_eq!((events.state().clone(), events.next_timeout()), (vec![1], None));
    let mut sent = 0;
    let full = loop {
        match (&*ours).write(&[0; 4096]) {
            Ok(len) => sent += len,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    turn(&mut events);
    assert_eq!(*events.state(), [1]);
    theirs.read_exact(&mut vec![0; sent]).unwrap();
    turn(&mut events);
    assert_eq!(*events.state(), [1, 1]);
}

#[test]
fn an_error_is_reported_to_a_source_that_waits_for_room() {
    let (mut events, (ours, theirs)) = (events(), pair());
    let function = |calls: &mut Calls, source: &mut UnixStream, _| match source.write(b"x") {
        Ok(len) => {
            calls.push(len);
            Next::Keep
        }
        Err(_) => Next::Remove,
    };
    events.add_source(ours, Interest::Write, function).unwrap();
    turn(&mut events);
    drop(theirs);
    turn(&mut events);
    turn(&mut events);
    assert_eq!((events.state().clone(), events.next_timeout()), (vec![1], None));
}

#[test]
fn sources_are_served_by_run_and_dropped_at_its_end() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    let (handle, seen) = (events.handle(), Rc::new(Cell::new(0)));
    let sees = seen.clone();
    let function = move |_: &mut Calls, source: &mut UnixStream, _| {
        sees.set(source.read(&mut [0; 100]).unwrap());
        handle.shutdown();
        Next::Keep
    };
    events.add_source(ours, Interest::Read, function).unwrap();
    theirs.write_all(b"the end").unwrap();
    events.run().unwrap();
    assert_eq!((seen.get(), Rc::strong_count(&seen)), (7, 1));
    assert_dropped(theirs);
}

#[test]
fn sources_are_dropped_when_the_loop_ends_and_no_more_are_taken() {
    let (mut events, (ours, theirs), (late, _)) = (events(), pair(), pair());
    add_reader(&mut events, ours, 100);
    events.handle().shutdown();
    assert_eq!(events.turn(None).unwrap(), Turn::Ended);
    assert_dropped(theirs);
    assert!(events.add_source(late, Interest::Read, |_, _, _| Next::Keep).is_err());
}

#[test]
fn input_of_a_source_makes_the_descriptor_of_the_loop_readable() {
    let (mut events, (ours, mut theirs)) = (events(), pair());
    add_reader(&mut events, ours, 100);
    turn(&mut events);
    let (mut poll, mut ready) = (mio::Poll::new().unwrap(), mio::Events::with_capacity(1));
    let descriptor = events.as_fd().as_raw_fd();
    let mut loop_fd = mio::unix::SourceFd(&descriptor);
    poll.registry().register(&mut loop_fd, mio::Token(0), mio::Interest::READABLE).unwrap();
    poll.poll(&mut ready, Some(Duration::ZERO)).unwrap();
    assert!(ready.is_empty());
    theirs.write_all(b"input").unwrap();
    poll.poll(&mut ready, None).unwrap();
    assert!(!ready.is_empty());
    turn(&mut events);
    assert_eq!(*events.state(), [5]);
}

/// A regular file is always ready: epoll refuses it.
#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_that_cannot_be_watched_is_an_error() {
    let mut events = events();
    let file = File::open("Cargo.toml").unwrap();
    assert!(events.add_source(file, Interest::Read, |_, _, _| Next::Keep).is_err());
}

/// Functions are not `Send`: they share values with the program that turns the loop.
#[test]
fn each_source_that_is_ready_is_called_once_in_a_turn() {
    let mut events = events();
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut theirs = Vec::new();
    for n in 0..3 {
        let ((ours, writes), order) = (pair(), order.clone());
        let function = move |_: &mut Calls, source: &mut UnixStream, _| {
            let _ = source.read(&mut [0]).unwrap();
            order.borrow_mut().push(n);
            Next::Keep
        };
        events.add_source(ours, Interest::Read, function).unwrap();
        theirs.push(writes);
    }
    for mut writes in &theirs {
        writes.write_all(b"ab").unwrap();
    }
    turn(&mut events);
    order.borrow_mut().sort();
    assert_eq!(*order.borrow(), [0, 1, 2]);
    turn(&mut events);
    order.borrow_mut().sort();
    assert_eq!(*order.borrow(), [0, 0, 1, 1, 2, 2]);
}
