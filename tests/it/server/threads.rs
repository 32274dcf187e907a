//! Responses, content and connections that go through other threads.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::later_to;
use wheelhouse::body::SendError;
use wheelhouse::runtime::ConnectionState;
use wheelhouse::upgrade::{Connection, HijackedStream, Protocol};
use wheelhouse::{Body, Later, Reply, Request, Response};

use super::running::{Running, PATIENCE};

/// A hundred workers run at once, each for a connection of its own.
#[test]
fn responses_from_many_threads_reach_their_connections() {
    let server = Running::new(|req: &Request<'_>| -> Reply {
        let path = req.path().to_owned();
        later_to(|later: Later| {
            thread::spawn(move || later.respond_with(move |()| path));
        })
    });
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for round in 0..5 {
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(format!("GET /{n}/{round} HTTP/1.1\r\nHost: here\r\n\r\n"));
        }
        for (n, client) in clients.iter_mut().enumerate() {
            client.response().assert(200, format!("/{n}/{round}"));
        }
    }
}

/// The kernel reports it without a read, however much of the content is still missing (t91, t96,
/// w11, w31).
#[test]
fn a_worker_sees_a_peer_end_its_side_and_a_peer_reset() {
    for resets in [false, true] {
        for request in [
            "GET / HTTP/1.1\r\nHost: here\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nunread",
            "GET / HTTP/1.1\r\nHost: here\r\n\r\nGET /next HTTP/1.1\r\nHost: here\r\n\r\n",
        ] {
            let (give, take) = mpsc::channel();
            let server = Running::new(move |_: &Request<'_>| -> Reply {
                let give = give.clone();
                later_to(move |later: Later| _ = give.send(later))
            });
            let mut client = server.connect();
            client.send(request);
            let later = take.recv_timeout(PATIENCE).unwrap();
            assert!(!later.peer_has_left());
            if resets {
                client.reset();
            } else {
                client.end();
            }
            let since = Instant::now();
            while !later.peer_has_left() {
                assert!(since.elapsed() < PATIENCE, "not seen after {request:?}");
                thread::sleep(Duration::from_millis(1));
            }
            if resets {
                // Nothing that is sent can arrive.
                server.wait_for(ConnectionState::Closed);
                assert!(later.is_over());
            } else {
                later.respond_with(|()| Response::text("all the same").with_close());
                server.wait_for(ConnectionState::Closed);
            }
        }
    }
}

/// A sender never blocks the loop; a peer that does not read blocks the sender.
#[test]
fn content_from_another_thread_arrives_whole_and_in_order() {
    const PIECES: u32 = 20_000;
    let server = Running::new(|_: &Request<'_>| {
        let (sender, body) = Body::channel(8 << 10);
        thread::spawn(move || {
            for n in 0..PIECES {
                sender.send(format!("{n:08}")).unwrap();
            }
            sender.finish();
        });
        Response::ok("text/plain", body)
    });
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let all = client.rest();
    let content = &all[all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4..];
    assert_eq!(content.len(), 8 * PIECES as usize);
    assert!(content.chunks(8).zip(0u32..).all(|(eight, n)| eight == format!("{n:08}").as_bytes()));
}

#[test]
fn a_sender_gets_an_error_after_its_peer_has_left() {
    let (report, errors) = mpsc::channel();
    let server = Running::new(move |_: &Request<'_>| {
        let (sender, body) = Body::channel(1000);
        let report = report.clone();
        thread::spawn(move || loop {
            if let Err(error) = sender.send(&[b'x'; 500][..]) {
                return report.send(error).unwrap();
            }
        });
        Response::ok("text/plain", body)
    });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    client.head();
    client.reset();
    let error = errors.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(error, SendError::Closed(_)), "{error}");
}

