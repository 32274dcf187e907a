//! A pool of threads: results, a full queue, jobs that are not needed any more, panics, the end.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Mutex;
use std::time::Duration;

use crate::support::*;
use wheelhouse::sim::Sim;
use wheelhouse::{
    Body, Error, Failure, Handler, Pool, PoolFull, Reply, Request, Response, StatusCode,
};

const LONG: Duration = Duration::from_secs(60);

/// Jobs that note their beginning and wait for the test.
struct Gate {
    begun: Receiver<String>,
    open: Sender<()>,
}

/// A site whose jobs wait at a gate, and then respond with the path.
fn gated(pool: &Pool) -> (impl Handler, Gate) {
    let (begin, begun) = mpsc::channel();
    let (open, opened) = mpsc::channel::<()>();
    let opened = std::sync::Arc::new(Mutex::new(opened));
    let pool = pool.clone();
    let handler = move |req: &Request<'_>| -> Reply {
        let (path, begin, opened) = (req.path().to_owned(), begin.clone(), opened.clone());
        pool.run(move || {
            begin.send(path.clone()).unwrap();
            opened.lock().unwrap().recv().unwrap();
            path
        })
    };
    (handler, Gate { begun, open })
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

#[test]
fn the_result_of_a_job_is_the_response() {
    let pool = Pool::new("test", 2, 10).unwrap();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        let path = req.path().to_owned();
        pool.run(move || -> Result<Response, Failure> {
            let n: u32 = path.trim_start_matches('/').parse()?;
            Ok(Response::text(format!("{}\n", n * 2)))
        })
    });
    assert_eq!(sim.get("/21").text(), "42\n");
    assert_eq!(sim.get("/x").status(), 500);
}

#[test]
fn a_job_runs_in_a_named_thread_and_then_the_loop_has_the_state() {
    let pool = Pool::new("rows", 1, 10).unwrap();
    let here = std::thread::current().id();
    let handler = move |_: &Request<'_>| -> Reply<Vec<String>> {
        let job = || std::thread::current().name().unwrap().to_owned();
        pool.run_then(job, move |names: &mut Vec<String>, name| {
            assert_eq!(std::thread::current().id(), here);
            names.push(name);
            format!("{}\n", names.len())
        })
    };
    let mut sim = Sim::with_state(Vec::new(), handler);
    assert_eq!(sim.get("/").text(), "1\n");
    assert_eq!(sim.get("/").text(), "2\n");
    assert_eq!(*sim.state(), ["rows-0", "rows-0"]);
}

#[test]
fn a_full_queue_is_a_503_with_retry_after_at_once() {
    let pool = Pool::new("test", 1, 1).unwrap();
    let (site, gate) = gated(&pool);
    let mut sim = Sim::new(site);
    let first = sim.connect_and_send(get("/first"));
    assert_eq!(gate.begun.recv().unwrap(), "/first");
    let second = sim.connect_and_send(get("/second"));
    assert_eq!((pool.running(), pool.queued()), (1, 1));
    let third = sim.connect_and_send(get("/third"));
    let refusal = sim.response(third).unwrap();
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refusal.header("Retry-After"), Some("5"));
    assert!(sim.is_open(third), "the connection can be used again");
    gate.open.send(()).unwrap();
    gate.open.send(()).unwrap();
    sim.settle();
    assert_eq!(sim.response(first).unwrap().text(), "/first");
    assert_eq!(sim.response(second).unwrap().text(), "/second");
    assert_eq!((pool.running(), pool.queued()), (0, 0));
}

#[test]
fn a_free_thread_takes_a_job_even_without_room_for_waiting_jobs() {
    let pool = Pool::new("test", 2, 0).unwrap();
    let (site, gate) = gated(&pool);
    let mut sim = Sim::new(site);
    let clients = [sim.connect_and_send(get("/a")), sim.connect_and_send(get("/b"))];
    let refused = sim.connect_and_send(get("/c"));
    assert_eq!(sim.response(refused).unwrap().status(), 503);
    gate.open.send(()).unwrap();
    gate.open.send(()).unwrap();
    sim.settle();
    for client in clients {
        assert_eq!(sim.response(client).unwrap().status(), 200);
    }
}

#[test]
fn a_job_whose_client_has_left_is_skipped() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let (site, gate) = gated(&pool);
    let mut sim = Sim::new(site);
    let first = sim.connect_and_send(get("/first"));
    assert_eq!(gate.begun.recv().unwrap(), "/first");
    let reset = sim.connect_and_send(get("/reset"));
    let ended = sim.connect_and_send(get("/ended"));
    let last = sim.connect_and_send(get("/last"));
    sim.reset(reset);
    sim.end(ended);
    turn(&mut sim);
    for _ in 0..4 {
        gate.open.send(()).unwrap();
    }
    sim.settle();
    assert_eq!(sim.response(first).unwrap().text(), "/first");
    assert_eq!(sim.response(last).unwrap().text(), "/last");
    assert_eq!(sim.response(ended).unwrap().status(), 503, "it may still read");
    assert_eq!(gate.begun.try_iter().collect::<Vec<_>>(), ["/last"]);
}

