//! Compares Debian's nginx with the binary over one tree: the same status, `Content-Length` and
//! `Content-Range` for every request, or a reason for the difference.
//!
//! Without nginx (`apt-get install nginx-light`) the test is skipped with a message. Both servers
//! listen on Unix sockets, so that they do not need ports.
#![cfg(feature = "cli")]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::reading::read_some;

/// The compared parts of a response.
#[derive(Debug, PartialEq, Eq)]
struct Response {
    status: u16,
    length: Option<String>,
    range: Option<String>,
}

struct Case {
    method: &'static str,
    path: &'static str,
    fields: String,
}

type Fits = fn(&Case) -> bool;

/// Requests for which the responses differ, and the reason. The first entry that fits counts.
const EXPLAINED: &[(Fits, &str)] = &[
    (
        |case| case.method == "HEAD" && case.fields.contains("Range: bytes="),
        "RFC 9110, section 14.2: ranges are for GET; nginx has them for HEAD too",
    ),
    (
        |case| case.fields.contains("Range: bytes=0-1,3-4") || case.fields.contains(",-2\r\n"),
        "multipart: the boundary and the part heads are of another length",
    ),
    (
        |case| case.fields.contains("bytes=0-99999999999999999999"),
        "a last position beyond 64 bits is beyond the end, not malformed",
    ),
    (|case| case.fields.contains("bytes= ,"), "not a range: ignored, as in Go; nginx refuses"),
    (
        |case| case.path == "/empty.txt" && case.fields.contains("Range:"),
        "an empty file has no range to refuse: as Go, 200",
    ),
    (
        |case| case.path.contains("/.") && !case.path.contains(".well-known"),
        "dot segments are refused, and names that begin with a dot are not there",
    ),
    (|case| case.method == "OPTIONS", "204 with `Allow`, for health checks; nginx has a 405"),
    (|case| case.path.contains("%2f"), "an encoded slash is not a separator"),
    (|case| case.path.contains("%00"), "NUL: 404, as in Go; nginx returns 400"),
    (|case| case.path == "/outside", "links never lead out of the root; nginx follows them"),
    (|case| case.path == "/file.txt/", "redirected to the file, as in Go; nginx returns 404"),
    (
        |case| case.fields.contains("Accept-Encoding: *"),
        "`*` takes any coding (RFC 9110, section 12.5.3); nginx looks for the word gzip",
    ),
];

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |method, path, fields: &str| {
        cases.push(Case { method, path, fields: fields.to_owned() });
    };
    let paths = [
        "/",
        "/file.txt",
        "/file%2etxt",
        "/%66ile.txt",
        "/empty.txt",
        "/missing",
        "/dir",
        "/dir/",
        "/dir/index.html",
        "/list",
        "/list/",
        "/list/b.txt",
        "//file.txt",
        "/list//b.txt",
        "/file.txt/",
        "/file.txt/x",
        "/sp%20ace.txt",
        "/file.txt?query",
        "/?sort=size",
        "/FILE.TXT",
        "/outside",
        "/fifo",
        "/large.bin",
        "/app.js",
        "/.hidden",
        "/./file.txt",
        "/list/../file.txt",
        "/../file.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/dir%2findex.html",
        "/file.txt%00",
        "/a%5cb",
        "/%ff",
        "/file.txt%20",
        "/~root",
        "/100%25",
    ];
    for path in paths {
        add("GET", path, "");
        add("HEAD", path, "");
    }
    for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
        add(method, "/file.txt", "");
    }
    let ranges = [
        "0-0",
        "0-9",
        "0-",
        "5-",
        "9-",
        "-1",
        "-6",
        "-10",
        "-15",
        "0-20",
        "10-",
        "10-20",
        "2-1",
        "--6",
        "-",
        "x-y",
        "0-1;2",
        "0-1,3-4",
        "0-0,-2",
        "0-,0-",
        "0-,1-,2-",
        "20-,30-",
        "",
        " ,",
        "1 - 2",
        " 1-2",
        "0-99999999999999999999",
        "18446744073709551615-",
        "-6-",
    ];
    for range in ranges {
        add("GET", "/file.txt", &format!("Range: bytes={range}\r\n"));
    }
    for range in ["0-0", "-1", "1073741824-1073741833", "2147483648-", "2147483647-"] {
        add("GET", "/large.bin", &format!("Range: bytes={range}\r\n"));
        add("GET", "/empty.txt", &format!("Range: bytes={range}\r\n"));
        add("HEAD", "/large.bin", &format!("Range: bytes={range}\r\n"));
    }
    let (same, before) = ("Tue, 02 Jan 2024 03:04:05 GMT", "Tue, 02 Jan 2024 03:04:04 GMT");
    for (name, value) in [
        ("If-Modified-Since", same),
        ("If-Modified-Since", before),
        ("If-Modified-Since", "yesterday"),
        ("If-Unmodified-Since", same),
        ("If-Unmodified-Since", before),
        ("If-None-Match", "*"),
        ("If-None-Match", "\"x\""),
        ("If-Match", "*"),
        ("If-Match", "\"x\""),
        ("If-Range", "\"x\""),
        ("If-Range", same),
        ("If-Range", before),
    ] {
        add("GET", "/file.txt", &format!("{name}: {value}\r\n"));
        add("HEAD", "/file.txt", &format!("{name}: {value}\r\n"));
        add("GET", "/file.txt", &format!("Range: bytes=1-2\r\n{name}: {value}\r\n"));
    }
    for value in ["gzip", "br", "identity", "gzip;q=0", "*"] {
        add("GET", "/app.js", &format!("Accept-Encoding: {value}\r\n"));
    }
    cases
}

