//! A server inside a larger program: on a thread, inside another loop, and with functions that
//! other threads hand to it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use wheelhouse::content::{Flow, Lost, Receive};
use wheelhouse::runtime::{ConnectionState, EventLoop, RemoteClosed, Turn};
use wheelhouse::sim::Sim;
use wheelhouse::{Error, Failure, Handle, Reply, Request, Router, Server};

use crate::support::{GET_CLOSE, SECOND};

fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(GET_CLOSE).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_server_on_a_thread_runs_functions_of_other_threads_and_returns_its_report() {
    let server = Server::with_state(1).listen("127.0.0.1:0").unwrap();
    let remote = server.remote();
    let thread = server
        .spawn(|| Router::<i32>::new().get("/", |count, _| format!("{count}")).build())
        .unwrap();
    assert_eq!(ask(thread.local_addrs()[0]), "1");
    remote.run(|count| *count += 6).unwrap();
    assert_eq!(ask(thread.local_addrs()[0]), "7", "a function comes before a later request");
    thread.handle().shutdown();
    assert_eq!(thread.join().unwrap().totals.requests, 2);
    assert!(matches!(remote.run(|_| ()), Err(RemoteClosed { .. })));
}

#[test]
fn spawn_returns_errors_that_occur_before_the_thread_serves() {
    let listening = || Server::new().listen("127.0.0.1:0").unwrap();
    let bad_routes = || Router::<()>::new().get("no slash", |_, _| "").build();
    assert!(matches!(listening().spawn(bad_routes), Err(Error::Route(_))));
    let routes = || Router::<()>::new().build();
    assert!(matches!(Server::new().spawn(routes), Err(Error::NoListener)));
}

#[test]
#[should_panic(expected = "the handler cannot be made")]
fn a_panic_while_the_handler_is_made_reaches_the_caller_of_spawn() {
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let _ = server.spawn(|| -> Result<fn(&Request<'_>) -> &'static str, Error> {
        panic!("the handler cannot be made")
    });
}

/// The test turns the loop itself, with values that are not `Send`, while a client sends a request.
#[test]
fn a_loop_can_be_turned_inside_another_loop() {
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = asked.clone();
    let server = Server::with_state("kept").listen("127.0.0.1:0").unwrap();
    let mut events = server
        .build(move |req: &Request<'_>| {
            count.set(count.get() + 1);
            req.path().to_owned()
        })
        .unwrap();
    let address = events.local_addrs()[0];
    let client = thread::spawn(move || ask(address));
    // Another poll would see that the descriptor becomes readable.
    let (mut poll, mut ready) = (mio::Poll::new().unwrap(), mio::Events::with_capacity(1));
    let descriptor = events.as_fd().as_raw_fd();
    let mut source = mio::unix::SourceFd(&descriptor);
    poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).unwrap();
    poll.poll(&mut ready, None).unwrap();
    assert!(!ready.is_empty());
    while asked.get() == 0 || !client.is_finished() {
        assert_eq!(events.turn(Some(Duration::from_millis(10))).unwrap(), Turn::Running);
    }
    assert_eq!(client.join().unwrap(), "/");
    events.handle().shutdown();
    while events.turn(None).unwrap() == Turn::Running {}
    let (state, report) = events.into_state();
    assert_eq!((state, report.totals.requests), ("kept", 1));
}

