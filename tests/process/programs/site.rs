//! A site served by the binary: one file, clean URLs, error pages, links, permissions, and clients
//! behind a proxy in the access log.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixStream};

use crate::binary::{command, text, Dir, Running};
use crate::reload::{as_nobody, is_root};

#[test]
fn one_file_is_served_at_the_root_and_at_its_name() {
    let dir = Dir::new();
    let running = Running::in_dir(&dir.0.join("file.txt"), &[]);
    assert!(running.get("/", "").ends_with("\r\n\r\ncontent"));
    assert!(running.get("/file.txt", "").ends_with("\r\n\r\ncontent"));
    assert!(running.get("/other", "").starts_with("HTTP/1.1 404"));
}

#[test]
fn flags_for_directories_are_errors_for_one_file() {
    let dir = Dir::new();
    for flags in [&["--clean-urls"][..], &["--spa", "file.txt"], &["--no-listing"]] {
        let output = command().arg(dir.0.join("file.txt")).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("is a file"), "{}", text(&output.stderr));
    }
}

#[test]
fn error_pages_and_clean_urls_are_those_of_the_directory() {
    let dir = Dir::new();
    fs::write(dir.0.join("404.html"), "nothing here").unwrap();
    fs::write(dir.0.join("about.html"), "about us").unwrap();
    let running = Running::in_dir(&dir.0, &["--error-page", "404=404.html", "--clean-urls"]);
    let missing = running.get("/missing", "");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.ends_with("nothing here"), "{missing}");
    assert!(running.get("/about", "").ends_with("about us"));
    assert!(running.get("/about.html", "").starts_with("HTTP/1.1 301"));
}

#[test]
fn links_out_of_the_directory_are_followed_only_on_demand() {
    let (dir, other) = (Dir::new(), Dir::new());
    symlink(other.0.join("file.txt"), dir.0.join("link.txt")).unwrap();
    let running = Running::in_dir(&dir.0, &[]);
    assert!(running.get("/link.txt", "").starts_with("HTTP/1.1 404"));
    let running = Running::in_dir(&dir.0, &["--follow-links"]);
    assert!(running.get("/link.txt", "").ends_with("\r\n\r\ncontent"));
}

/// Runs the binary as a user who is not root, and returns its exit code and its messages. `None` if
/// that user cannot run it.
fn refused_as_nobody(arguments: &[&str]) -> Option<(Option<i32>, String)> {
    match as_nobody(command().args(arguments)).output() {
        Ok(output) => Some((output.status.code(), text(&output.stderr).to_owned())),
        Err(error) => {
            println!("skipped: the user 65534 cannot run the binary: {error}");
            None
        }
    }
}

#[test]
fn a_directory_that_may_not_be_read_is_an_error_at_the_start_that_says_the_permission() {
    let dir = Dir::new();
    let closed = dir.0.join("closed");
    let inner = closed.join("inner");
    fs::create_dir_all(&inner).unwrap();
    let set = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    let run = |path: &std::path::Path, flags: &[&str]| {
        refused_as_nobody(&[&[path.to_str().unwrap()][..], &listen, flags].concat())
    };
    set(&dir.0, 0o755);
    for (mode, path, expected) in [
        (0o000, &closed, "permission to search (+x)"),
        (0o444, &closed, "permission to search (+x)"),
        (0o000, &inner, "permission to search (+x)"),
        (0o111, &closed, "permission to read (+r), or give --no-listing"),
    ] {
        set(&closed, if is_root() { mode } else { mode & 0o700 });
        let Some((code, message)) = run(path, &[]) else { return };
        assert_eq!(code, Some(2), "{mode:o}: {message}");
        assert!(message.contains(expected), "{mode:o}: {message}");
        assert!(message.contains(closed.to_str().unwrap()), "{mode:o}: {message}");
    }
    // By name, its files can be served.
    set(&closed, 0o711);
    fs::write(closed.join("file.txt"), "content").unwrap();
    let mut command = command();
    command.arg(&closed).args(listen).arg("--no-listing");
    let running = Running::start(as_nobody(&mut command));
    assert!(running.get("/file.txt", "").ends_with("content"));
    set(&closed, 0o755);
}

#[test]
fn a_file_that_may_not_be_read_is_an_error_at_the_start() {
    let dir = Dir::new();
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.0.join("secret.html"), "").unwrap();
    fs::set_permissions(dir.0.join("secret.html"), fs::Permissions::from_mode(0o000)).unwrap();
    let (path, secret) = (dir.0.to_str().unwrap(), dir.0.join("secret.html"));
    let secret = secret.to_str().unwrap();
    for arguments in [
        &[secret][..],
        &[path, "--spa", "secret.html"],
        &[path, "--error-page", "404=secret.html"],
        &[path, "--auth-file", secret],
    ] {
        let Some((code, message)) = refused_as_nobody(arguments) else { return };
        assert_eq!(code, Some(2), "{arguments:?}: {message}");
        assert!(message.contains("ermission denied"), "{arguments:?}: {message}");
    }
}

