//! The program's own pages for errors, and clean URLs.

use wheelhouse::StatusCode;

use super::tree::{asker, Tree};

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("404.html", "<p>gone fishing");
    tree.write("errors/405.txt", "only reading");
    tree.write("errors/416.json", "{}");
    tree
}

#[test]
fn an_error_has_the_page_of_the_program_and_keeps_its_status_and_fields() {
    let tree = tree();
    let files = tree.files().error_page(StatusCode::NOT_FOUND, "404.html").unwrap();
    let files = files.error_page(StatusCode::METHOD_NOT_ALLOWED, "errors/405.txt").unwrap();
    let files = files.error_page(StatusCode::RANGE_NOT_SATISFIABLE, "errors/416.json").unwrap();
    let mut asker = asker(files.cache_control("max-age=9").unwrap());
    for path in ["/missing", "/a/b/c.js", "/.hidden", "/outside", "/x%00", "/missing/"] {
        let response = asker.get(path);
        assert_eq!((response.status, response.text()), (404, "<p>gone fishing"), "{path}");
        assert_eq!(response.field("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.field("x-content-type-options"), Some("nosniff"));
        for name in ["etag", "last-modified", "cache-control", "accept-ranges"] {
            assert_eq!(response.field(name), None, "{name}");
        }
    }
    let response = asker.ask("POST", "/file.txt", &[]);
    assert_eq!((response.status, response.text()), (405, "only reading"));
    assert!(response.field("allow").is_some());
    let response = asker.ask("GET", "/file.txt", &[("Range", "bytes=99-")]);
    assert_eq!((response.status, response.text()), (416, "{}"));
    assert_eq!(response.field("content-range"), Some("bytes */10"));
    assert_eq!(response.field("content-type"), Some("application/json"));
    let head = asker.ask("HEAD", "/missing", &[]);
    assert_eq!((head.status, head.field("content-length")), (404, Some("15")));
    // Conditions and ranges are for files that are found.
    let fields = [("If-None-Match", "*"), ("Range", "bytes=0-1")];
    assert_eq!(asker.ask("GET", "/missing", &fields).text(), "<p>gone fishing");
    assert_eq!(asker.get("/404.html").status, 200);
    assert_eq!(asker.get("/..").text(), "400 Bad Request\n");
}

#[test]
fn an_error_page_that_changes_or_disappears_does_so_at_once() {
    let tree = tree();
    let files = tree.files().error_page(StatusCode::NOT_FOUND, "404.html").unwrap();
    let mut asker = asker(files);
    tree.write("404.html", "<p>moved");
    assert_eq!(asker.get("/missing").text(), "<p>moved");
    std::fs::remove_file(tree.root().join("404.html")).unwrap();
    let response = asker.get("/missing");
    assert_eq!((response.status, response.text()), (404, "404 Not Found\n"));
}

#[test]
fn an_error_page_that_cannot_be_sent_is_refused_when_the_program_sets_it() {
    let tree = tree();
    for file in ["none.html", "errors", "../secret.txt", "outside", ""] {
        assert!(tree.files().error_page(StatusCode::NOT_FOUND, file).is_err(), "{file}");
    }
    for status in [200, 301, 304] {
        let status = StatusCode::from_u16(status).unwrap();
        let error = tree.files().error_page(status, "404.html").unwrap_err();
        assert!(format!("{error:?}").contains("not the status of an error"), "{error:?}");
    }
    let again = tree.files().error_page(StatusCode::NOT_FOUND, "404.html").unwrap();
    let again = again.error_page(StatusCode::NOT_FOUND, "errors/405.txt").unwrap();
    assert_eq!(asker(again).get("/missing").text(), "only reading", "the last one counts");
}

/// A page of a single-page application is not an error.
#[test]
fn a_single_page_application_has_an_error_page_for_the_paths_that_it_does_not_take() {
    let tree = tree();
    tree.write("app.html", "app");
    let files = tree.files().error_page(StatusCode::NOT_FOUND, "404.html").unwrap();
    let mut asker = asker(files.spa("app.html"));
    assert_eq!(asker.get("/users/17").text(), "app");
    assert_eq!(asker.get("/missing.js").text(), "<p>gone fishing");
}

fn clean_tree() -> Tree {
    let tree = Tree::new();
    tree.write("index.html", "home");
    tree.write("about.html", "about");
    tree.write("docs.html", "docs");
    tree.write("docs/intro.html", "intro");
    tree.write("both.html", "page");
    tree.write("both/index.html", "directory");
    tree.write("plain", "plain");
    tree.write("plain.html", "page");
    tree.write("v1.2.html", "version");
    tree.write("sp ace.html", "space");
    tree
}

#[test]
fn a_page_is_served_without_its_ending_and_a_file_of_that_name_wins() {
    let tree = clean_tree();
    let mut asker = asker(tree.files().clean_urls(true).cache_control("max-age=9").unwrap());
    let pages = [
        ("/", "home"),
        ("/about", "about"),
        ("/about?x=1", "about"),
        ("/docs", "docs"),
        ("/docs/intro", "intro"),
        ("/both", "page"),
        ("/both/", "directory"),
        ("/plain", "plain"),
        ("/plain.html", "page"),
        ("/v1.2", "version"),
        ("/sp%20ace", "space"),
        ("/dir/", "<p>index"),
    ];
    for (path, content) in pages {
        let response = asker.get(path);
        assert_eq!((response.status, response.text()), (200, content), "{path}");
    }
    let about = asker.get("/about");
    assert_eq!(about.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(about.field("cache-control"), Some("max-age=9"));
    let etag = about.field("etag").unwrap().to_owned();
    assert_eq!(asker.ask("GET", "/about", &[("If-None-Match", &etag)]).status, 304);
    for path in ["/none", "/about/x", "/.html", "/file"] {
        assert_eq!(asker.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_path_with_the_ending_of_a_page_is_redirected_to_the_clean_one_with_its_query() {
    let tree = clean_tree();
    let mut responder = asker(tree.files().clean_urls(true));
    let redirects = [
        ("/about.html", "./about"),
        ("/about.html?a=b&c", "./about?a=b&c"),
        ("/about%2Ehtml?", "./about?"),
        ("/docs/intro.html", "./intro"),
        ("/both.html", "./both"),
        ("/v1.2.html", "./v1.2"),
        ("/sp%20ace.html", "./sp%20ace"),
        ("/index.html", "./"),
        ("/dir/index.html?q", "./?q"),
        ("/about/", "../about"),
        ("/about/?q", "../about?q"),
        ("/dir", "./dir/"),
    ];
    for (path, location) in redirects {
        let response = responder.get(path);
        let found = (response.status, response.field("location"));
        assert_eq!(found, (301, Some(location)), "{path}");
    }
    // With another index, that of the directory is another page.
    let mut other = asker(tree.files().clean_urls(true).index(["home.html"]));
    assert_eq!(other.get("/dir/index.html").field("location"), Some("./index"));
    assert_eq!(other.get("/dir/index").text(), "<p>index");
    // Without a listing, the page of a directory without an index is near.
    let mut unlisted = asker(tree.files().clean_urls(true).listing(false));
    assert_eq!(unlisted.get("/docs/").field("location"), Some("../docs"));
}

#[test]
fn a_clean_path_keeps_the_prefix_of_its_mount() {
    let tree = clean_tree();
    let mut asker = asker(tree.files().clean_urls(true));
    let page = asker.ask("GET", "/static/about.html?v", &[("X-Path", "/about.html")]);
    assert_eq!((page.status, page.field("location")), (301, Some("./about?v")));
    assert_eq!(asker.ask("GET", "/static/about", &[("X-Path", "/about")]).text(), "about");
    // The program has mapped another path to the file: there is nothing to cut. A redirect would lead
    // to the same request again.
    assert_eq!(asker.ask("GET", "/", &[("X-Path", "/about.html")]).text(), "about");
    for path in ["/", "/home"] {
        let page = asker.ask("GET", path, &[("X-Path", "/index.html")]);
        assert_eq!(page.status, 200, "{path}");
    }
    let page = asker.ask("GET", "/static/index.html", &[("X-Path", "/index.html")]);
    assert_eq!((page.status, page.field("location")), (301, Some("./")));
}

#[test]
fn clean_urls_are_off_unless_the_program_wants_them() {
    let tree = clean_tree();
    let mut asker = asker(tree.files());
    assert_eq!(asker.get("/about").status, 404);
    assert_eq!(asker.get("/about.html").status, 200);
}

#[test]
fn a_clean_path_never_leads_to_a_hidden_page_or_out_of_the_root() {
    let tree = clean_tree();
    tree.write(".env.html", super::tree::SECRET);
    tree.write(".well-known.html", super::tree::SECRET);
    std::os::unix::fs::symlink("../secret.txt", tree.root().join("leak.html")).unwrap();
    let mut asker = asker(tree.files().clean_urls(true));
    // That directory is public, and a page with its name is not.
    let directory = asker.get("/.well-known");
    assert_eq!((directory.status, directory.field("location")), (301, Some("./.well-known/")));
    for path in ["/.env", "/leak", "/..", "/../secret", "/%2e%2e/secret"] {
        let response = asker.get(path);
        assert!(matches!(response.status, 400 | 404), "{path}: {}", response.status);
        assert!(!response.text().contains(super::tree::SECRET), "{path}");
    }
}

#[test]
fn a_page_whose_clean_path_may_not_be_read_is_sent_for_the_path_that_leads_to_it() {
    use std::fs::{set_permissions, Permissions};
    use std::os::unix::fs::PermissionsExt;

    if super::paths::may_read_everything() {
        return;
    }
    let tree = Tree::new();
    tree.write("about.html", "about");
    tree.write("about/x", "");
    tree.write("notes.html", "notes");
    tree.write("notes", "");
    let closed = [("about", 0o311), ("notes", 0o200)];
    for (name, mode) in closed {
        set_permissions(tree.root().join(name), Permissions::from_mode(mode)).unwrap();
    }
    let mut asker = asker(tree.files().clean_urls(true));
    assert_eq!(asker.get("/about.html").field("location"), Some("./about"));
    assert_eq!(asker.get("/about").text(), "about", "a page wins over a directory");
    assert_eq!(asker.get("/notes").status, 403, "a file wins over a page");
    assert_eq!(asker.get("/notes.html").text(), "notes", "so its page keeps its own path");
    for (name, _) in closed {
        set_permissions(tree.root().join(name), Permissions::from_mode(0o755)).unwrap();
    }
}
