//! The representation that is sent: type, precompressed sibling, index, and the page of a
//! single-page application.

use super::tree::{asker, Tree, CHANGED};

/// Go: TestServeFileContentType and others (t211).
#[test]
fn the_type_follows_from_the_name_or_the_first_bytes_and_can_be_set() {
    let tree = Tree::new();
    tree.write("a.html", "");
    tree.write("a.JS", "");
    tree.write("a.css", "");
    tree.write("a.png", "");
    tree.write("a.json", "");
    tree.write("a.wasm", "");
    tree.write("a.own", "");
    tree.write("README", "Gr\u{fc}\u{df}e\n");
    tree.write("html", "<script>alert(1)</script>");
    tree.write("cut", format!("{}\u{20ac}", "a".repeat(510)));
    tree.write("data", b"\x00\x01\xff");
    tree.write("latin1", b"Gr\xfc\xdfe");
    let files = tree.files().content_type("OWN", "application/x-own").unwrap();
    let mut asker = asker(files);
    let cases = [
        ("/a.html", "text/html; charset=utf-8"),
        ("/a.JS", "text/javascript; charset=utf-8"),
        ("/a.css", "text/css; charset=utf-8"),
        ("/file.txt", "text/plain; charset=utf-8"),
        ("/a.png", "image/png"),
        ("/a.json", "application/json"),
        ("/a.wasm", "application/wasm"),
        ("/a.own", "application/x-own"),
        ("/README", "text/plain; charset=utf-8"),
        ("/html", "text/plain; charset=utf-8"),
        ("/cut", "text/plain; charset=utf-8"),
        ("/data", "application/octet-stream"),
        ("/latin1", "application/octet-stream"),
    ];
    for (path, kind) in cases {
        assert_eq!(asker.get(path).field("content-type"), Some(kind), "{path}");
    }
}