#[test]
fn a_socket_file_has_the_mode_and_the_owner_of_the_flags() {
    let dir = Dir::new();
    let socket = dir.0.join("wheelhouse.sock");
    let unix = format!("unix:{}", socket.display());
    let own = fs::metadata(&dir.0).unwrap();
    let (user, group) = if is_root() { (65_533, 65_532) } else { (own.uid(), own.gid()) };
    let owner = format!("{user}:{group}");
    let flags = ["--listen", &unix, "--socket-mode", "0660", "--socket-owner", &owner];
    let running = Running::in_dir(&dir.0, &flags);
    let found = fs::metadata(&socket).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (user, group, 0o660));
    assert!(running.end().0);
}

#[test]
fn an_abstract_socket_is_served() {
    let dir = Dir::new();
    let name = format!("wheelhouse-{}-flag", std::process::id());
    let unix = format!("unix:@{name}");
    let flags = ["--listen", &unix, "--trust-proxy", "unix", "--access-log", "common"];
    let running = Running::in_dir(&dir.0, &flags);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut stream = UnixStream::connect_addr(&address).unwrap();
    let request = b"GET /file.txt HTTP/1.0\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("content"), "{response}");
    let (success, _, log) = running.end();
    assert!(success && log.starts_with("203.0.113.7 - - ["), "{log}");
}

#[test]
fn the_access_log_has_the_client_that_a_trusted_proxy_reports() {
    let dir = Dir::new();
    let fields =
        "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.2.3\r\nForwarded: for=198.51.100.1\r\n";
    let proxies = ["--trust-proxy", "127.0.0.0/8", "--trust-proxy", "10.0.0.0/8"];
    for (flags, client) in [
        (&[][..], "127.0.0.1"),
        (&["--trust-proxy", "10.0.0.0/8"], "127.0.0.1"),
        (&proxies, "203.0.113.7"),
        (&[&proxies[..], &["--proxy-header", "forwarded"]].concat(), "198.51.100.1"),
    ] {
        let log = ["--access-log", "json", "--cors=*"];
        let running = Running::in_dir(&dir.0, &[&log, flags].concat());
        running.get("/file.txt", fields);
        // A preflight, to which a layer responds.
        running.ask(&format!(
            "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a\r\n{fields}Connection: close\r\n\
             Access-Control-Request-Method: GET\r\n\r\n"
        ));
        // A request that is refused was not read, so its client is the peer.
        running.ask("GET\r\n\r\n");
        let (_, _, log) = running.end();
        let lines: Vec<&str> = log.lines().collect();
        let named = format!(",\"client\":\"{client}\",\"peer\":\"127.0.0.1:");
        assert!(lines[0].contains(&named), "{flags:?}: {log}");
        assert!(lines[1].contains(&named) && lines[1].contains("\"status\":204,"), "{log}");
        assert!(lines[2].contains("\"status\":400,"), "{log}");
        assert!(lines[2].contains(",\"client\":\"127.0.0.1\",\"peer\":\"127.0.0.1:"), "{log}");
        for line in lines {
            let time = line.strip_prefix("{\"time\":\"").unwrap().split('"').next().unwrap();
            assert!(is_rfc3339(time), "{time}");
            assert!(line.contains(",\"seconds\":0."), "{line}");
        }
    }
}

fn is_rfc3339(time: &str) -> bool {
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

#[test]
fn lines_of_the_log_have_time_level_client_and_request() {
    let dir = Dir::new();
    let mut command = command();
    command.arg(&dir.0).args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", "wheelhouse=debug");
    let mut running = Running::start(&mut command);
    // The line of the start may be one of the log.
    while !running.address.starts_with("127.0.0.1:") {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut running.messages, &mut line).unwrap();
        let address = line.trim_end().rsplit(' ').next().unwrap();
        running.address = address.replace("http://", "").replace('/', "");
    }
    let unread = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    running.ask(unread);
    let (_, messages, _) = running.end();
    let line = messages.lines().find(|line| line.contains("unread content")).expect(&messages);
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(is_rfc3339(time), "{line}");
    assert!(rest.starts_with("DEBUG wheelhouse::"), "{line}");
    assert!(rest.contains("client 127.0.0.1:") && rest.contains("request 1-0"), "{line}");
}

#[test]
fn a_quiet_server_writes_errors_and_nothing_else() {
    let dir = Dir::new();
    let socket = dir.0.join("wheelhouse.sock");
    let unix = format!("unix:{}", socket.display());
    let mut command = command();
    command.arg(&dir.0).args(["--listen", &unix, "-q"]).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stream = loop {
        if let Ok(stream) = UnixStream::connect(&socket) {
            break stream;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it has not ended");
        std::thread::yield_now();
    };
    stream.write_all(b"GET /file.txt HTTP/1.0\r\n\r\n").unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
}
