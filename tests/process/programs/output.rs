//! The output of the binary when it cannot be written: a pipe whose reader stops or has left, a full
//! disk, a terminal that halts. Lines are lost and counted. Neither the service nor the end nor the
//! exit code depends on them.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};

use crate::binary::{command, Dir, Running};
use crate::reading::read_some;

/// The longest wait for the server, in case that it does not do what it should.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for the end of a process.
fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "the server does not end");
        thread::yield_now();
    }
}

/// Sends requests `from..to`, one after the other on one connection. Each must get its response.
/// Their lines in the log have about 1 KiB.
fn request(running: &Running, from: usize, to: usize) {
    let mut stream = TcpStream::connect(&running.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let agent = "x".repeat(1000);
    for n in from..to {
        // In one write: a part would wait until the one before is acknowledged.
        let request =
            format!("GET /file.txt?{n} HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (mut response, mut piece) = (Vec::new(), [0; 1024]);
        while !response.ends_with(b"\r\n\r\ncontent") {
            let read = read_some(&mut stream, &mut piece).expect("the server responds");
            assert!(read > 0, "the server responds");
            response.extend_from_slice(&piece[..read]);
        }
    }
}

/// The number of each request in the access log, in the order of the log. Every line must be whole.
fn numbers(log: &str) -> Vec<usize> {
    let end = format!("\" 200 7 \"-\" \"{}\"", "x".repeat(1000));
    let number = |line: &str| {
        assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with(&end), "{line}");
        line.split(['?', ' ']).find_map(|part| part.parse().ok()).unwrap()
    };
    log.lines().map(number).collect()
}

/// The number of lines that messages report as lost.
fn lost(messages: &str) -> usize {
    let reports = messages.lines().filter_map(|line| line.split_once(" lost: "));
    let counts = reports.map(|(before, _)| before.rsplit(' ').nth(1).unwrap());
    counts.map(|count| count.parse::<usize>().unwrap()).sum()
}

fn is_sorted(numbers: &[usize]) -> bool {
    numbers.windows(2).all(|two| two[0] < two[1])
}

#[test]
fn a_reader_of_the_access_log_that_stops_costs_lines_and_neither_the_service_nor_the_end() {
    let dir = Dir::new();
    let mut running = Running::in_dir(&dir.0, &["--access-log", "combined"]);
    request(&running, 0, 1000);
    running.signal(Signal::TERM);
    assert_eq!(wait(&mut running.child).code(), Some(0));
    let (mut messages, mut log) = (String::new(), String::new());
    running.messages.read_to_string(&mut messages).unwrap();
    running.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(messages.contains("1 connections, 1000 requests, 0 refused"), "{messages}");
    let (numbers, lost) = (numbers(&log), lost(&messages));
    assert!(lost > 0, "the pipe was full: {messages}");
    assert_eq!(numbers.len() + lost, 1000, "{messages}");
    assert!(is_sorted(&numbers));
}

#[test]
fn lost_lines_are_reported_as_soon_as_the_reader_goes_on() {
    let dir = Dir::new();
    let mut running = Running::in_dir(&dir.0, &["--access-log", "combined"]);
    request(&running, 0, 1000);
    let mut log = BufReader::new(running.child.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    });
    let mut report = String::new();
    while lost(&report) == 0 {
        report.clear();
        assert!(running.messages.read_line(&mut report).unwrap() > 0, "the server goes on");
    }
    // The queue has room now.
    request(&running, 1000, 1001);
    running.signal(Signal::TERM);
    assert_eq!(wait(&mut running.child).code(), Some(0));
    let mut messages = String::new();
    running.messages.read_to_string(&mut messages).unwrap();
    let numbers = numbers(&reader.join().unwrap());
    assert_eq!(lost(&messages), 0, "{messages}");
    assert_eq!(numbers.len() + lost(&report), 1001, "{report}");
    assert!(is_sorted(&numbers) && numbers.last() == Some(&1000));
}

/// A server on a Unix socket in `dir`, since its messages cannot say where it listens.
struct Muted {
    child: Child,
    socket: PathBuf,
}

