//! The binary as a process: flags, environment, messages, exit codes, log, drain.
#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{kill_process, Pid, Signal};

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheelhouse"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WHEELHOUSE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A directory with `file.txt`, which is removed at the end.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("wheelhouse-bin-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("file.txt"), "content").unwrap();
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server and its messages on standard error.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) messages: BufReader<std::process::ChildStderr>,
    pub(crate) address: String,
}

impl Running {
    /// Starts the server on a port that the system chooses, and reads the port from its first line.
    pub(crate) fn start(command: &mut Command) -> Running {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        messages.read_line(&mut line).unwrap();
        let address = line.trim_end().rsplit(' ').next().unwrap();
        let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Running { child, messages, address }
    }

    pub(crate) fn in_dir(dir: &Path, arguments: &[&str]) -> Running {
        let listen = ["--listen", "127.0.0.1:0"];
        Running::start(command().arg(dir).args(listen).args(arguments))
    }

    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    pub(crate) fn get(&self, path: &str, fields: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{fields}\r\n"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Ends the server and returns whether it succeeded, its last messages, and its log.
    pub(crate) fn end(mut self) -> (bool, String, String) {
        self.signal(Signal::TERM);
        let (mut messages, mut log) = (String::new(), String::new());
        self.messages.read_to_string(&mut messages).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().success(), messages, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Stops the server if a test fails; the error for a server that has ended is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_lists_every_flag_and_version_prints_the_version() {
    for flag in ["--help", "-h"] {
        let output = run(&[flag]);
        assert!(output.status.success());
        for name in
            ["DIR", "--listen", "-p --port", "--cors", "--basic-auth", "--limit", "WHEELHOUSE_"]
        {
            assert!(text(&output.stdout).contains(name), "{name}");
        }
    }
    let mistaken = command()
        .arg("--help")
        .env("WHEELHOUSE_SPA", "1")
        .env("WHEELHOUSE_DOT_FILES", "x")
        .output();
    assert!(
        mistaken.unwrap().status.success(),
        "help is printed despite a mistake in the environment"
    );
    for flag in ["--version", "-V"] {
        let version = concat!("wheelhouse ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(text(&run(&[flag]).stdout), version);
    }
}

#[test]
fn print_limits_shows_the_limits_that_would_apply() {
    let arguments =
        ["--print-limits", "--limits", "small", "--memory", "2M", "--max-connections=7"];
    let output = run(&arguments);
    assert!(output.status.success());
    let value = |name: &str| {
        let line = text(&output.stdout).lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(value("memory_bytes_max"), "2");
    assert_eq!(value("connections_max"), "7");
    assert_eq!(value("fields_max"), "64");
}

#[test]
fn invalid_arguments_end_with_exit_code_2() {
    let cases: [(&[&str], &str); 19] = [
        (&["--nonsense"], "--nonsense"),
        (&["-x"], "-x"),
        (&["a", "b"], "\"b\""),
        (&["--listen"], "--listen"),
        (&["--listen", "nowhere"], "HOST:PORT"),
        (&["--limits", "huge"], "expected open-internet, small or sidecar"),
        (&["--print-limits", "--memory", "1K"], "memory_bytes_max"),
        (&["--memory", "many"], "64K or 1M"),
        (&["--max-connections", "-1"], "--max-connections"),
        (&["--shutdown-timeout", "soon"], "--shutdown-timeout"),
        (&["--access-log", "xml"], "expected common, combined, json or none"),
        (&["--header", "nonsense"], "'NAME: VALUE'"),
        (&["--header", "Content-Length: 1"], "set by the server"),
        (&["--cache-control", "a\nb"], "--cache-control"),
        (&["--basic-auth", "hunter2"], "USER:PASSWORD"),
        (&["--spa", "nowhere.html"], "nowhere.html"),
        (&["--spa", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], "beneath the directory"),
        (&["src", "--spa", "../Cargo.toml"], "beneath the directory"),
        (&["/nonexistent/directory"], "/nonexistent/directory"),
    ];
    for (arguments, word) in cases {
        let output = run(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(word), "{arguments:?}: {message}");
        assert!(message.contains("--help") && !message.contains("panicked"), "{message}");
        assert!(!message.contains("hunter2"), "the message does not repeat a secret");
    }
}

#[test]
fn an_address_in_use_is_reported_with_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address));
}

#[test]
fn the_report_counts_a_served_and_a_missing_file() {
    let dir = Dir::new();
    let running =
        Running::in_dir(&dir.0, &["--header", "X-Own: yes", "--cache-control", "no-store"]);
    let response = running.get("/file.txt", "");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\ncontent"));
    assert!(
        response.contains("X-Own: yes\r\n") && response.contains("Cache-Control: no-store\r\n")
    );
    assert!(running.get("/missing", "").starts_with("HTTP/1.1 404"));
    assert!(running.get("/", "").contains("href=\"./file.txt\""));
    assert!(running.get("/file.txt", "Range: bytes=1-2\r\n").ends_with("\r\n\r\non"));
    let (success, messages, log) = running.end();
    assert!(success);
    assert!(messages.contains("4 connections, 4 requests, 0 refused"), "{messages}");
    assert_eq!(log, "", "there is no log by default");
}

#[test]
fn environment_variables_apply_where_a_flag_is_missing() {
    let dir = Dir::new();
    let mut command = command();
    command.env("WHEELHOUSE_DIR", &dir.0).env("WHEELHOUSE_LISTEN", "127.0.0.1:0");
    command.env("WHEELHOUSE_NO_LISTING", "1").env("WHEELHOUSE_HEADER", "X-A: 1\nX-B: 2");
    command.env("WHEELHOUSE_CACHE_CONTROL", "max-age=1").env("WHEELHOUSE_BASIC_AUTH", "me:pass");
    let running = Running::start(command.args(["--cache-control", "max-age=2"]));
    let authorized = "Authorization: Basic bWU6cGFzcw==\r\n";
    assert!(running.get("/", authorized).starts_with("HTTP/1.1 404"));
    let response = running.get("/file.txt", authorized);
    for field in ["X-A: 1\r\n", "X-B: 2\r\n", "Cache-Control: max-age=2\r\n"] {
        assert!(response.contains(field), "{field}: {response}");
    }
}

#[test]
fn requests_without_the_password_are_refused() {
    let dir = Dir::new();
    let flags = ["--basic-auth", "me:pass", "--access-log", "common", "--header", "X-Own: yes"];
    let running = Running::in_dir(&dir.0, &flags);
    let refused = [
        "",
        "Authorization: Basic\r\n",
        "Authorization: Basic bWU6cGFzcw\r\n",
        "Authorization: Basic bWU6cGFzc3M=\r\n",
        "Authorization: Basic bWU6\r\n",
        "Authorization: Basic OnBhc3M=\r\n",
        "Authorization: Bearer bWU6cGFzcw==\r\n",
        "Authorization: Basic bWU6cGFzcw== x\r\n",
    ];
    for fields in refused {
        let response = running.get("/file.txt", fields);
        assert!(response.starts_with("HTTP/1.1 401"), "{fields}");
        assert!(response.contains("WWW-Authenticate: Basic realm="), "{fields}");
        assert!(response.contains("X-Own: yes\r\n"), "every response has it: {response}");
    }
    for scheme in ["Basic", "basic"] {
        let fields = format!("Authorization: {scheme} bWU6cGFzcw==\r\n");
        assert!(running.get("/file.txt", &fields).ends_with("content"));
    }
    let (_, _, log) = running.end();
    assert_eq!(log.lines().filter(|line| line.contains(" - me [")).count(), 2, "{log}");
    assert_eq!(log.lines().filter(|line| line.ends_with("\" 401 17")).count(), 8, "{log}");
}

#[test]
fn bytes_of_a_peer_never_break_a_line_of_the_log() {
    let dir = Dir::new();
    let fields =
        "User-Agent: \"evil\\\" \u{1b}[2J\r\nReferer: x\" 200 1\r\n".replace('\u{1b}', "\u{9b}");
    for (format, line) in [("combined", "\\\"evil\\\\\\\" \\xc2\\x9b[2J"), ("json", "\\u009b[2J")] {
        let running = Running::in_dir(&dir.0, &["--access-log", format]);
        running.get("/file.txt?#", &fields);
        running.get("/file.txt?\"<\\", &fields);
        let (_, _, log) = running.end();
        // The target of the first cannot be read, so its line has hyphens.
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(log.lines().nth(1).unwrap().contains("/file.txt?\\\"<\\\\"), "{log}");
        let refused = if format == "json" { "\"target\":null" } else { "] \"-\" 400 16 \"-\"" };
        assert!(log.lines().next().unwrap().contains(refused), "{log}");
        assert!(log.contains(line) && log.is_ascii(), "{log}");
        if format == "json" {
            assert!(log.starts_with("{\"time\":\"") && log.ends_with("\"}\n"), "{log}");
        }
    }
}

#[test]
fn a_unix_socket_is_served_beside_tcp() {
    let dir = Dir::new();
    let socket = dir.0.join("wheelhouse.sock");
    let running = Running::in_dir(&dir.0, &["--listen", &format!("unix:{}", socket.display())]);
    assert!(running.get("/file.txt", "").ends_with("content"));
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"GET /file.txt HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("content"), "{response}");
    let (success, ..) = running.end();
    assert!(success && !socket.exists(), "the socket file is removed");
}

#[test]
fn sigterm_lets_a_download_finish() {
    let dir = Dir::new();
    let len = 32 << 20;
    std::fs::File::create(dir.0.join("large.bin")).unwrap().set_len(len).unwrap();
    let running = Running::in_dir(&dir.0, &[]);
    let mut stream = TcpStream::connect(&running.address).unwrap();
    stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).unwrap();
    running.signal(Signal::TERM);
    let head = first.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let rest = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert_eq!((first.len() - head) as u64 + rest, len);
    let mut running = running;
    assert!(running.child.wait().unwrap().success());
    let mut messages = String::new();
    running.messages.read_to_string(&mut messages).unwrap();
    assert!(messages.contains("1 finished, 0 reset"), "{messages}");
}

#[test]
fn with_few_descriptors_clients_wait_for_their_turn_and_none_is_refused() {
    let dir = Dir::new();
    std::fs::File::create(dir.0.join("large.bin")).unwrap().set_len(256 << 20).unwrap();
    let program = format!("ulimit -n 64; exec {} \"$@\"", env!("CARGO_BIN_EXE_wheelhouse"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &program, "sh"]).arg(&dir.0).args(["--listen", "127.0.0.1:0"]);
    let running = Running::start(&mut shell);
    let clients: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&running.address).unwrap();
            stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for mut stream in clients {
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(text(&status), "HTTP/1.1 200");
    }
    assert!(running.get("/file.txt", "").ends_with("content"));
}

