//! Signals that end a server which hangs. Their default action ends the process, so the server is
//! in a process of its own: this test program, started once more.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::process::{kill_process, Pid, Signal};
use wheelhouse::runtime::Cores;
use wheelhouse::{Reply, Request, Server};

/// The variable with the place in which the server of [`the_server_that_hangs`] hangs.
const PLACE: &str = "PLACE_THAT_HANGS";
/// The longest wait for the server, in case that it does not do what it should.
const PATIENCE: Duration = Duration::from_secs(30);

/// The other end of the standard input of the server, to which it reports.
fn reports() -> UnixStream {
    io::stdin().as_fd().try_clone_to_owned().unwrap().into()
}

/// Hangs after a report of that.
fn hang() {
    reports().write_all(b"hangs\n").unwrap();
    loop {
        thread::park();
    }
}

struct State {
    hangs_at_its_end: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        if self.hangs_at_its_end {
            hang();
        }
    }
}

fn handler<S>(_: &Request<'_>) -> impl Into<Reply<S>> {
    hang();
    "not reached"
}

/// The server of the other tests. Without the variable, this test does nothing.
#[test]
fn the_server_that_hangs() {
    let Ok(place) = env::var(PLACE) else { return };
    if place == "core" {
        let address = Arc::new(OnceLock::new());
        let of_cores = Arc::clone(&address);
        let cores = Cores::start(2, move |_| {
            let server = Server::new().listen("127.0.0.1:0")?.on_signals();
            of_cores.get_or_init(|| server.local_addrs()[0]);
            server.build(handler::<()>)
        });
        report_signals(*address.get().unwrap());
        cores.unwrap().join().unwrap();
        return;
    }
    let state = State { hangs_at_its_end: place == "destructor" };
    let mut server = Server::with_state(state).listen("127.0.0.1:0").unwrap().on_signals();
    if place == "hook" {
        server = server.on_shutdown(|_| hang());
    }
    let address = server.local_addrs()[0];
    let events = server.build(handler::<State>).unwrap();
    report_signals(address);
    events.run().unwrap();
}

/// Reports every signal with a byte, and then the address. Actions are called in the order of their
/// registration, so a byte is sent when the server has noted the signal.
fn report_signals(address: SocketAddr) {
    signal_hook::low_level::pipe::register(Signal::TERM.as_raw(), reports()).unwrap();
    reports().write_all(format!("{address}\n").as_bytes()).unwrap();
}

struct Hanging {
    child: Child,
    reports: BufReader<UnixStream>,
}

impl Hanging {
    fn start(place: &str) -> (Hanging, String) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "signals::the_server_that_hangs", "--nocapture"])
            .env(PLACE, place)
            .stdin(std::os::fd::OwnedFd::from(there))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut hanging = Hanging { child, reports: BufReader::new(here) };
        let address = hanging.line();
        (hanging, address)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reports.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits until the server has noted a signal.
    fn wait_for_signal(&mut self) {
        let mut byte = [0];
        self.reports.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"X");
    }

    /// Waits for the end of the process, and asserts that a signal caused it.
    fn assert_ends_by_the_signal(&mut self) {
        let mut rest = Vec::new();
        self.reports.read_to_end(&mut rest).expect("the process ends");
        assert_eq!(rest, b"");
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status}");
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other of two cores hears the first signal and has ended by the second.
#[test]
fn the_second_signal_ends_a_process_whose_handler_hangs() {
    for place in ["handler", "core"] {
        let (mut hanging, address) = Hanging::start(place);
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(hanging.line(), "hangs", "{place}");
        hanging.signal();
        hanging.wait_for_signal();
        assert_eq!(hanging.child.try_wait().unwrap(), None, "the first signal is for the loop");
        hanging.signal();
        hanging.assert_ends_by_the_signal();
    }
}

/// The loop has read the first signal, so the second is for the loop, too.
#[test]
fn the_third_signal_ends_a_process_that_hangs_in_its_shutdown() {
    for place in ["hook", "destructor"] {
        let (mut hanging, _) = Hanging::start(place);
        hanging.signal();
        // The loop may hear the signal before all actions of the signal are over.
        let mut reports = [0; 7];
        hanging.reports.read_exact(&mut reports).unwrap();
        assert!([b"Xhangs\n", b"hangs\nX"].contains(&&reports), "{place}: {reports:?}");
        hanging.signal();
        hanging.wait_for_signal();
        assert_eq!(hanging.child.try_wait().unwrap(), None, "{place}");
        hanging.signal();
        hanging.assert_ends_by_the_signal();
    }
}
