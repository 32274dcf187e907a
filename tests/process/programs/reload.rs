//! Signals of the binary: SIGHUP reloads, SIGUSR1 and SIGUSR2 do nothing, and the file of a Unix
//! socket is removed on every way out.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::binary::{command, Dir, Running};

/// The longest wait for the server, in case that it does not do what it should.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next message that contains `text`.
fn message(running: &mut Running, text: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(running.messages.read_line(&mut line).unwrap() > 0, "no message with {text:?}");
        if line.contains(text) {
            return line;
        }
    }
}

/// Waits until a file has `count` lines.
fn lines(file: &Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(start.elapsed() < PATIENCE, "{file:?}: {text}");
        std::thread::yield_now();
    }
}

#[test]
fn sighup_opens_the_log_file_anew_and_the_server_goes_on() {
    let dir = Dir::new();
    let (log, old) = (dir.0.join("access.log"), dir.0.join("access.log.1"));
    let mut running = Running::in_dir(&dir.0, &["--access-log-file", log.to_str().unwrap()]);
    running.get("/file.txt?1", "");
    assert!(lines(&log, 1)[0].contains("\"GET /file.txt?1 HTTP/1.1\" 200 7 \"-\" \"-\""));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o007, 0, "not for others");
    fs::rename(&log, &old).unwrap();
    running.signal(Signal::HUP);
    message(&mut running, "SIGHUP: ");
    assert!(log.exists(), "at once, and not with the next line");
    running.get("/file.txt?2", "");
    assert!(lines(&log, 1)[0].contains("?2"));
    assert_eq!(lines(&old, 1).len(), 1);
    // A path that cannot be opened is reported, and the old file is kept.
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    running.signal(Signal::HUP);
    assert!(message(&mut running, "SIGHUP: ").contains("ERROR"));
    assert!(running.get("/file.txt?3", "").ends_with("content"));
    assert!(running.end().0, "the server goes on");
}

/// To open a FIFO waits for its other end, as to open a file of a network that is down waits.
#[test]
fn a_reload_that_hangs_keeps_no_other_signal_waiting() {
    let dir = Dir::new();
    let log = dir.0.join("access.log");
    let mut running = Running::in_dir(&dir.0, &["--access-log-file", log.to_str().unwrap()]);
    fs::remove_file(&log).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &log, mode).unwrap();
    // More than the one that hangs: the others must not wait for it.
    for _ in 0..3 {
        running.signal(Signal::HUP);
        assert!(running.get("/file.txt", "").ends_with("content"));
    }
    running.signal(Signal::TERM);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < PATIENCE, "the signal is not served");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn signals_for_other_servers_do_nothing() {
    let dir = Dir::new();
    let running = Running::in_dir(&dir.0, &["--cores", "2"]);
    for signal in [Signal::USR1, Signal::USR2, Signal::HUP, Signal::USR1] {
        running.signal(signal);
        assert!(running.get("/file.txt", "").ends_with("content"));
    }
    let (success, messages, _) = running.end();
    assert!(success && messages.contains("4 requests"), "{messages}");
}

/// A server with a Unix socket, and a request that has begun.
fn with_socket(dir: &Dir, arguments: &[&str]) -> (Running, std::path::PathBuf, TcpStream) {
    let socket = dir.0.join("wheelhouse.sock");
    let unix = format!("unix:{}", socket.display());
    let running = Running::in_dir(&dir.0, &[&["--listen", &unix], arguments].concat());
    assert!(UnixStream::connect(&socket).is_ok());
    let mut begun = TcpStream::connect(&running.address).unwrap();
    begun.write_all(b"GET /file.txt HTTP/1.1\r\nHo").unwrap();
    (running, socket, begun)
}

#[test]
fn a_socket_file_is_removed_after_one_signal_and_after_two_and_after_three() {
    for signal in [Signal::INT, Signal::TERM] {
        for count in 1..=3 {
            let dir = Dir::new();
            let (mut running, socket, begun) =
                with_socket(&dir, &["--shutdown-timeout", if count == 1 { "1" } else { "1h" }]);
            for n in 0..count {
                running.signal(signal);
                if n == 0 {
                    message(&mut running, "shuts down gracefully");
                }
            }
            let status = running.child.wait().unwrap();
            let is_expected = status.success() || status.signal() == Some(signal.as_raw());
            assert!(is_expected && !socket.exists(), "{signal:?} {count} times: {status}");
            drop(begun);
        }
    }
}

#[test]
fn a_socket_file_is_removed_by_sigquit() {
    let dir = Dir::new();
    let (mut running, socket, _begun) = with_socket(&dir, &[]);
    running.signal(Signal::QUIT);
    let status = running.child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::QUIT.as_raw()));
    assert!(!socket.exists());
}

#[test]
fn a_socket_file_is_removed_after_an_error_at_the_start() {
    let dir = Dir::new();
    let socket = dir.0.join("wheelhouse.sock");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let _taken = TcpListener::bind(&taken).unwrap();
    let unix = format!("unix:{}", socket.display());
    for cores in ["1", "2"] {
        let mut command = command();
        command.arg(&dir.0).args(["--listen", &unix, "--listen", &taken, "--cores", cores]);
        assert_eq!(command.output().unwrap().status.code(), Some(1));
        assert!(!socket.exists());
    }
}