/// The stream is blocking and comes with the bytes already read. Its client receives only the bytes
/// that the thread writes, long after the handler has returned, and no response (t94, t157, t161,
/// t163, t167).
#[test]
fn a_stream_that_is_handed_out_belongs_to_its_thread() {
    let server = Running::new(|_: &Request<'_>| -> Reply {
        Reply::hijack(|(), hijacked| {
            let mut stream = hijacked.stream;
            let mut all = hijacked.read;
            thread::spawn(move || {
                stream.read_to_end(&mut all).unwrap();
                stream.write_all(&all[..3]).unwrap();
                stream.write_all(&all[3..]).unwrap();
            });
        })
    });
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\nfirst ");
    server.wait_for(ConnectionState::Hijacked);
    client.send(vec![b'.'; 100_000]);
    client.end();
    let all = client.rest();
    assert_eq!((all.len(), &all[..7]), (100_006, &b"first ."[..]));
    // The loop no longer knows the connection and continues to serve.
    assert_eq!(server.finish().drained, 0);
}

/// The worker of the request before has asked whether its client has left (t93, t164).
#[test]
fn a_connection_can_be_handed_out_after_a_response_of_another_thread() {
    let server = Running::new(|req: &Request<'_>| -> Reply {
        let peer = req.peer_addr().unwrap();
        match req.path() {
            "/later" => later_to(move |later: Later| {
                thread::spawn(move || {
                    let has_left = later.peer_has_left();
                    later.respond_with(move |()| format!("{has_left} {peer}"));
                });
            }),
            _ => Reply::hijack(move |(), hijacked| {
                let HijackedStream::Tcp(mut stream) = hijacked.stream else {
                    panic!("a TCP listener")
                };
                assert_eq!(stream.peer_addr().unwrap(), peer);
                thread::spawn(move || {
                    let head = format!("HTTP/1.0 200 OK\r\nPeer: {peer}\r\nContent-Length: 0\r\n");
                    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
                });
            }),
        }
    });
    let mut client = server.connect();
    let own = client.stream().local_addr().unwrap();
    client.get("/later").assert(200, format!("false {own}"));
    client.send("GET /mine HTTP/1.1\r\nHost: here\r\n\r\n");
    let expected = format!("HTTP/1.0 200 OK\r\nPeer: {own}\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(String::from_utf8(client.rest()).unwrap(), expected);
}

#[test]
fn a_stream_of_a_unix_listener_can_be_handed_out_too() {
    let dir = std::env::temp_dir().join(format!("wheelhouse-hijack-{}", std::process::id()));
    let address = format!("unix:{}", dir.display());
    let server = Running::on(
        &["127.0.0.1:0", &address],
        wheelhouse::Limits::default(),
        |_: &Request<'_>| -> Reply {
            Reply::hijack(|(), hijacked| {
                let mut stream = hijacked.stream;
                assert!(matches!(stream, HijackedStream::Unix(_)));
                thread::spawn(move || stream.write_all(b"by hand").unwrap());
            })
        },
    );
    let mut stream = std::os::unix::net::UnixStream::connect(&dir).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all, "by hand");
    drop(server);
}

/// Sends every byte back.
struct Echo;

impl<S> Protocol<S> for Echo {
    fn receive(
        &mut self,
        _: &mut S,
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        Ok(connection.put(input))
    }
}

/// The peer sends much before it reads: the windows of both sides fill, and no byte is lost.
#[test]
fn an_upgraded_connection_carries_megabytes_both_ways() {
    const MANY: usize = 8 << 20;
    let server = Running::new(|_: &Request<'_>| Reply::<()>::upgrade("echo", Echo));
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: here\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    let mut writer = client.stream().try_clone().unwrap();
    let sending = thread::spawn(move || {
        let bytes: Vec<u8> = (0..MANY).map(|n| (n % 251) as u8).collect();
        writer.write_all(&bytes).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let all = client.rest();
    sending.join().unwrap();
    assert_eq!(all.len(), MANY);
    assert!(all.iter().enumerate().all(|(n, &byte)| byte == (n % 251) as u8));
}
