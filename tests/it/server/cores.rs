//! One server for each core: a factory makes each in its own thread, and all end together.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wheelhouse::runtime::{Cores, Listener};
use wheelhouse::{Error, Request, Response, Server};

const PATIENCE: Duration = Duration::from_secs(30);

fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.split_once("\r\n\r\n").expect("a whole head").1.to_owned()
}

/// Cores that share a port, which the first one chooses. The handler of `/end` shuts its own server
/// down.
fn start(count: usize) -> (Cores, SocketAddr) {
    let address = Arc::new(OnceLock::new());
    let found = address.clone();
    let cores = Cores::start(count, move |core| {
        let server = match found.get() {
            None => Server::new().listen(Listener::new("127.0.0.1:0").shared())?,
            Some(address) => Server::new().listen(Listener::from(*address).shared())?,
        };
        found.get_or_init(|| server.local_addrs()[0]);
        let handle = server.handle();
        // The value is neither `Send` nor `Sync`: it belongs to this core alone.
        let served = Rc::new(Cell::new(0));
        let handler = move |req: &Request<'_>| {
            served.set(served.get() + 1);
            if req.path() == "/end" {
                handle.shutdown();
            }
            Response::text(format!("{core} {}", served.get()))
        };
        server.build(handler)
    });
    (cores.unwrap(), *address.get().unwrap())
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_distributes_connections_to_all_cores_and_each_counts_its_own() {
    let (cores, address) = start(3);
    let mut met = BTreeSet::new();
    let mut asked = 0;
    while met.len() < 3 {
        let response = ask(address, "/");
        met.insert(response.split(' ').next().unwrap().to_owned());
        asked += 1;
        assert!(asked < 10_000, "only {met:?} were met");
    }
    cores.handle().shutdown();
    let reports = cores.join().unwrap();
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(|report| report.totals.requests > 0));
    assert_eq!(reports.iter().map(|report| report.totals.requests).sum::<u64>(), asked);
    assert!(is_refused(address));
}

#[test]
fn a_handler_that_shuts_its_own_core_down_ends_all_cores() {
    let (cores, address) = start(3);
    ask(address, "/end");
    assert_eq!(cores.join().unwrap().len(), 3);
    assert!(is_refused(address));
}

#[test]
fn a_stop_ends_all_cores_whatever_they_do() {
    let (cores, address) = start(2);
    let handle = cores.handle().clone();
    let mut half: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
    half.iter_mut().for_each(|stream| stream.write_all(b"GET / HT").unwrap());
    handle.shutdown_within(Duration::MAX);
    handle.stop();
    cores.join().unwrap();
    handle.stop();
    assert!(is_refused(address));
}

#[test]
fn a_factory_that_fails_ends_the_other_cores_before_they_serve() {
    let kept = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = kept.local_addr().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let failed = Cores::start(4, move |core| {
        count.fetch_add(1, Ordering::SeqCst);
        let server = match core {
            2 => Server::new().listen(address)?,
            _ => Server::new().listen("127.0.0.1:0")?,
        };
        server.build(|_: &Request<'_>| "never")
    });
    match failed {
        Err(Error::Listen { address: named, .. }) => assert_eq!(named, address.to_string()),
        other => panic!("{other:?}"),
    }
    assert_eq!(made.load(Ordering::SeqCst), 3, "the fourth core is not tried");
}

#[test]
fn a_server_without_a_listener_is_an_error() {
    let failed = Cores::start(2, |_| Server::new().build(|_: &Request<'_>| "never"));
    assert!(matches!(failed, Err(Error::NoListener)), "{failed:?}");
}

#[test]
#[should_panic(expected = "a factory of a test panics")]
fn a_panic_in_a_factory_reaches_the_caller() {
    let _ = Cores::start(2, |core| {
        assert_ne!(core, 1, "a factory of a test panics");
        Server::new().listen("127.0.0.1:0")?.build(|_: &Request<'_>| "never")
    });
}

#[test]
fn cores_may_share_a_socket_that_was_opened_once() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let cores = Cores::start(2, move |core| {
        let own = socket.try_clone().map_err(Error::Loop)?;
        Server::new().listen(own)?.build(move |_: &Request<'_>| format!("{core}"))
    });
    let cores = cores.unwrap();
    for _ in 0..20 {
        assert!(["0", "1"].contains(&ask(address, "/").as_str()));
    }
    cores.handle().shutdown();
    let requests: u64 = cores.join().unwrap().iter().map(|report| report.totals.requests).sum();
    assert_eq!(requests, 20);
    assert!(is_refused(address), "all clones of the socket are closed");
}