#[test]
fn a_turn_sleeps_at_most_for_the_given_time() {
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let mut events = server.build(|_: &Request<'_>| "").unwrap();
    assert_eq!(events.turn(Some(Duration::ZERO)).unwrap(), Turn::Running);
    assert_eq!(events.next_timeout(), None, "nothing is due without connections");
    // Without a bound this call would sleep for ever.
    assert_eq!(events.turn(Some(Duration::from_millis(1))).unwrap(), Turn::Running);
}

#[test]
fn functions_handed_over_before_the_first_turn_run_in_it_in_order() {
    let server = Server::with_state(Vec::new());
    let remote = server.remote();
    for n in 0..3 {
        remote.run(move |list| list.push(n)).unwrap();
    }
    let mut sim = Sim::of(server, |_: &Request<'_>| "").unwrap();
    assert_eq!(*sim.state(), [0, 1, 2]);
}

#[test]
fn a_delayed_function_runs_once_at_its_time() {
    let server = Server::with_state(0);
    let remote = server.remote();
    let mut sim = Sim::of(server, |_: &Request<'_>| "").unwrap();
    remote.after(SECOND, |count| *count += 1).unwrap();
    sim.advance(SECOND - Duration::from_millis(1));
    assert_eq!(*sim.state(), 0);
    sim.advance(Duration::from_millis(66));
    assert_eq!(*sim.state(), 1);
    sim.advance(100 * SECOND);
    assert_eq!(*sim.state(), 1);
}

/// A loop that is kept busy finds several functions due at once.
#[test]
fn delayed_functions_run_in_the_order_of_their_times_and_then_of_their_calls() {
    let server = Server::with_state(Vec::new());
    let remote = server.remote();
    let mut sim = Sim::of(server, |_: &Request<'_>| "").unwrap();
    for (name, delay) in [("b", 2 * SECOND), ("a", SECOND), ("c", 2 * SECOND), ("d", 9 * SECOND)] {
        remote.after(delay, move |names| names.push(name)).unwrap();
    }
    sim.advance(Duration::ZERO);
    sim.pause();
    sim.advance(5 * SECOND);
    sim.resume();
    assert_eq!(*sim.state(), ["a", "b", "c"]);
}

#[test]
fn a_panic_in_a_function_is_counted_and_the_next_one_runs() {
    let server = Server::with_state(0);
    let remote = server.remote();
    let mut sim = Sim::of(server, |_: &Request<'_>| "").unwrap();
    remote.run(|_| panic!("a function of a test panics")).unwrap();
    remote.run(|count| *count += 1).unwrap();
    sim.advance(Duration::ZERO);
    assert_eq!((*sim.state(), sim.report().totals.panics), (1, 1));
}

/// The values that such a function holds are dropped, too.
#[test]
fn functions_that_have_not_run_when_the_loop_ends_are_dropped() {
    struct Counted(Arc<AtomicU32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicU32::new(0));
    let server = Server::with_state(());
    let remote = server.remote();
    let mut sim = Sim::of(server, |_: &Request<'_>| "").unwrap();
    sim.pause();
    let counted = Counted(dropped.clone());
    remote.run(move |()| drop(counted)).unwrap();
    drop(sim);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert!(matches!(remote.run(|()| ()), Err(RemoteClosed { .. })));
}

/// No loop is ever built, so none can take the functions that wait, and those that would follow.
#[test]
fn a_server_that_ends_before_it_runs_drops_functions_and_refuses_further_ones() {
    let ends: [fn(Server<()>); 2] = [drop, |server| {
        assert!(matches!(server.run(|_: &Request<'_>| ""), Err(Error::NoListener)));
    }];
    for end in ends {
        let waits = Arc::new(());
        let server = Server::with_state(());
        let (remote, kept) = (server.remote(), waits.clone());
        remote.run(move |()| drop(kept)).unwrap();
        end(server);
        assert_eq!(Arc::strong_count(&waits), 1);
        assert!(matches!(remote.run(|()| ()), Err(RemoteClosed { .. })));
    }
}

/// The endings that a loop reports to its program, in their order.
type Endings = Arc<Mutex<Vec<String>>>;

struct Content(Endings);

impl Receive<()> for Content {
    fn piece(&mut self, _: &mut (), _: &[u8]) -> Result<Flow, Failure> {
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut ()) -> Reply {
        "".into()
    }

    fn lost(self: Box<Self>, _: &mut (), why: Lost) {
        self.0.lock().unwrap().push(format!("content {why:?}"));
    }
}

/// A loop with one connection, whose client has sent part of its content.
fn busy_loop(endings: &Endings) -> (EventLoop, TcpStream) {
    let (of_states, of_content) = (endings.clone(), endings.clone());
    let server = Server::new().listen("127.0.0.1:0").unwrap();
    let server = server.on_connection_state(move |(), _, state| {
        if state == ConnectionState::Closed {
            of_states.lock().unwrap().push("connection Closed".to_owned());
        }
    });
    let mut events = server
        .build(move |_: &Request<'_>| -> Reply {
            Reply::receive(u64::MAX, Content(of_content.clone()))
        })
        .unwrap();
    let mut client = TcpStream::connect(events.local_addrs()[0]).unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart").unwrap();
    // One turn accepts, the next one calls the handler.
    for _ in 0..3 {
        assert_eq!(events.turn(Some(Duration::ZERO)).unwrap(), Turn::Running);
    }
    (events, client)
}

#[track_caller]
fn assert_reset(mut client: TcpStream) {
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

const STOPPED: [&str; 2] = ["content Stopped", "connection Closed"];

#[test]
fn a_loop_that_is_dropped_ends_as_if_it_was_stopped() {
    let endings = Endings::default();
    let (events, client) = busy_loop(&endings);
    let remote = events.remote();
    drop(events);
    assert_eq!(*endings.lock().unwrap(), STOPPED);
    assert_reset(client);
    assert!(matches!(remote.run(|()| ()), Err(RemoteClosed { .. })));
}

#[test]
fn a_loop_whose_program_panics_ends_as_if_it_was_stopped() {
    let endings = Endings::default();
    let (events, client) = busy_loop(&endings);
    let program = AssertUnwindSafe(|| {
        let _events = events;
        panic!("a program of a test panics");
    });
    assert!(panic::catch_unwind(program).is_err());
    assert_eq!(*endings.lock().unwrap(), STOPPED);
    assert_reset(client);
}

#[test]
fn a_loop_that_gives_its_state_back_counts_the_connections_that_it_resets() {
    let endings = Endings::default();
    let (events, client) = busy_loop(&endings);
    let ((), report) = events.into_state();
    assert_eq!((report.totals.accepted, report.reset, report.drained), (1, 1, 0));
    assert_eq!(*endings.lock().unwrap(), STOPPED);
    assert_reset(client);
}

#[test]
fn a_loop_that_has_ended_takes_no_function_and_does_not_sleep() {
    let dropped = Arc::new(());
    for end in [Handle::stop, Handle::shutdown] {
        let server = Server::with_state(0).listen("127.0.0.1:0").unwrap();
        let mut events = server.build(|_: &Request<'_>| "").unwrap();
        let (handle, remote) = (events.handle(), events.remote());
        let kept = dropped.clone();
        remote.after(SECOND, move |_| drop(kept)).unwrap();
        end(&handle);
        assert_eq!(events.turn(None).unwrap(), Turn::Ended);
        assert!(matches!(remote.run(|count| *count += 1), Err(RemoteClosed { .. })));
        assert_eq!(Arc::strong_count(&dropped), 1, "a function that waits is dropped at the end");
        // With the message of a second call in the mailbox, and without.
        end(&handle);
        for _ in 0..2 {
            assert_eq!(events.next_timeout(), None, "a loop that has ended waits for nothing");
            assert_eq!(events.turn(None).unwrap(), Turn::Ended);
        }
        assert_eq!((*events.state(), events.into_state().1.totals.accepted), (0, 0));
    }
}
