//! A tree to serve, with a secret beside it, and a client that sends requests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{utimensat, AtFlags, Timespec, Timestamps, CWD};
use wheelhouse::files::Files;
use wheelhouse::sim::Sim;
use wheelhouse::{Limits, Request, Response, Server};

/// Content that must never be sent.
pub(crate) const SECRET: &str = "TOP-SECRET";
/// Tuesday, 2 January 2024, 03:04:05 and a half.
pub(crate) const CHANGED: i64 = 1_704_164_645;
pub(crate) const CHANGED_DATE: &str = "Tue, 02 Jan 2024 03:04:05 GMT";

/// A directory that is removed at the end.
pub(crate) struct Tree {
    base: PathBuf,
}

impl Tree {
    /// `base/root` is served; `base/secret.txt` is not.
    pub(crate) fn new() -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wheelhouse-files-{}-{count}", std::process::id());
        let base = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(base.join("root")).unwrap();
        let tree = Tree { base };
        fs::write(tree.base.join("secret.txt"), SECRET).unwrap();
        tree.write("file.txt", "0123456789");
        tree.write("empty.txt", "");
        tree.write("dir/index.html", "<p>index");
        tree.write("list/b.txt", "b");
        tree.write("sp ace.txt", "space");
        tree.write("a:b", "colon");
        tree.write("100%.txt", "percent");
        tree.write("a..b", "dots");
        tree.write("...", "three");
        tree.write(".hidden", SECRET);
        tree.write(".git/config", SECRET);
        tree.write(".well-known/x.txt", "known");
        let root = tree.root();
        symlink("../secret.txt", root.join("outside")).unwrap();
        symlink(tree.base.join("secret.txt"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("/", root.join("slash")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        tree
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.base.join("root")
    }

    /// Writes a file, and the directories above it, with the time [`CHANGED`].
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.touch(name, CHANGED);
    }

    pub(crate) fn touch(&self, name: &str, seconds: i64) {
        touch(&self.root().join(name), seconds);
    }

    pub(crate) fn files(&self) -> Files {
        Files::new(self.root()).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

fn touch(path: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 500_000_000 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
}

/// A parsed response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) status: u16,
    head: String,
    pub(crate) content: Vec<u8>,
}

impl Received {
    /// The value of the field, which must not occur twice.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().filter_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} occurs twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

/// A server of files in the simulator.
pub(crate) struct Asker {
    pub(crate) sim: Sim,
}

/// Serves `files`. A field `X-Path` replaces the path of the target, for paths that no target can
/// have.
pub(crate) fn asker(files: Files) -> Asker {
    asker_within(Limits::default(), files)
}

/// The same with other limits.
pub(crate) fn asker_within(limits: Limits, files: Files) -> Asker {
    let handler = move |req: &Request<'_>| -> Response {
        match req.header("x-path") {
            Some(path) => files.respond_at(req, path),
            None => files.respond(req),
        }
    };
    Asker { sim: Sim::of(Server::new().limits(limits), handler).unwrap() }
}

impl Asker {
    pub(crate) fn get(&mut self, target: &str) -> Received {
        self.ask("GET", target, &[])
    }

    /// Sends a request on a new connection, and checks the length of the response.
    pub(crate) fn ask(&mut self, method: &str, target: &str, fields: &[(&str, &str)]) -> Received {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: here\r\n").into_bytes();
        for (name, value) in fields {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(b"Connection: close\r\n\r\n");
        let client = self.sim.connect_and_send(&request);
        let received = self.sim.take_received(client);
        assert!(self.sim.has_ended(client), "{target}: the response is complete");
        let response = parse(&received);
        match response.field("content-length") {
            Some(len) if method != "HEAD" => assert_eq!(len, response.content.len().to_string()),
            _ => assert!(response.content.is_empty(), "{target}: content without a length"),
        }
        response
    }
}

fn parse(received: &[u8]) -> Received {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&received[..end]).unwrap().to_owned();
    let status = head[9..12].parse().unwrap();
    Received { status, head, content: received[end + 4..].to_vec() }
}