/// The loop computes a hash, which takes a debug build longer than the time after the second signal.
#[test]
fn a_loop_that_hangs_is_ended_some_seconds_after_the_second_signal() {
    // `htpasswd -nbB -C 12 ann secret`.
    const ANN: &str = "ann:$2y$12$abcdefghijklmnopqrstuuT1Iwu6o8Wx7BoOyIMHfgVJq6JO/IJhW\n";
    let dir = Dir::new();
    let file = dir.0.join(".htpasswd");
    fs::write(&file, ANN).unwrap();
    let flags = ["--shutdown-timeout", "1h", "--auth-file", file.to_str().unwrap()];
    let (mut running, socket, mut begun) = with_socket(&dir, &flags);
    begun.write_all(b"st: a\r\nAuthorization: Basic YW5uOng=\r\n\r\n").unwrap();
    running.signal(Signal::TERM);
    message(&mut running, "shuts down gracefully");
    running.signal(Signal::TERM);
    let status = running.child.wait().unwrap();
    let is_expected = status.success() || status.signal() == Some(Signal::TERM.as_raw());
    assert!(is_expected && !socket.exists(), "{status}");
}

/// Both signals wait until the process goes on, and then come in the same moment.
#[test]
fn signals_that_came_while_the_process_was_stopped_end_it_and_remove_the_socket_file() {
    let dir = Dir::new();
    let (mut running, socket, _begun) = with_socket(&dir, &["--shutdown-timeout", "1h"]);
    running.signal(Signal::STOP);
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    running.signal(Signal::CONT);
    let status = running.child.wait().unwrap();
    assert!(status.success() || status.signal().is_some(), "{status}");
    assert!(!socket.exists());
}

#[test]
fn a_terminal_that_is_closed_ends_the_server_and_sighup_from_elsewhere_does_not() {
    use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};

    let dir = Dir::new();
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let stdin = fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut command = command();
    command.arg(&dir.0).args(["--listen", "127.0.0.1:0"]).stdin(stdin);
    let mut running = Running::start(&mut command);
    drop(command);
    running.signal(Signal::HUP);
    message(&mut running, "SIGHUP: ");
    assert!(running.get("/file.txt", "").ends_with("content"));
    drop(terminal);
    running.signal(Signal::HUP);
    let mut messages = String::new();
    running.messages.read_to_string(&mut messages).unwrap();
    assert!(running.child.wait().unwrap().success(), "{messages}");
}

#[test]
fn sighup_reads_the_users_anew_and_a_malformed_file_changes_nothing() {
    /// `htpasswd -nbB -C 4 ann secret`, and the same for bob and `other`.
    const ANN: &str = "ann:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";
    const BOB: &str = "bob:$2y$04$zyxwvutsrqponmlkjihgfeoEG75ieRiMxivbt62jo80oWmRUDHZ.e\n";
    const AS_ANN: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
    const AS_BOB: &str = "Authorization: Basic Ym9iOm90aGVy\r\n";

    let dir = Dir::new();
    let file = dir.0.join(".htpasswd");
    fs::write(&file, ANN).unwrap();
    let flags = ["--auth-file", file.to_str().unwrap(), "--access-log", "common"];
    let mut running = Running::in_dir(&dir.0, &flags);
    let status =
        |running: &Running, fields: &str| running.get("/file.txt", fields)[9..12].to_owned();
    for (fields, expected) in [("", "401"), (AS_ANN, "200"), (AS_ANN, "200"), (AS_BOB, "401")] {
        assert_eq!(status(&running, fields), expected, "{fields}");
    }
    fs::write(&file, BOB).unwrap();
    running.signal(Signal::HUP);
    message(&mut running, "SIGHUP: ");
    assert_eq!(status(&running, AS_ANN), "401");
    assert_eq!(status(&running, AS_BOB), "200");
    fs::write(&file, "bob:hunter2\n").unwrap();
    running.signal(Signal::HUP);
    let refused = message(&mut running, "SIGHUP: ");
    assert!(refused.contains("line 1") && !refused.contains("hunter2"), "{refused}");
    assert_eq!(status(&running, AS_BOB), "200");
    let (_, _, log) = running.end();
    assert_eq!(log.lines().filter(|line| line.contains(" - ann [")).count(), 2, "{log}");
}

#[test]
fn too_many_unknown_passwords_get_a_429_and_known_ones_are_served() {
    // `htpasswd -nbB -C 10 ann secret`: each takes long enough to use up the time.
    let dir = Dir::new();
    let file = dir.0.join(".htpasswd");
    fs::write(&file, "ann:$2y$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u\n").unwrap();
    let running = Running::in_dir(&dir.0, &["--auth-file", file.to_str().unwrap()]);
    let good = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
    assert!(running.get("/file.txt", good).ends_with("content"));
    // `ann:x`. In the worst case a debug build on a fast machine needs many of them.
    let bad = "Authorization: Basic YW5uOng=\r\n";
    let mut responses = (0..10_000).map(|_| running.get("/file.txt", bad));
    let refused = responses.find(|response| !response.starts_with("HTTP/1.1 401"));
    let refused = refused.expect("unknown passwords have a limit");
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains("\r\nRetry-After: "), "{refused}");
    assert!(running.get("/file.txt", good).ends_with("content"));
}

/// Whether this test runs as root, which may read everything.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes a program run as another user than root, if this test runs as root.
pub(crate) fn as_nobody(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    if is_root() {
        command.uid(65_534).gid(65_534);
    }
    command
}