#[test]
fn a_late_job_is_a_504_and_is_skipped_if_it_has_not_begun() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let (mut site, gate) = gated(&pool);
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        site.handle(&mut (), req).with_handler_timeout(5 * SECOND)
    });
    let running = sim.connect_and_send(get("/running"));
    assert_eq!(gate.begun.recv().unwrap(), "/running");
    let waiting = sim.connect_and_send(get("/waiting"));
    sim.advance(6 * SECOND);
    assert_eq!(sim.response(running).unwrap().status(), 504);
    assert_eq!(sim.response(waiting).unwrap().status(), 504);
    gate.open.send(()).unwrap();
    assert_eq!(pool.finish(LONG), 0);
    assert_eq!(gate.begun.try_iter().count(), 0);
}

#[test]
fn a_job_that_panics_is_a_500_and_its_thread_goes_on() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let jobs = pool.clone();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        let path = req.path().to_owned();
        jobs.run(move || {
            assert_ne!(path, "/panic", "a job of this test panics");
            path
        })
    });
    assert_eq!(sim.get("/panic").status(), 500);
    assert_eq!(sim.get("/fine").text(), "/fine");
    assert_eq!(pool.finish(LONG), 0);
    assert_eq!(pool.panics(), 1);
}

#[test]
fn a_shutdown_waits_for_jobs_that_have_begun() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let (site, gate) = gated(&pool);
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(get("/slow"));
    gate.begun.recv().unwrap();
    sim.handle().shutdown_within(LONG);
    turn(&mut sim);
    assert!(sim.is_running());
    gate.open.send(()).unwrap();
    sim.settle();
    assert_eq!(sim.response(client).unwrap().text(), "/slow");
    turn(&mut sim);
    assert!(!sim.is_running());
}

#[test]
fn finish_runs_the_queue_and_takes_no_more_jobs() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let (note, notes) = mpsc::channel();
    for n in 0..5 {
        let note = note.clone();
        pool.execute(move || note.send(n).unwrap()).unwrap();
    }
    assert_eq!(pool.finish(LONG), 0);
    assert_eq!(notes.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(matches!(pool.execute(|| ()), Err(PoolFull { .. })));
}

#[test]
fn finish_reports_the_jobs_that_it_did_not_wait_for() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let (open, opened) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    pool.execute(move || {
        begin.send(()).unwrap();
        let _ = opened.recv();
    })
    .unwrap();
    begun.recv().unwrap();
    pool.execute(|| unreachable!("the queue is dropped")).unwrap();
    assert_eq!(pool.finish(Duration::ZERO), 2);
    drop(open);
    assert_eq!(pool.finish(LONG), 0);
    assert_eq!(pool.panics(), 0);
}

#[test]
fn jobs_in_the_queue_run_after_the_last_clone_is_dropped() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let (note, notes) = mpsc::channel();
    for n in 0..3 {
        let note = note.clone();
        pool.execute(move || note.send(n).unwrap()).unwrap();
    }
    drop(pool);
    drop(note);
    // The channel ends when the thread has run all jobs.
    assert_eq!(notes.iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_pool_without_threads_is_an_error() {
    for (name, threads) in [("none", 0), ("nul\0", 1)] {
        let error = Pool::new(name, threads, 1).unwrap_err();
        assert!(matches!(&error, Error::Pool { name: named, .. } if named == name));
        let text = format!("{error:?}");
        assert!(text.ends_with("it needs at least one thread, and a name without NUL"), "{text}");
    }
}

#[test]
fn a_full_pool_that_a_handler_returns_as_an_error_is_a_503_with_retry_after() {
    let pool = Pool::new("test", 1, 0).unwrap();
    let (open, opened) = mpsc::channel::<()>();
    let jobs = pool.clone();
    let with = move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/failure" => jobs.execute(|| ()).map_err(Failure::from).map(|()| "done").into(),
            "/boxed" => jobs
                .execute(|| ())
                .map_err(Box::<dyn std::error::Error + Send + Sync>::from)
                .map(|()| "done")
                .into(),
            "/response" => jobs.execute(|| ()).map_err(Response::from).map(|()| "done").into(),
            _ => jobs.execute(|| ()).map(|()| "done").into(),
        }
    };
    let mut sim = Sim::new(with);
    pool.execute(move || opened.recv().unwrap()).unwrap();
    for path in ["/failure", "/boxed", "/response", "/"] {
        let refusal = sim.get(path);
        assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(refusal.header("Retry-After"), Some("5"), "{path}");
    }
    open.send(()).unwrap();
}