#[test]
fn responses_equal_those_of_nginx_or_differ_for_a_known_reason() {
    let Some(nginx) = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        eprintln!("skipped: nginx is not installed here");
        return;
    };
    let tree = Tree::new();
    let theirs = tree.0.join("nginx.sock");
    let ours = tree.0.join("wheelhouse.sock");
    let _nginx = Process(tree.nginx(nginx, &theirs));
    let _wheelhouse = Process(tree.wheelhouse(&ours));
    let cases = cases();
    assert!(cases.len() >= 100);
    let (mut equal, mut unexplained) = (0, Vec::new());
    for case in &cases {
        let (a, b) = (ask(&theirs, case), ask(&ours, case));
        if a == b {
            equal += 1;
            continue;
        }
        let line = format!("{} {} {:?}", case.method, case.path, case.fields);
        match EXPLAINED.iter().find(|(fits, _)| fits(case)) {
            Some((_, why)) => println!("{line}: nginx {}, we {}: {why}", a.status, b.status),
            None => unexplained.push(format!("{line}: nginx {a:?}, we {b:?}")),
        }
    }
    println!("{equal} of {} alike", cases.len());
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

fn ask(socket: &Path, case: &Case) -> Response {
    let mut stream = connect(socket);
    let Case { method, path, fields } = case;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: here\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && read_some(&mut stream, &mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let status = head[9..12].parse().unwrap();
    // Each server has its own pages for errors, redirects and listings.
    let is_file =
        matches!(status, 200 | 206) && !case.path.split('?').next().unwrap().ends_with('/');
    Response {
        status,
        length: field("content-length").filter(|_| is_file),
        range: field("content-range"),
    }
}

/// Waits until the server listens, since nginx does not report it.
fn connect(socket: &Path) -> UnixStream {
    for _ in 0..3000 {
        if let Ok(stream) = UnixStream::connect(socket) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no server listens on {}", socket.display());
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Tree(PathBuf);

impl Tree {
    fn new() -> Tree {
        use rustix::fs::{mknodat, utimensat, AtFlags, FileType, Mode, Timespec, Timestamps, CWD};
        let base = std::env::temp_dir().join(format!("wheelhouse-nginx-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        let root = base.join("root");
        for dir in ["dir", "list"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::write(base.join("secret.txt"), "secret").unwrap();
        let files = [
            ("file.txt", "0123456789"),
            ("empty.txt", ""),
            ("dir/index.html", "<p>index"),
            ("list/b.txt", "b"),
            ("sp ace.txt", "space"),
            ("100%", "percent"),
            (".hidden", "hidden"),
            ("app.js", "plain"),
            ("app.js.gz", "compressed"),
        ];
        for (name, content) in files {
            fs::write(root.join(name), content).unwrap();
            let time = Timespec { tv_sec: 1_704_164_645, tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, root.join(name), &times, AtFlags::empty()).unwrap();
        }
        fs::File::create(root.join("large.bin")).unwrap().set_len(2 << 30).unwrap();
        std::os::unix::fs::symlink("../secret.txt", root.join("outside")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, root.join("fifo"), FileType::Fifo, mode, 0).unwrap();
        Tree(base)
    }

    fn nginx(&self, program: &str, socket: &Path) -> Child {
        let base = self.0.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {base}/{name};\n"))
            .collect();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {base}/pid;\nerror_log stderr crit;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temporary}\
             types {{ text/plain txt; text/html html; text/javascript js; }}\n\
             server {{ listen unix:{}; root {base}/root; index index.html; autoindex on;\n\
             gzip_static on; }}\n}}\n",
            socket.display()
        );
        let path = self.0.join("nginx.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(&self.0).arg("-c").arg(&path).arg("-e").arg("stderr");
        command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn wheelhouse(&self, socket: &Path) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheelhouse"));
        command.arg(self.0.join("root")).arg(format!("--listen=unix:{}", socket.display()));
        command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