#[cfg(target_os = "linux")]
#[test]
fn several_cores_share_a_port_and_one_signal_ends_all_of_them() {
    let dir = Dir::new();
    let socket = dir.0.join("one.sock");
    let unix = format!("unix:{}", socket.display());
    let running = Running::in_dir(&dir.0, &["--cores", "3", "--listen", &unix]);
    for _ in 0..20 {
        assert!(running.get("/file.txt", "").ends_with("\r\n\r\ncontent"));
    }
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("content"), "one of the cores serves the Unix socket");
    let (success, messages, _) = running.end();
    assert!(success && messages.contains("21 connections, 21 requests"), "{messages}");
    assert!(!socket.exists());
}

/// The signal reaches one core, which passes it on; for the other cores it must not count twice.
#[cfg(target_os = "linux")]
#[test]
fn after_one_signal_several_cores_finish_their_requests() {
    let dir = Dir::new();
    let running = Running::in_dir(&dir.0, &["--cores", "2"]);
    let mut begun: Vec<TcpStream> =
        (0..8).map(|_| TcpStream::connect(&running.address).unwrap()).collect();
    for stream in &mut begun {
        stream.write_all(b"GET /file.txt HTTP/1.1\r\nHo").unwrap();
    }
    running.signal(Signal::TERM);
    // One client after another, so that they are no crowd that displaces others.
    while let Ok(mut stream) = TcpStream::connect(&running.address) {
        _ = stream.write_all(b"GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        _ = stream.read_to_end(&mut Vec::new());
    }
    for mut stream in begun {
        stream.write_all(b"st: a\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.ends_with("content"), "{response}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_stops_all_cores_at_once() {
    let dir = Dir::new();
    let mut running = Running::in_dir(&dir.0, &["--cores", "2", "--shutdown-timeout", "1000000"]);
    let begun: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(&running.address).unwrap();
            stream.write_all(b"GET /file.txt HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .collect();
    running.signal(Signal::TERM);
    let mut line = String::new();
    running.messages.read_line(&mut line).unwrap();
    assert!(line.contains("signal: the server shuts down gracefully"), "{line}");
    let (success, messages, _) = running.end();
    assert!(success && messages.ends_with(", 8 reset\n"), "{messages}");
    drop(begun);
}

#[test]
fn cores_with_parts_too_small_and_missing_inherited_sockets_end_with_exit_code_2() {
    for (arguments, expected) in [
        (&["--cores", "2", "--listen", "unix:/nowhere/a.sock"][..], "--cores"),
        (&["--cores", "two"], "--cores"),
        (&["--cores", "400"], "--cores: each of 400 has a part: limit memory_bytes_max"),
        (&["--listen", "inherit"], "LISTEN_FDS"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn an_inherited_socket_is_served() {
    let dir = Dir::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = command();
    command.arg(&dir.0).args(["--listen", "inherit"]);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDS_FIRST_FD", "0");
    let running = Running::start(command.stdin(std::os::fd::OwnedFd::from(listener)));
    assert_eq!(running.address, address);
    assert!(running.get("/file.txt", "").ends_with("content"));
    assert!(running.end().0);
}