impl Muted {
    fn start(dir: &Path, command: &mut Command) -> Muted {
        let socket = dir.join("wheelhouse.sock");
        let listen = format!("unix:{}", socket.display());
        let child = command.arg(dir).args(["--listen", &listen]).spawn().unwrap();
        let mut muted = Muted { child, socket };
        let start = Instant::now();
        while UnixStream::connect(&muted.socket).is_err() {
            assert_eq!(muted.child.try_wait().unwrap(), None, "it has not ended");
            assert!(start.elapsed() < PATIENCE, "the server does not start");
            thread::yield_now();
        }
        muted
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("the server responds");
        response
    }

    fn assert_serves(&self) {
        let response = self.ask("GET /file.txt HTTP/1.0\r\n\r\n");
        assert!(response.ends_with("\r\n\r\ncontent"), "{response}");
    }

    /// Sends requests that are refused. Each is a line in the log at the level `debug`.
    fn provoke_refusals(&self, count: usize) {
        for _ in 0..count {
            assert!(self.ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
        }
    }

    fn assert_ends_well(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(wait(&mut self.child).code(), Some(0));
    }
}

impl Drop for Muted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_reader_of_the_messages_that_stops_costs_lines_and_neither_the_service_nor_the_end() {
    // With more than 70 bytes in each line, they fill the pipe and the queue.
    const REFUSALS: usize = 6000;
    let dir = Dir::new();
    let mut command = command();
    let mut muted = Muted::start(&dir.0, command.env("RUST_LOG", "debug").stderr(Stdio::piped()));
    let mut messages = BufReader::new(muted.child.stderr.take().unwrap());
    muted.provoke_refusals(REFUSALS);
    muted.assert_serves();
    // Now the reader goes on, up to the report.
    let (mut line, mut refused) = (String::new(), 0);
    while lost(&line) == 0 {
        line.clear();
        messages.read_line(&mut line).unwrap();
        let is_whole = line.starts_with(['2', 'w']) && line.ends_with('\n');
        assert!(is_whole, "{line}");
        refused += usize::from(line.ends_with(" refused: Host\n"));
    }
    assert_eq!(refused + lost(&line), REFUSALS, "{line}");
    // It stops once more, and then the server ends.
    muted.provoke_refusals(REFUSALS);
    muted.assert_serves();
    muted.assert_ends_well();
    let mut rest = String::new();
    messages.read_to_string(&mut rest).unwrap();
    let refused = rest.lines().filter(|line| line.ends_with(" refused: Host")).count();
    assert!(refused < REFUSALS, "the pipe was full");
}

#[test]
fn messages_that_cannot_be_written_change_neither_the_service_nor_the_exit_code() {
    let (reader, closed) = UnixStream::pair().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (messages, level) in [
        (Stdio::from(OwnedFd::from(closed)), "debug"),
        (full.try_clone().unwrap().into(), "debug"),
        // It begins with a warning.
        (full.into(), "a=b=c"),
    ] {
        let dir = Dir::new();
        let mut command = command();
        let mut muted = Muted::start(&dir.0, command.env("RUST_LOG", level).stderr(messages));
        muted.provoke_refusals(1);
        muted.assert_serves();
        muted.assert_ends_well();
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = command().arg("/nonexistent/directory").stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn an_access_log_that_cannot_be_written_is_reported_and_every_lost_line_is_counted() {
    let (reader, closed) = UnixStream::pair().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (log, reason) in [
        (Stdio::from(OwnedFd::from(closed)), "Broken pipe"),
        (full.into(), "No space left on device"),
    ] {
        let dir = Dir::new();
        let mut command = command();
        let (here, there) = UnixStream::pair().unwrap();
        here.set_read_timeout(Some(PATIENCE)).unwrap();
        command.args(["--access-log", "common"]).stdout(log).stderr(OwnedFd::from(there));
        let mut muted = Muted::start(&dir.0, &mut command);
        // The server alone has the other end from now on.
        drop(command);
        for _ in 0..9 {
            muted.assert_serves();
        }
        let mut messages = BufReader::new(here);
        // The first failure is reported while the server runs.
        let mut all = String::new();
        while lost(&all) == 0 {
            assert!(messages.read_line(&mut all).unwrap() > 0, "{all}");
        }
        muted.assert_ends_well();
        messages.read_to_string(&mut all).unwrap();
        assert_eq!(lost(&all), 9, "{all}");
        assert!(all.contains(&format!(" lost: {reason}")), "{all}");
    }
}

/// Ctrl-S halts a terminal as well: the next write lasts until Ctrl-Q.
#[test]
fn a_terminal_that_halts_costs_lines_and_neither_the_service_nor_the_end() {
    use rustix::pty::{grantpt, ioctl_tiocgptpeer, openpt, unlockpt, OpenptFlags};
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let terminal = ioctl_tiocgptpeer(&screen, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    let dir = Dir::new();
    let mut command = command();
    command.arg(&dir.0).args(["--listen", "127.0.0.1:0", "--access-log", "combined"]);
    command.stdout(terminal).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The terminal is open in the server alone from now on.
    drop(command);
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    let address = line.trim_end().rsplit(' ').next().unwrap();
    let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut running = Running { child, messages, address };
    request(&running, 0, 1000);
    running.signal(Signal::TERM);
    assert_eq!(wait(&mut running.child).code(), Some(0));
    let mut messages = String::new();
    running.messages.read_to_string(&mut messages).unwrap();
    // The end of a terminal is an error.
    let (mut screen, mut log) = (File::from(screen), Vec::new());
    let _ = screen.read_to_end(&mut log);
    let log = String::from_utf8(log).unwrap().replace("\r\n", "\n");
    let (whole, _) = log.rsplit_once('\n').unwrap_or_default();
    let (numbers, lost) = (numbers(whole), lost(&messages));
    // A terminal may take a part of the last write, whose lines all count as lost.
    let sum = numbers.len() + lost;
    assert!((1000..1000 + 4).contains(&sum), "{sum}: {messages}");
    assert!(is_sorted(&numbers));
}

#[test]
fn several_cores_write_whole_lines_into_one_log() {
    let dir = Dir::new();
    let mut running = Running::in_dir(&dir.0, &["--cores", "2", "--access-log", "combined"]);
    let log = running.child.stdout.take().unwrap();
    let reader = thread::spawn(|| std::io::read_to_string(log).unwrap());
    thread::scope(|scope| {
        for client in 0..8 {
            let running = &running;
            scope.spawn(move || request(running, client * 25, client * 25 + 25));
        }
    });
    running.signal(Signal::TERM);
    assert_eq!(wait(&mut running.child).code(), Some(0));
    let mut numbers = numbers(&reader.join().unwrap());
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..200), "each request has one line");
}

#[test]
fn log_and_messages_share_a_pipe_without_mixing_their_lines() {
    const ROUNDS: usize = 300;
    let dir = Dir::new();
    let mut shell = Command::new("sh");
    let program = format!("exec {} \"$@\" 2>&1", env!("CARGO_BIN_EXE_wheelhouse"));
    shell.args(["-c", &program, "sh", "--access-log", "json"]).env("RUST_LOG", "debug");
    let mut muted = Muted::start(&dir.0, shell.stdout(Stdio::piped()));
    let output = muted.child.stdout.take().unwrap();
    let reader = thread::spawn(|| std::io::read_to_string(output).unwrap());
    for _ in 0..ROUNDS {
        muted.provoke_refusals(1);
        muted.assert_serves();
    }
    muted.assert_ends_well();
    let output = reader.join().unwrap();
    let count = |begin: &str, end: &str| {
        output.lines().filter(|line| line.starts_with(begin) && line.ends_with(end)).count()
    };
    // The lines of the log begin with the year.
    assert_eq!(count("{\"time\":", "}"), 2 * ROUNDS);
    assert_eq!(count("2", " refused: Host"), ROUNDS);
    let known = count("{", "}") + count("2", "") + count("wheelhouse: ", "");
    assert_eq!(known, output.lines().count(), "{output}");
}
