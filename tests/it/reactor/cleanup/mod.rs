//! However and whenever a connection ends, everything that its handler began is cleaned up.

mod destructors;

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use crate::support::{shut_down, stop_now};
use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::events::Topic;
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{Body, Failure, Later, Reply, Request, Response};

/// Has one owner again when everything that a handler began has been dropped.
type Witness = Arc<()>;

struct Held(#[allow(dead_code)] Witness);

impl Protocol<()> for Held {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        connection: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        Ok(connection.put(&input[..input.len() / 2 * 2]))
    }
}

impl Receive<()> for Held {
    fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
        Ok(Flow::Pause)
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        "never".into()
    }
}

impl Produce for Held {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        out.put(b"a word, and then silence");
        Ok(Produced::Wait(300 * SECOND))
    }
}

fn site(witness: &Witness, topic: &Topic) -> impl FnMut(&Request<'_>) -> Reply {
    let (witness, topic) = (Arc::clone(witness), topic.clone());
    move |req| {
        let held = Held(Arc::clone(&witness));
        match req.path() {
            "/upgrade" => Reply::upgrade("held", held),
            "/hijack" => Reply::hijack(move |(), _| drop(held)),
            "/receive" => Reply::receive(u64::MAX, held),
            "/produce" => Response::ok("x/y", Body::produce(held)).into(),
            "/events" => topic.subscribe(req).into(),
            "/later" => later_to(move |later: Later| {
                std::mem::forget(later);
                drop(held);
            }),
            "/collect-later" => Reply::collect(1000, move |(), _, _| {
                later_to(move |later| {
                    std::mem::forget(later);
                    drop(held);
                })
            }),
            "/channel" => {
                let (sender, body) = Body::channel(5000);
                while sender.try_send(&[b'x'; 1000][..]).is_ok() {}
                std::mem::forget(sender);
                Response::ok("x/y", body).into()
            }
            _ => "plain".into(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Reset,
    End,
    Stalled,
    Silence,
    Drain,
    Stop,
}

#[test]
fn however_a_connection_ends_its_request_is_cleaned_up() {
    use Ending::{Drain, End, Reset, Silence, Stalled, Stop};
    let paths = [
        "/upgrade",
        "/hijack",
        "/receive",
        "/produce",
        "/events",
        "/later",
        "/collect-later",
        "/channel",
    ];
    for path in paths {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: held\r\n\
             Content-Length: {}\r\n\r\n",
            if path == "/upgrade" { 0 } else { 5 }
        );
        let all = [head.as_bytes(), b"hello, and case follows it"].concat();
        for ending in [Reset, End, Stalled, Silence, Drain, Stop] {
            for cut in (head.len() - 1..=all.len()).step_by(3) {
                let (witness, topic) = (Arc::new(()), Topic::new(2));
                let mut sim = Sim::new(site(&witness, &topic));
                let base = base(&mut sim);
                let client = sim.connect();
                if matches!(ending, Stalled) {
                    sim.stall(client, 100);
                }
                sim.send(client, &all[..cut]);
                sim.advance(MS);
                match ending {
                    Reset => sim.reset(client),
                    End => sim.end(client),
                    Stalled | Silence => {}
                    Drain => shut_down(&mut sim),
                    Stop => stop_now(&mut sim),
                }
                // Within ten minutes everything ends except a stream whose client still reads.
                for _ in 0..40 {
                    sim.advance(Duration::from_secs(15));
                }
                let is_read_on =
                    path == "/events" && matches!(ending, Silence) && sim.is_open(client);
                if is_read_on {
                    assert_eq!(topic.readers(), 1);
                    sim.reset(client);
                    sim.advance(Duration::from_secs(15));
                }
                let case = format!("{path} {ending:?} {cut}");
                assert!(!sim.is_open(client), "{case}: still open");
                assert_eq!(sim.memory(), base, "{case}");
                assert_eq!(topic.readers(), 0, "{case}");
                drop(sim);
                assert_eq!(Arc::strong_count(&witness), 1, "{case}");
            }
        }
    }
}

/// Endless content, in whatever room there is.
struct Endless;

impl Produce for Endless {
    fn produce(&mut self, out: &mut Out<'_>) -> std::io::Result<Produced> {
        let room = out.room();
        out.put(&vec![b'x'; room]);
        Ok(Produced::More)
    }
}

#[test]
fn a_reset_while_produced_content_waits_gives_its_block_back() {
    let mut sim = Sim::new(|_: &Request<'_>| Response::ok("text/plain", Body::produce(Endless)));
    let warm = sim.connect();
    sim.reset(warm);
    let before = sim.memory();
    let client = sim.connect();
    sim.stall(client, 1_000);
    sim.send(client, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    assert!(sim.memory() > before, "the bytes that the socket did not take are held");
    sim.reset(client);
    assert!(!sim.is_open(client));
    assert_eq!(sim.memory(), before);
}
