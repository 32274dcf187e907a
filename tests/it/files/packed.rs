//! Files in the program and content in memory behave like files in a directory.

use std::time::{Duration, SystemTime};

use wheelhouse::files::{Asset, Content, Files};
use wheelhouse::sim::Sim;
use wheelhouse::{Request, StatusCode};

use super::tree::{asker, Received, Tree};

const ASSETS: [Asset; 14] = [
    Asset::new("file.txt", b"0123456789"),
    Asset::new("empty.txt", b""),
    Asset::new("dir/index.html", b"<p>index"),
    Asset::new("list/b.txt", b"b"),
    Asset::new("sp ace.txt", b"space"),
    Asset::new("100%.txt", b"percent"),
    Asset::new("app.js", b"let long = 1;"),
    Asset::new("app.js.gz", b"\x1f\x8b pretended"),
    Asset::new("app.js.br", b"pretended, too"),
    Asset::new("noext", b"text without an extension"),
    Asset::new("binary", b"\0\x01\x02"),
    Asset::new("about.html", b"<p>about"),
    Asset::new("404.html", b"<p>gone"),
    Asset::new(".hidden", b"hidden"),
];

fn unpacked() -> Tree {
    let tree = Tree::new();
    for (name, bytes) in [
        ("app.js", &b"let long = 1;"[..]),
        ("app.js.gz", b"\x1f\x8b pretended"),
        ("app.js.br", b"pretended, too"),
        ("noext", b"text without an extension"),
        ("binary", b"\0\x01\x02"),
        ("about.html", b"<p>about"),
        ("404.html", b"<p>gone"),
        (".hidden", b"hidden"),
    ] {
        tree.write(name, bytes);
    }
    tree
}

/// The parts of a response in which both must agree.
fn shown(response: &Received) -> (u16, Vec<Option<String>>, Vec<u8>) {
    const NAMES: [&str; 11] = [
        "x-a",
        "x-content-type-options",
        "content-type",
        "content-encoding",
        "content-length",
        "content-range",
        "accept-ranges",
        "location",
        "vary",
        "allow",
        "cache-control",
    ];
    let is_multipart = response.field("content-type").is_some_and(|kind| kind.contains("boundary"));
    let fields = NAMES.iter().map(|name| response.field(name).map(str::to_owned));
    // A boundary is random.
    let mut fields: Vec<_> = fields.collect();
    let mut content = response.content.clone();
    if is_multipart {
        fields[2] = None;
        content.clear();
    }
    (response.status, fields, content)
}

#[test]
fn files_in_the_program_are_served_like_files_in_a_directory() {
    compare(|files| files.clean_urls(true));
    compare(|files| files.dot_files(true).precompressed(false).index(["no.html", "index.html"]));
    compare(|files| files.content_type("txt", "text/x-own").unwrap().header("X-A", "b").unwrap());
}

fn compare(options: fn(Files) -> Files) {
    let tree = unpacked();
    let options = |files: Files| {
        let files = options(files.listing(false).cache_control("max-age=9").unwrap());
        files.error_page(StatusCode::NOT_FOUND, "404.html").unwrap()
    };
    let mut disk = asker(options(tree.files()));
    let mut packed = asker(options(Files::packed(ASSETS)));
    let paths = [
        "/",
        "/file.txt",
        "/file.txt/",
        "/empty.txt",
        "/dir",
        "/dir/",
        "/dir/index.html",
        "/list",
        "/list/",
        "/list/b.txt",
        "/list/missing",
        "/sp%20ace.txt",
        "/100%25.txt",
        "/app.js",
        "/app.js.gz",
        "/noext",
        "/binary",
        "/about",
        "/about/",
        "/about.html",
        "/missing",
        "/.hidden",
        "/../file.txt",
        "/./file.txt",
        "/dir%2findex.html",
        "/file.txt%00",
        "/FILE.TXT",
        "/list//b.txt",
        "//file.txt",
        "/fil",
        "/dir/index",
    ];
    let fields: [&[(&str, &str)]; 12] = [
        &[],
        &[("Range", "bytes=0-3")],
        &[("Range", "bytes=-2")],
        &[("Range", "bytes=3-")],
        &[("Range", "bytes=99-")],
        &[("Range", "bytes=0-1,3-4")],
        &[("Accept-Encoding", "gzip")],
        &[("Accept-Encoding", "br, gzip")],
        &[("Accept-Encoding", "gzip"), ("Range", "bytes=1-2")],
        &[("If-None-Match", "*")],
        &[("If-Match", "\"other\"")],
        &[("If-Range", "\"other\""), ("Range", "bytes=0-3")],
    ];
    let mut count = 0;
    for path in paths {
        for fields in fields {
            for method in ["GET", "HEAD"] {
                let expected = shown(&disk.ask(method, path, fields));
                assert_eq!(
                    shown(&packed.ask(method, path, fields)),
                    expected,
                    "{method} {path} {fields:?}"
                );
                count += 1;
            }
        }
        for method in ["POST", "OPTIONS"] {
            assert_eq!(shown(&packed.ask(method, path, &[])), shown(&disk.ask(method, path, &[])));
        }
    }
    assert_eq!(count, 31 * 12 * 2);
}

