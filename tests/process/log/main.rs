//! Tests of log lines. A process has one logger, so they are in a program of their own. This logger
//! calls the listener that the test has set for its thread.

mod failures;
mod informational;
mod names;
mod panicking;
mod slow_handlers;
mod support_page;
mod trailers;

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use wheelhouse::runtime::ConnectionState;
use wheelhouse::sim::Sim;
use wheelhouse::{Handler, Server};

type Listener = Box<dyn FnMut(&log::Record<'_>)>;

thread_local! {
    static LISTENER: Cell<Option<Listener>> = const { Cell::new(None) };
}

/// Calls `listener` with the records of this thread from now on, except those of that call itself.
fn listen(listener: impl FnMut(&log::Record<'_>) + 'static) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Log).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    });
    LISTENER.set(Some(Box::new(listener)));
}

/// Collects the records of this thread from now on, each as level and line.
fn lines() -> Rc<RefCell<Vec<String>>> {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let logged = Rc::clone(&lines);
    listen(move |record| logged.borrow_mut().push(format!("{} {}", record.level(), record.args())));
    lines
}

/// A server whose hook and timer panic. A client has reset its connection, which calls the hook; the
/// timer is due after a second.
fn panics_in_hook_and_timer(site: impl Handler + 'static) -> Sim {
    let server = Server::new().on_connection_state(|(), _, state| {
        assert_ne!(state, ConnectionState::Closed, "in the hook");
    });
    let server = server.after(Duration::from_secs(1), |()| panic!("in the timer"));
    let mut sim = Sim::of(server, site).unwrap();
    let client = sim.connect();
    sim.reset(client);
    sim
}

struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if let Some(mut listener) = LISTENER.take() {
            let result = panic::catch_unwind(AssertUnwindSafe(|| listener(record)));
            LISTENER.set(Some(listener));
            if let Err(payload) = result {
                panic::resume_unwind(payload);
            }
        }
    }

    fn flush(&self) {}
}
