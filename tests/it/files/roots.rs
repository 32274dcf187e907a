//! Roots of other kinds: a single file, and a tree with links that leave it.

use std::fs;
use std::os::unix::fs::symlink;

use wheelhouse::files::Files;
use wheelhouse::StatusCode;

use super::tree::{asker, Tree, SECRET};

#[test]
fn a_single_file_is_served_at_the_root_and_under_its_name_and_nothing_else_is() {
    let tree = Tree::new();
    tree.write("movie.mp4", "0123456789");
    tree.write("movie.mp4.gz", "gzip");
    let mut asker = asker(Files::open(tree.root().join("movie.mp4")).unwrap());
    for path in ["/", "//", "/movie.mp4", "/movie%2Emp4", "/?t=1", "/movie.mp4?t=1"] {
        let response = asker.ask("GET", path, &[("Accept-Encoding", "gzip")]);
        assert_eq!((response.status, response.text()), (200, "0123456789"), "{path}");
        assert_eq!(response.field("content-type"), Some("video/mp4"), "{path}");
    }
    let part = asker.ask("GET", "/", &[("Range", "bytes=2-3")]);
    assert_eq!((part.status, part.text()), (206, "23"));
    let slash = asker.get("/movie.mp4/?t=1");
    assert_eq!((slash.status, slash.field("location")), (301, Some("../movie.mp4?t=1")));
    for path in ["/file.txt", "/movie.mp4.gz", "/list/", "/movie", "/.hidden", "/root/movie.mp4"] {
        assert_eq!(asker.get(path).status, 404, "{path}");
    }
    assert_eq!(asker.get("/../secret.txt").status, 400);
    let mounted = asker.ask("GET", "/static", &[("X-Path", "")]);
    assert_eq!((mounted.status, mounted.text()), (200, "0123456789"));
}

#[test]
fn a_single_file_may_be_a_link_or_a_hidden_file_or_be_replaced() {
    let tree = Tree::new();
    let link = tree.root().join("latest.txt");
    symlink(tree.root().parent().unwrap().join("secret.txt"), &link).unwrap();
    let mut latest = asker(Files::open(&link).unwrap());
    assert_eq!(latest.get("/latest.txt").text(), SECRET, "the program has named it");
    fs::remove_file(&link).unwrap();
    symlink("file.txt", &link).unwrap();
    assert_eq!(latest.get("/").text(), "0123456789");
    assert_eq!(asker(Files::open(tree.root().join(".hidden")).unwrap()).get("/").text(), SECRET);
}

#[test]
fn no_option_serves_a_file_beside_a_single_file() {
    let tree = Tree::new();
    tree.write("a.html", "page");
    let files = Files::open(tree.root().join("a.html")).unwrap();
    let files = files.spa("file.txt").index(["file.txt"]).clean_urls(true).precompressed(true);
    let mut asker = asker(files.dot_files(true).follow_links(false));
    assert_eq!(asker.get("/").text(), "page");
    for path in ["/x", "/.hidden", "/file.txt", "/dir/"] {
        assert_eq!(asker.get(path).status, 404, "{path}");
    }
    let files = Files::open(tree.root().join("a.html")).unwrap();
    assert!(files.error_page(StatusCode::NOT_FOUND, "file.txt").is_err());
}

#[test]
fn a_root_that_is_neither_a_directory_nor_a_file_is_refused() {
    let tree = Tree::new();
    assert_eq!(asker(Files::open(tree.root()).unwrap()).get("/file.txt").status, 200);
    let socket = tree.root().join("socket");
    let _open = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [socket, tree.root().join("missing"), "/dev/null".into(), "".into()] {
        assert!(Files::open(&path).is_err(), "{}", path.display());
    }
}

#[test]
fn links_that_leave_the_root_are_followed_and_listed_only_if_the_program_allows_it() {
    let tree = Tree::new();
    let mut inside = asker(tree.files().follow_links(true).follow_links(false));
    let mut outside = asker(tree.files().follow_links(true));
    for path in ["/outside", "/absolute", "/up/secret.txt"] {
        assert_eq!(inside.get(path).status, 404, "{path}");
        assert_eq!(outside.get(path).text(), SECRET, "{path}");
    }
    assert_eq!(outside.get("/up/root/file.txt").text(), "0123456789");
    assert_eq!(outside.get("/loop").status, 404);
    // Only links are followed. A path of a client never climbs.
    for path in ["/../secret.txt", "/%2e%2e/secret.txt", "/dir/../../secret.txt"] {
        assert_eq!(outside.get(path).status, 400, "{path}");
    }
    for (asker, shows) in [(&mut inside, false), (&mut outside, true)] {
        let page = asker.get("/");
        for link in ["outside<", "absolute<", "up/<"] {
            assert_eq!(page.text().contains(link), shows, "{link}");
        }
        assert!(!page.text().contains("loop<"));
    }
}
