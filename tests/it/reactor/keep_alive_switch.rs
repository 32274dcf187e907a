//! The switch that ends keep-alive: idle connections close at once, the others after their
//! response. Switched on again, the server keeps connections as before.

use crate::support::*;
use crate::support::{set_keep_alive, shut_down};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::{Request, Response};

fn says_close<S: 'static>(sim: &mut Sim<S>, client: Client) -> bool {
    String::from_utf8_lossy(sim.received(client)).contains("\r\nConnection: close\r\n")
}

/// Go: TestServerKeepAlivesEnabled (t175), TestServerKeepAlivesEnabledResultClose (t176).
#[test]
fn while_keep_alive_is_off_each_connection_closes_after_one_response() {
    let mut sim = Sim::new(|req: &Request<'_>| Response::text(req.id().index().to_string()));
    set_keep_alive(&mut sim, false);
    for _ in 0..3 {
        let client = sim.connect_and_send(GET.repeat(2));
        assert_eq!(content(sim.received(client)), b"0", "the second request is not served");
        assert!(says_close(&mut sim, client));
        sim.end(client);
        assert!(!sim.is_open(client) && !sim.was_reset(client));
    }
    assert!(sim.is_running());
}

/// Go: TestServerSetKeepAlivesEnabledClosesConns (t177).
#[test]
fn switching_keep_alive_off_closes_idle_connections_at_once_and_silently() {
    let mut sim = Sim::new(site);
    let idle = sim.connect_and_send(GET);
    sim.send(idle, GET);
    assert_eq!(
        statuses(&sim.take_received(idle)),
        [200, 200],
        "one connection serves both requests"
    );
    set_keep_alive(&mut sim, false);
    assert!(closed_silently(&mut sim, idle) && !sim.was_reset(idle));
}

#[test]
fn requests_in_progress_are_finished_when_keep_alive_is_switched_off() {
    let mut sim = Sim::new(site);
    let new = sim.connect();
    let half = sim.connect_and_send(GET);
    sim.take_received(half);
    sim.send(half, &GET[..10]);
    let big = sim.connect();
    sim.stall(big, 100_000);
    sim.send(big, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    set_keep_alive(&mut sim, false);
    assert!([new, half, big].into_iter().all(|client| sim.is_open(client)));
    sim.send(new, GET);
    sim.send(half, &GET[10..]);
    sim.unstall(big);
    assert!(says_close(&mut sim, new) && says_close(&mut sim, half));
    assert!(
        content(sim.received(big)) == &BIG[..],
        "it is finished, although its head promised to keep the connection"
    );
    assert!(!sim.is_open(big) && !sim.was_reset(big));
}

#[test]
fn a_request_that_arrives_with_the_switch_is_served() {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(GET);
    sim.take_received(client);
    sim.pause();
    sim.send(client, GET);
    set_keep_alive(&mut sim, false);
    sim.resume();
    assert_eq!(statuses(sim.received(client)), [200]);
    assert!(says_close(&mut sim, client));
}

#[test]
fn switching_keep_alive_on_again_keeps_connections_unless_the_server_is_ending() {
    let mut sim = Sim::new(site);
    set_keep_alive(&mut sim, false);
    set_keep_alive(&mut sim, true);
    let client = sim.connect_and_send(GET);
    sim.send(client, GET);
    assert_eq!(statuses(sim.received(client)), [200, 200]);
    let last = sim.connect_and_send(&GET[..5]);
    shut_down(&mut sim);
    set_keep_alive(&mut sim, true);
    sim.send(last, &GET[5..]);
    assert!(says_close(&mut sim, last));
    sim.end(last);
    assert!(!sim.is_running());
}
