//! Timers of the program: they run on time and never early, without drift, and with the state. A
//! server without timers does not wake for them, and they do not keep a server from ending.

use std::time::Duration;

use crate::support::*;
use crate::support::{shut_down, sim_of};
use wheelhouse::runtime::TIMER_MIN;
use wheelhouse::sim::Sim;
use wheelhouse::{Router, Server};

type Calls = Watched<u32>;

fn count(calls: &Calls) -> impl Fn(&mut ()) + Send + 'static {
    let calls = calls.clone();
    move |()| *calls.borrow_mut() += 1
}

/// Lets time pass in milliseconds and notes the times at which the count rises.
fn call_times<S: 'static>(sim: &mut Sim<S>, calls: &Calls, span: Duration) -> Vec<Duration> {
    let (mut times, mut seen) = (Vec::new(), *calls.borrow());
    let end = sim.now() + span;
    while sim.now() < end {
        sim.advance(MS);
        let now = *calls.borrow();
        assert!(now <= seen + 1, "one call at a time");
        if now > seen {
            times.push(sim.now());
        }
        seen = now;
    }
    times
}

#[test]
fn every_runs_at_multiples_of_its_period_for_an_hour() {
    for period in [100, 1000, 4096, 70_000] {
        let calls = Calls::default();
        let period = Duration::from_millis(period);
        let mut sim = sim_of(Server::new().every(period, count(&calls)), site);
        let mut expected = 0;
        while sim.now() < HOUR {
            sim.advance(period / 4);
            let whole = (sim.now().as_millis() / period.as_millis()) as u32;
            let sure = (sim.now().saturating_sub(LATE).as_millis() / period.as_millis()) as u32;
            expected = *calls.borrow();
            assert!((sure..=whole).contains(&expected), "{expected} at {:?}", sim.now());
        }
        assert!(expected > 50);
    }
}

#[test]
fn a_call_is_never_early_and_less_than_a_tick_and_a_millisecond_late() {
    for period in [64, 65, 100, 1000] {
        let calls = Calls::default();
        let period = Duration::from_millis(period);
        let mut sim = sim_of(Server::new().every(period, count(&calls)), site);
        let times = call_times(&mut sim, &calls, Duration::from_secs(5));
        assert!(!times.is_empty());
        for (n, time) in (1..).zip(times) {
            let late = time.checked_sub(period * n).expect("not early");
            assert!(late <= LATE, "call {n} of every {period:?} is {late:?} late");
        }
    }
}

#[test]
fn after_runs_once() {
    let calls = Calls::default();
    let mut sim = sim_of(Server::new().after(SECOND, count(&calls)), site);
    let times = call_times(&mut sim, &calls, Duration::from_secs(10));
    assert_eq!(times.len(), 1);
    assert!((SECOND..=SECOND + LATE).contains(&times[0]), "{times:?}");
    let polls = sim.polls();
    sim.advance(HOUR);
    assert!(sim.polls() <= polls + 2, "no timer is left that would wake the server");
}

#[test]
fn a_distant_timer_does_not_wake_the_server_before_its_time() {
    let calls = Calls::default();
    let mut sim = sim_of(Server::new().every(HOUR, count(&calls)), site);
    let polls = sim.polls();
    sim.advance(24 * HOUR + LATE);
    assert_eq!(*calls.borrow(), 24);
    assert!(sim.polls() <= polls + 26, "{}", sim.polls() - polls);
}

#[test]
fn a_period_is_at_least_a_tick_and_at_most_a_year() {
    let calls = Calls::default();
    let mut sim = sim_of(Server::new().every(Duration::ZERO, count(&calls)), site);
    sim.advance(SECOND);
    let least = (SECOND.as_millis() / TIMER_MIN.as_millis()) as u32 - 1;
    assert!((least..=least + 1).contains(&*calls.borrow()), "{}", calls.borrow());
    let year = Calls::default();
    let mut sim = sim_of(Server::new().after(Duration::MAX, count(&year)), site);
    sim.advance(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(*year.borrow(), 0);
    sim.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(*year.borrow(), 1);
}

#[test]
fn calls_missed_during_a_stall_are_skipped() {
    let calls = Calls::default();
    let mut sim = sim_of(Server::new().every(SECOND, count(&calls)), site);
    sim.pause();
    sim.advance(Duration::from_millis(10_500));
    sim.resume();
    assert_eq!(*calls.borrow(), 1, "of ten calls that were due, one is made");
    let times = call_times(&mut sim, &calls, SECOND);
    assert_eq!(times.len(), 1);
    assert!((11 * SECOND..=11 * SECOND + LATE).contains(&times[0]), "{times:?}");
}

#[test]
fn timers_share_the_state_of_the_routes() {
    let routes = Router::<Vec<&str>>::new().get("/", |log, _| log.join(" ")).build().unwrap();
    let server = Server::with_state(Vec::new())
        .every(SECOND, |log| log.push("tick"))
        .after(SECOND * 5 / 2, |log| log.push("once"));
    let mut sim = sim_of(server, routes);
    sim.advance(SECOND * 7 / 2);
    let client = sim.connect_and_send(GET);
    assert_eq!(content(sim.received(client)), b"tick tick once tick");
}

#[test]
fn timers_do_not_keep_a_server_from_ending() {
    let calls = Calls::default();
    let mut sim = sim_of(Server::new().every(SECOND, count(&calls)).after(HOUR, |()| ()), site);
    let client = sim.connect_and_send(b"GET");
    shut_down(&mut sim);
    sim.advance(SECOND * 3 / 2);
    assert_eq!(*calls.borrow(), 1, "timers run while the server drains");
    sim.send(client, &GET[3..]);
    sim.end(client);
    assert!(!sim.is_running());
    assert!(sim.now() < 2 * SECOND);
}

#[test]
fn a_panic_in_a_timer_is_counted_and_the_next_call_comes() {
    let calls = Calls::default();
    let counted = count(&calls);
    let server = Server::new().every(SECOND, move |()| {
        counted(&mut ());
        panic!("a timer of a test panics");
    });
    let mut sim = sim_of(server, site);
    sim.advance(SECOND * 7 / 2);
    assert_eq!((*calls.borrow(), sim.report().totals.panics), (3, 3));
    let client = sim.connect_and_send(GET);
    assert_eq!(statuses(sim.received(client)), [200]);
}