#[test]
fn a_tag_of_a_file_in_the_program_is_made_of_its_bytes() {
    let tag = |bytes: &'static [u8]| {
        let mut asker = asker(Files::packed([Asset::new("a", bytes)]));
        let response = asker.get("/a");
        assert_eq!(response.field("last-modified"), None);
        response.field("etag").unwrap().to_owned()
    };
    assert_eq!(tag(b"one"), tag(b"one"));
    assert_ne!(tag(b"one"), tag(b"two"));
    let mut asker = asker(Files::packed([Asset::new("a", b"one")]));
    let condition = tag(b"one");
    let response = asker.ask("GET", "/a", &[("If-None-Match", &condition)]);
    assert_eq!((response.status, response.field("etag")), (304, Some(&*condition)));
    let fields = [("If-Range", &*condition), ("Range", "bytes=1-")];
    assert_eq!(asker.ask("GET", "/a", &fields).text(), "ne");
}

#[test]
fn several_ranges_of_a_file_in_the_program_are_one_response() {
    let mut asker = asker(Files::packed(ASSETS));
    let response = asker.ask("GET", "/file.txt", &[("Range", "bytes=0-1,7-8")]);
    assert_eq!(response.status, 206);
    let text = response.text();
    assert!(text.contains("Content-Range: bytes 0-1/10\r\n\r\n01\r\n--"), "{text}");
    assert!(text.contains("Content-Range: bytes 7-8/10\r\n\r\n78\r\n--"), "{text}");
}

#[test]
fn content_in_memory_has_conditions_and_ranges() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
    let content = Content::new("text/plain", "0123456789").modified(at);
    let mut sim = Sim::new(move |req: &Request<'_>| content.respond(req));
    let mut ask = |method: &str, fields: &[(&str, &str)]| {
        let mut request = sim.request(method, "/x");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        request.send()
    };
    let whole = ask("GET", &[]);
    assert_eq!((whole.status().as_u16(), whole.text()), (200, "0123456789"));
    assert_eq!(whole.header("Last-Modified"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert_eq!(whole.header("Accept-Ranges"), Some("bytes"));
    let tag = whole.header("ETag").unwrap().to_owned();
    for (method, fields, status, text) in [
        ("HEAD", vec![], 200, ""),
        ("GET", vec![("If-None-Match", &*tag)], 304, ""),
        ("GET", vec![("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 GMT")], 304, ""),
        ("GET", vec![("If-Modified-Since", "Tue, 14 Nov 2023 22:13:19 GMT")], 200, "0123456789"),
        ("GET", vec![("If-Match", "\"other\"")], 412, "412 Precondition Failed\n"),
        ("GET", vec![("Range", "bytes=2-4")], 206, "234"),
        ("GET", vec![("Range", "bytes=2-4"), ("If-Range", &*tag)], 206, "234"),
        ("GET", vec![("Range", "bytes=2-4"), ("If-Range", "\"other\"")], 200, "0123456789"),
        ("GET", vec![("Range", "bytes=10-")], 416, "416 Range Not Satisfiable\n"),
        ("POST", vec![], 405, "405 Method Not Allowed\n"),
        ("OPTIONS", vec![], 204, ""),
    ] {
        let response = ask(method, &fields);
        let got = (response.status().as_u16(), response.text());
        assert_eq!(got, (status, text), "{method} {fields:?}");
    }
}

/// The root has no name, so the path of its index is made of none.
#[test]
fn files_at_the_root_are_found_however_the_program_writes_their_paths() {
    const PAGES: [Asset; 3] = [
        Asset::new("index.html", b"<p>root"),
        Asset::new("404.html", b"<p>gone"),
        Asset::new("app/shell.html", b"<p>shell"),
    ];
    let ask = |files: Files, path: &str| {
        let mut sim = Sim::new(files);
        sim.get(path).text().to_owned()
    };
    assert_eq!(ask(Files::packed(PAGES), "/"), "<p>root");
    assert_eq!(ask(Files::packed(PAGES).index(["./404.html"]), "/"), "<p>gone");
    assert_eq!(ask(Files::packed(PAGES).index(["no.html", "shell.html"]), "/app/"), "<p>shell");
    assert_eq!(ask(Files::packed(PAGES).spa("./app//shell.html"), "/news"), "<p>shell");
    let files = Files::packed(PAGES).error_page(StatusCode::NOT_FOUND, "./404.html").unwrap();
    assert_eq!(ask(files, "/news"), "<p>gone");
}

/// The responses are made with the first request.
#[test]
fn an_option_that_is_set_after_a_request_holds_for_the_next() {
    type Change = fn(Files) -> Files;
    let changes: [(&str, &str, Change); 7] = [
        ("/file.txt", "max-age=9", |files| files.cache_control("max-age=9").unwrap()),
        ("/file.txt", "X-A: b", |files| files.header("X-A", "b").unwrap()),
        ("/file.txt", "text/x-own", |files| files.content_type("txt", "text/x-own").unwrap()),
        ("/.hidden", "hidden", |files| files.dot_files(true)),
        ("/app.js", "let long", |files| files.precompressed(false)),
        ("/about.html", "301 Moved", |files| files.clean_urls(true)),
        ("/list/", "200 OK", |files| files.index(["b.txt"])),
    ];
    for (path, sign, change) in changes {
        let mut files = Some(Files::packed(ASSETS));
        let mut sim = Sim::new(move |req: &Request<'_>| {
            let now = files.take().unwrap();
            let response = now.respond(req);
            files = Some(change(now));
            response
        });
        let ask = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n");
        let client = sim.connect();
        let mut shows = || {
            sim.send(client, &ask);
            String::from_utf8_lossy(&sim.take_received(client)).contains(sign)
        };
        assert_eq!((shows(), shows()), (false, true), "{path} {sign}");
    }
}