#[test]
fn a_job_can_go_on_after_its_response_and_send_the_content() {
    let pool = Pool::new("test", 1, 10).unwrap();
    let mut sim = Sim::new(move |_: &Request<'_>| -> Reply {
        pool.run_later(|later| {
            let (sender, body) = Body::channel(100);
            later.respond(Response::ok("text/plain", body));
            (0..1000).for_each(|n| sender.send(format!("{n}\n")).unwrap());
            sender.finish();
        })
    });
    let response = sim.get("/");
    assert!(response.text().ends_with("\n999\n"), "{}", response.text().len());
}

#[test]
fn a_job_that_responds_itself_is_under_the_same_rules() {
    let pool = Pool::new("test", 1, 1).unwrap();
    let (begin, begun) = mpsc::channel();
    let (open, opened) = mpsc::channel::<()>();
    let opened = std::sync::Arc::new(Mutex::new(opened));
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        let (path, begin, opened) = (req.path().to_owned(), begin.clone(), opened.clone());
        pool.run_later(move |later| {
            begin.send(path).unwrap();
            opened.lock().unwrap().recv().unwrap();
            drop(later);
        })
    });
    let forgets = sim.connect_and_send(get("/forgets"));
    assert_eq!(begun.recv().unwrap(), "/forgets");
    let skipped = sim.connect_and_send(get("/skipped"));
    let refused = sim.connect_and_send(get("/refused"));
    assert_eq!(sim.response(refused).unwrap().header("Retry-After"), Some("5"));
    sim.reset(skipped);
    open.send(()).unwrap();
    sim.settle();
    assert_eq!(sim.response(forgets).unwrap().status(), 500);
    assert!(begun.try_recv().is_err(), "the job of a client that left does not begin");
}

#[test]
fn each_thread_lends_its_own_value_to_its_jobs_and_keeps_it_after_a_panic() {
    assert!(matches!(Pool::<u32>::with_values("none", [], 10), Err(Error::Pool { .. })));
    let pool = Pool::with_values("values", [vec![7], vec![8]], 10).unwrap();
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
    let of_handler = pool.clone();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        let panics = req.path() == "/panic";
        let barrier = barrier.clone();
        of_handler.run_with(move |value| {
            value.push(value.len());
            assert!(!panics, "a job of a test");
            barrier.wait(); // Both threads have a job now.
            format!("{value:?}")
        })
    });
    let both = |sim: &mut Sim| {
        let clients = [sim.connect_and_send(get("/")), sim.connect_and_send(get("/"))];
        sim.settle();
        let mut texts = clients.map(|client| sim.response(client).unwrap().text().to_owned());
        texts.sort();
        texts
    };
    assert_eq!(both(&mut sim), ["[7, 1]", "[8, 1]"]);
    assert_eq!(sim.get("/panic").status(), 500);
    let [seven, eight] = both(&mut sim);
    assert_eq!((pool.panics(), seven.len() + eight.len()), (1, "[7, 1, 2, 3][8, 1, 2]".len()));
}

/// Counts the values that are alive.
#[test]
fn the_values_are_dropped_when_the_threads_end() {
    let value = std::sync::Arc::new(());
    let pool = Pool::with_values("values", [value.clone(), value.clone()], 10).unwrap();
    assert_eq!(std::sync::Arc::strong_count(&value), 3);
    drop(pool);
    let give_up = std::time::Instant::now() + LONG;
    while std::sync::Arc::strong_count(&value) > 1 {
        assert!(std::time::Instant::now() < give_up);
        std::thread::yield_now();
    }
}

/// The destructor of a value may write the last bytes of a file.
#[test]
fn finish_waits_for_the_destructors_of_the_values() {
    struct Slow(Sender<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(100));
            self.0.send(()).unwrap();
        }
    }
    let (dropped, drops) = mpsc::channel();
    let values = [Slow(dropped.clone()), Slow(dropped)];
    let pool = Pool::with_values("values", values, 10).unwrap();
    assert_eq!(pool.finish(LONG), 0);
    assert_eq!(drops.try_iter().count(), 2);
    assert_eq!(pool.finish(LONG), 0, "nothing is left");
}

#[test]
fn a_job_has_the_value_of_its_thread_and_then_the_loop_has_the_state() {
    let pool = Pool::with_values("values", [1], 10).unwrap();
    let handler = move |_: &Request<'_>| -> Reply<Vec<u32>> {
        let double = |value: &mut u32| std::mem::replace(value, *value * 2);
        pool.run_with_then(double, |seen: &mut Vec<u32>, value| {
            seen.push(value);
            format!("{seen:?}")
        })
    };
    let mut sim = Sim::with_state(Vec::new(), handler);
    assert_eq!((sim.get("/").text(), sim.get("/").text()), ("[1]", "[1, 2]"));
}