/// `mime_guess` takes the first for a plug-in of a player, the second for a drawing of tgif.
#[test]
fn packages_models_and_films_have_the_types_in_common_use() {
    let tree = Tree::new();
    tree.write("a.rpm", b"\xed\xab\xee\xdb\x03");
    tree.write("a.obj", "v 0 0 0\n");
    for name in ["film.ts", "film.M2TS", "film.mts"] {
        tree.write(name, [&b"\x47\x40\x11\x10\0"[..], &[0xff; 183]].concat());
    }
    tree.write("program.ts", "const a: string = 'a';\n");
    let mut asker = asker(tree.files());
    for (path, kind) in [
        ("/a.rpm", "application/x-rpm"),
        ("/a.obj", "model/obj"),
        ("/film.ts", "video/mp2t"),
        ("/film.M2TS", "video/mp2t"),
        ("/film.mts", "video/mp2t"),
        ("/program.ts", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(asker.get(path).field("content-type"), Some(kind), "{path}");
    }
}

/// A browser does not take one type for another.
#[test]
fn every_response_with_a_type_forbids_guesses() {
    let tree = Tree::new();
    let mut responder = asker(tree.files());
    for (path, status) in [("/file.txt", 200), ("/list/", 200), ("/none", 404), ("/list", 301)] {
        let response = responder.get(path);
        let found = (response.status, response.field("x-content-type-options"));
        assert_eq!(found, (status, Some("nosniff")), "{path}");
    }
    let file = responder.ask("GET", "/file.txt", &[("If-None-Match", "*")]);
    assert_eq!((file.status, file.field("x-content-type-options")), (304, None));
    let own = tree.files().header("X-Content-Type-Options", "own").unwrap();
    assert_eq!(asker(own).get("/file.txt").field("x-content-type-options"), Some("own"));
}

fn compressed_tree() -> Tree {
    let tree = Tree::new();
    tree.write("app.js", "plain");
    tree.write("app.js.br", "brotli");
    tree.write("app.js.gz", "gzip");
    tree.write("only.css", "plain");
    tree.write("only.css.gz", "gzip");
    tree.write("pic.png", "plain");
    tree.write("pic.png.gz", "gzip");
    tree
}

/// The length is that of the sibling (t213, t224).
#[test]
fn a_precompressed_sibling_is_sent_to_clients_that_accept_it() {
    let tree = compressed_tree();
    let mut asker = asker(tree.files());
    let cases = [
        ("/app.js", "", "plain"),
        ("/app.js", "identity", "plain"),
        ("/app.js", "gzip", "gzip"),
        ("/app.js", "x-gzip", "gzip"),
        ("/app.js", "GZip", "gzip"),
        ("/app.js", "gzip, deflate, br, zstd", "brotli"),
        ("/app.js", "br;q=0.5, gzip;q=0.9", "gzip"),
        ("/app.js", "br;q=0.9, gzip;q=0.9", "brotli"),
        ("/app.js", "br ; q=0, gzip", "gzip"),
        ("/app.js", "br;q=0, gzip;q=0.000", "plain"),
        ("/app.js", "*", "brotli"),
        ("/app.js", "*;q=0", "plain"),
        ("/app.js", "br;q=0, *", "gzip"),
        ("/app.js", "gzip, *;q=0", "gzip"),
        ("/app.js", "br;q=2", "plain"),
        ("/app.js", "br;q=x", "plain"),
        ("/app.js", "br;level=1", "plain"),
        ("/app.js", "bro, xbr, brx", "plain"),
        ("/app.js", ",;,=,br;", "plain"),
        ("/only.css", "br, gzip", "gzip"),
        ("/only.css", "br", "plain"),
        ("/pic.png", "gzip", "plain"),
    ];
    for (path, accept, want) in cases {
        let response = asker.ask("GET", path, &[("Accept-Encoding", accept)]);
        assert_eq!((response.status, response.text()), (200, want), "{path} {accept:?}");
        let encoding = match want {
            "plain" => None,
            "brotli" => Some("br"),
            other => Some(other),
        };
        assert_eq!(response.field("content-encoding"), encoding, "{path} {accept:?}");
        let varies = (path != "/pic.png").then_some("Accept-Encoding");
        assert_eq!(response.field("vary"), varies, "{path} {accept:?}");
    }
    let js = asker.ask("GET", "/app.js", &[("Accept-Encoding", "br")]);
    assert_eq!(js.field("content-type"), Some("text/javascript; charset=utf-8"));
}

#[test]
fn a_zstandard_sibling_comes_between_brotli_and_gzip() {
    let tree = Tree::new();
    for suffix in ["", ".br", ".zst", ".gz"] {
        tree.write(&format!("all.js{suffix}"), suffix);
        if suffix != ".br" {
            tree.write(&format!("two.js{suffix}"), suffix);
        }
    }
    let mut asker = asker(tree.files());
    for (path, accept, want) in [
        ("/all.js", "gzip, deflate, br, zstd", ".br"),
        ("/two.js", "gzip, deflate, br, zstd", ".zst"),
        ("/two.js", "gzip, br", ".gz"),
        ("/all.js", "zstd", ".zst"),
        ("/all.js", "gzip;q=0.5, zstd;q=0.9, br;q=0.1", ".zst"),
        ("/all.js", "zstd;q=0.5, gzip", ".gz"),
        ("/all.js", "br;q=0, zstd;q=0, *", ".gz"),
        ("/all.js", "x-zstd, zst", ""),
    ] {
        let response = asker.ask("GET", path, &[("Accept-Encoding", accept)]);
        assert_eq!((response.status, response.text()), (200, want), "{path} {accept}");
        let coding = match want {
            ".br" => Some("br"),
            ".zst" => Some("zstd"),
            ".gz" => Some("gzip"),
            _ => None,
        };
        assert_eq!(response.field("content-encoding"), coding, "{path} {accept}");
    }
}

/// Browsers show such a picture only if they know that it is compressed.
#[test]
fn a_compressed_picture_has_the_coding_that_it_has_in_itself() {
    let tree = Tree::new();
    tree.write("a.svgz", "gzip of svg");
    tree.write("B.SVGZ", "gzip of svg");
    tree.write("a.svgz.gz", "twice");
    let mut responder = asker(tree.files());
    for (path, accept) in [("/a.svgz", "gzip"), ("/a.svgz", ""), ("/B.SVGZ", "br, zstd")] {
        let response = responder.ask("GET", path, &[("Accept-Encoding", accept)]);
        assert_eq!((response.status, response.text()), (200, "gzip of svg"), "{path}");
        assert_eq!(response.field("content-type"), Some("image/svg+xml"), "{path}");
        assert_eq!(response.field("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(response.field("vary"), None, "{path}: there is one representation");
    }
    let part = responder.ask("GET", "/a.svgz", &[("Range", "bytes=0-3")]);
    assert_eq!(
        (part.status, part.text(), part.field("content-encoding")),
        (206, "gzip", Some("gzip"))
    );
    // A program that sets another type wants the bytes as they are.
    let own = tree.files().content_type("svgz", "application/gzip").unwrap();
    assert_eq!(asker(own).get("/a.svgz").field("content-encoding"), None);
}

#[test]
fn each_coding_has_a_tag_and_ranges_of_its_own() {
    let tree = compressed_tree();
    let mut asker = asker(tree.files());
    let mut tag = |accept| {
        let response = asker.ask("GET", "/app.js", &[("Accept-Encoding", accept)]);
        response.field("etag").unwrap().to_owned()
    };
    let (plain, br, gzip) = (tag(""), tag("br"), tag("gzip"));
    assert!(plain != br && br != gzip && gzip != plain);
    let fields = [("Accept-Encoding", "br"), ("Range", "bytes=0-1"), ("If-Range", br.as_str())];
    let response = asker.ask("GET", "/app.js", &fields);
    assert_eq!((response.status, response.text()), (206, "br"));
    assert_eq!(response.field("content-range"), Some("bytes 0-1/6"));
    let fields = [("Accept-Encoding", "br"), ("If-None-Match", plain.as_str())];
    assert_eq!(asker.ask("GET", "/app.js", &fields).status, 200);
}

/// A client decodes the content that it receives, but a multipart response has no coding.
#[test]
fn a_request_for_several_ranges_of_a_coded_sibling_gets_all_of_it() {
    let tree = compressed_tree();
    let mut asker = asker(tree.files());
    let mut ask = |accept, range| {
        asker.ask("GET", "/app.js", &[("Accept-Encoding", accept), ("Range", range)])
    };
    let response = ask("gzip", "bytes=0-0,2-2");
    assert_eq!((response.status, response.text()), (200, "gzip"));
    assert_eq!(response.field("content-encoding"), Some("gzip"));
    let response = ask("identity", "bytes=0-0,2-2");
    assert_eq!((response.status, response.field("content-encoding")), (206, None));
    let response = ask("gzip", "bytes=1-2,99-");
    assert_eq!((response.status, response.text()), (206, "zi"));
    assert_eq!(ask("gzip", "bytes=98-,99-").status, 416);
}

/// Compressors copy the time of the file, but some of them only its seconds.
/// `gzip -k` copies the time of the file, and a sibling may have its length by chance.
#[test]
fn a_sibling_with_the_length_and_the_time_of_its_file_has_another_tag() {
    let tree = Tree::new();
    for name in ["a.css", "a.css.br", "a.css.zst", "a.css.gz"] {
        tree.write(name, "same length");
    }
    let mut asker = asker(tree.files());
    let mut tags: Vec<String> = ["identity", "br", "zstd", "gzip"]
        .iter()
        .map(|coding| asker.ask("GET", "/a.css", &[("Accept-Encoding", coding)]))
        .map(|response| response.field("etag").unwrap().to_owned())
        .collect();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "{tags:?}");
}

#[test]
fn a_sibling_of_the_same_second_is_sent() {
    let tree = compressed_tree();
    let sibling = tree.root().join("app.js.gz");
    let second = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(CHANGED as u64);
    std::fs::File::options().write(true).open(sibling).unwrap().set_modified(second).unwrap();
    let response = asker(tree.files()).ask("GET", "/app.js", &[("Accept-Encoding", "gzip")]);
    assert_eq!(response.text(), "gzip");
}

#[test]
fn siblings_are_sent_of_every_type_that_is_not_compressed_in_itself() {
    let tree = Tree::new();
    let compresses = [
        "m.data",
        "m.bin",
        "m.glb",
        "m.onnx",
        "m.stl",
        "m.ico",
        "m.pdf",
        "m.svg",
        "m.ttf",
        "m.wav",
        "noextension",
        "m.wasm",
        "m.csv",
        "m.geojson",
    ];
    let compressed = [
        "m.png", "m.jpg", "m.webp", "m.avif", "m.mp4", "m.webm", "m.mp3", "m.ogg", "m.zip", "m.7z",
        "m.docx", "m.odt", "m.woff2", "m.jar", "m.tgz", "m.epub",
    ];
    let all = compresses.map(|name| (name, true)).into_iter();
    for (name, has_sibling) in all.chain(compressed.map(|name| (name, false))) {
        tree.write(name, "\0plain");
        tree.write(&format!("{name}.gz"), "gzip");
        let path = format!("/{name}");
        let response = asker(tree.files()).ask("GET", &path, &[("Accept-Encoding", "gzip")]);
        assert_eq!(response.text() == "gzip", has_sibling, "{name}");
        assert_eq!(response.field("vary").is_some(), has_sibling, "{name}");
    }
}

#[test]
fn a_sibling_that_is_older_or_not_a_file_or_not_accepted_is_not_sent() {
    let tree = compressed_tree();
    tree.touch("app.js.br", CHANGED - 1);
    std::fs::remove_file(tree.root().join("app.js.gz")).unwrap();
    std::fs::create_dir(tree.root().join("app.js.gz")).unwrap();
    std::os::unix::fs::symlink("../secret.txt", tree.root().join("file.txt.gz")).unwrap();
    let all = [("Accept-Encoding", "br, gzip")];
    let mut asker = asker(tree.files());
    assert_eq!(asker.ask("GET", "/app.js", &all).text(), "plain");
    assert_eq!(asker.ask("GET", "/file.txt", &all).text(), "0123456789");
    let mut asker = super::tree::asker(tree.files().precompressed(false));
    let response = asker.ask("GET", "/only.css", &all);
    assert_eq!((response.text(), response.field("vary")), ("plain", None));
}

/// Go: TestServeIndexHtml and others (t215).
#[test]
fn a_directory_is_served_with_its_first_existing_index_file() {
    let tree = Tree::new();
    tree.write("both/index.htm", "second");
    tree.write("both/home.html", "first");
    tree.write("one/index.htm", "second");
    std::fs::create_dir_all(tree.root().join("odd/home.html")).unwrap();
    tree.write("odd/index.htm", "second");
    let mut asker = asker(tree.files().index(["home.html", "index.htm"]));
    assert_eq!(asker.get("/both/").text(), "first");
    assert_eq!(asker.get("/one/").text(), "second");
    assert_eq!(asker.get("/odd/").text(), "second");
    assert!(
        asker.get("/dir/").text().contains("<!DOCTYPE html>"),
        "without an index there is a listing"
    );
    let none: [&str; 0] = [];
    let mut asker = super::tree::asker(tree.files().index(none));
    assert!(asker.get("/dir/").text().contains("index.html"));
}

#[test]
fn a_single_page_application_serves_unknown_paths_but_not_missing_files() {
    let tree = Tree::new();
    tree.write("app.html", "app");
    let files = tree.files().spa("app.html").listing(false).cache_control("max-age=9").unwrap();
    let mut asker = asker(files);
    for path in ["/", "/users/17", "/users/", "/list/"] {
        let response = asker.get(path);
        assert_eq!((response.status, response.text()), (200, "app"), "{path}");
        assert_eq!(response.field("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(response.field("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
    for path in ["/missing.js", "/assets/x.css", "/.hidden"] {
        assert_eq!(asker.get(path).status, 404, "{path}");
    }
    assert_eq!(asker.get("/..").status, 400);
    assert_eq!(asker.get("/file.txt").field("cache-control"), Some("max-age=9"));
    assert_eq!(asker.ask("POST", "/users/17", &[]).status, 405);
}

#[test]
fn fields_that_cannot_be_sent_are_refused_when_the_program_sets_them() {
    let tree = Tree::new();
    assert!(tree.files().header("Content-Length", "1").is_err());
    assert!(tree.files().header("X\r\nY", "1").is_err());
    assert!(tree.files().header("X", "1\r\nY: 2").is_err());
    // Fields that every response has once and whose value depends on the file.
    for name in ["Content-Type", "etag", "Last-Modified", "Content-Encoding", "Content-Range"] {
        assert!(tree.files().header(name, "x").is_err(), "{name}");
    }
    assert!(tree.files().header("Vary", "Origin").is_ok(), "a list may continue in a second line");
    assert!(tree.files().cache_control("a\nb").is_err());
    assert!(tree.files().content_type("x", "a\0b").is_err());
}
