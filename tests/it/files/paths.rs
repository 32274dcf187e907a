//! Paths that are found, redirected or refused.

use std::fs;
use std::os::unix::net::UnixListener;

use rustix::fs::{mknodat, FileType, Mode, CWD};
use wheelhouse::files::Files;

use super::tree::{asker, Tree, SECRET};

/// Paths and their status; none of them may reveal the secret. t204, t208, t216, t220 and the
/// advisories about `..%2f`, `%252e`, `\`, `c:`, NUL, device names and links.
const TABLE: &[(&str, u16)] = &[
    // Ordinary paths.
    ("/file.txt", 200),
    ("//file.txt", 200),
    ("///dir///index.html", 200),
    ("/%66ile.txt", 200),
    ("/file%2etxt", 200),
    ("/sp%20ace.txt", 200),
    ("/...", 404), // begins with a dot
    ("/a%3ab", 200),
    ("/100%25.txt", 200),
    ("/a..b", 200),
    ("/...", 404), // begins with a dot
    ("/.well-known/x.txt", 200),
    ("/dir/", 200),
    ("/dir", 301),
    ("/file.txt/", 301),
    ("/missing", 404),
    ("/file.txt/x", 404),
    ("/file.txt/x/", 404),
    ("/file.txt/..", 400),
    // Dot segments, plain and encoded.
    ("/..", 400),
    ("/../", 400),
    ("/../secret.txt", 400),
    ("/../../../../etc/passwd", 400),
    ("/dir/../../secret.txt", 400),
    ("/dir/..", 400),
    ("/.", 400),
    ("/./file.txt", 400),
    ("/dir/./index.html", 400),
    ("/%2e%2e/secret.txt", 400),
    ("/%2E%2e/secret.txt", 400),
    ("/%2e./secret.txt", 400),
    ("/.%2e/secret.txt", 400),
    ("/dir/%2e%2e/%2e%2e/secret.txt", 400),
    ("//../secret.txt", 400),
    ("/..//secret.txt", 400),
    ("/%2e", 400),
    // Encoded slashes.
    ("/..%2fsecret.txt", 400),
    ("/..%2Fsecret.txt", 400),
    ("/%2e%2e%2fsecret.txt", 400),
    ("/dir%2f..%2f..%2fsecret.txt", 400),
    ("/dir%2findex.html", 404),
    ("/%2fetc%2fpasswd", 404),
    ("/%2f", 404),
    ("/dir%2f", 404),
    // Backslashes.
    ("/..\\secret.txt", 400),
    ("/..%5csecret.txt", 400),
    ("/..%5Csecret.txt", 400),
    ("/dir\\..\\..\\secret.txt", 400),
    ("/\\..\\..\\etc\\passwd", 400),
    ("/dir%5cindex.html", 404),
    ("/\\\\host\\share", 404),
    ("/%5c%5chost%5cshare", 404),
    // Encoded twice: a name with a percent sign, which does not exist.
    ("/%252e%252e/secret.txt", 404),
    ("/..%252fsecret.txt", 404),
    ("/%25252e%25252e%25252fsecret.txt", 404),
    ("/%252e%252e%252fsecret.txt", 404),
    ("/%255c..%255csecret.txt", 404),
    // Overlong forms of UTF-8, which are not decoded to characters.
    ("/%c0%ae%c0%ae/secret.txt", 404),
    ("/%c0%ae%c0%ae%c0%afsecret.txt", 404),
    ("/..%c0%afsecret.txt", 404),
    ("/..%c1%9csecret.txt", 404),
    ("/%e0%80%ae%e0%80%ae/secret.txt", 404),
    ("/%u002e%u002e/secret.txt", 400),
    ("/%uff0e%uff0e/secret.txt", 400),
    ("/%ef%bc%8e%ef%bc%8e/secret.txt", 404),
    ("/%ff%fe", 404),
    // NUL and other controls.
    ("/%00", 404),
    ("/file.txt%00", 404),
    ("/file.txt%00.html", 404),
    ("/..%00/secret.txt", 404),
    ("/%00../secret.txt", 404),
    ("/file.txt%0a", 404),
    ("/file.txt%0d%0aX-Split:%20yes", 404),
    ("/%7f", 404),
    ("/%1b[2J", 404),
    // Broken escapes.
    ("/%", 400),
    ("/%2", 400),
    ("/%zz", 400),
    ("/file.txt%", 400),
    ("/%%32%65", 400),
    ("/%2%65", 400),
    ("/%-1", 400),
    // Special names of other systems.
    ("/c:/windows/win.ini", 404),
    ("/c:%5cwindows%5cwin.ini", 404),
    ("/C%3A/", 404),
    ("/con", 404),
    ("/nul.txt", 404),
    ("/file.txt::$DATA", 404),
    ("/file.txt.", 404),
    ("/file.txt%20", 404),
    ("/file~1.txt", 404),
    ("/..;/secret.txt", 404),
    ("/..;x=y/secret.txt", 404),
    ("/dir;/index.html", 404),
    ("/~root", 404),
    ("/~/", 404),
    ("/$HOME", 404),
    ("/proc/self/environ", 404),
    ("/dev/zero", 404),
    ("/etc/passwd", 404),
    ("//etc/passwd", 404),
    // Dot-files.
    ("/.hidden", 404),
    ("/%2ehidden", 404),
    ("/.git/config", 404),
    ("/.git/", 404),
    ("/.git", 404),
    ("/dir/.well-known/x.txt", 404),
    ("/.well-known/.x", 404),
    // Links.
    ("/outside", 404),
    ("/absolute", 404),
    ("/up/secret.txt", 404),
    ("/up/", 404),
    ("/up", 404),
    ("/up/root/file.txt", 404),
    ("/slash/etc/passwd", 404),
    ("/loop", 404),
    ("/loop/", 404),
];

/// Go: TestServeFile_DotDot (t204), TestFileServerCleans and others (t208), TestFileServerZeroByte
/// and others (t216), TestFileServerNotDirError (t220).
#[test]
fn hostile_paths_are_refused_and_ordinary_ones_found() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    for (path, want) in TABLE {
        let response = asker.get(path);
        // A backslash that is not encoded is not allowed in a target.
        let want_raw = if path.contains('\\') { &400 } else { want };
        assert_eq!(response.status, *want_raw, "{path}");
        assert!(!response.text().contains(SECRET), "{path}");
        assert!(!response.text().contains("root:"), "{path}");
        // The same as a path after a stripped prefix, with and without its slash.
        for cut in [path, &path[1..]] {
            let response = asker.ask("GET", "/mounted/", &[("X-Path", cut)]);
            assert_eq!(response.status, *want, "{cut} after a prefix");
        }
    }
}

/// curl and others send these bytes as they are (hyperium/http#474).
#[test]
fn a_file_is_found_by_the_bytes_that_clients_do_not_escape() {
    let tree = Tree::new();
    let names = ["{cu}.txt", "a|b[1]", "\"quoted\"", "<tag>", "x^2", "`id`", "~!$&'()*+,;=:@"];
    let mut asker = asker(tree.files());
    for name in names {
        tree.write(&format!("odd/{name}"), name);
        let response = asker.get(&format!("/odd/{name}"));
        assert_eq!((response.status, response.text()), (200, name));
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(asker.get(&format!("/odd/{escaped}")).text(), name, "one spelling is as good");
    }
    tree.write("dir/<i>/x", "");
    let redirect = asker.get("/dir/<i>?\"q\"");
    assert_eq!(redirect.field("location"), Some("./%3Ci%3E/?\"q\""));
}

#[test]
fn names_that_are_too_long_for_the_system_are_not_found() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    assert_eq!(asker.get(&format!("/{}", "a".repeat(256))).status, 404);
    assert_eq!(asker.get(&format!("/{}", "a/".repeat(3000))).status, 404);
    assert_eq!(asker.get(&format!("/{}file.txt", "/".repeat(5000))).status, 200);
}

/// Unlike Go, `/dir/index.html` is served and not redirected (t207, t212).
#[test]
fn a_missing_or_extra_slash_is_redirected_relatively_with_its_query() {
    let tree = Tree::new();
    tree.write("a:b.d/x", "");
    tree.write("sp ace/x", "");
    tree.write("evil.example/x", "");
    let mut asker = asker(tree.files());
    let cases = [
        ("/dir", "./dir/"),
        ("/dir?a=b&c", "./dir/?a=b&c"),
        ("/dir?", "./dir/?"),
        ("/file.txt/", "../file.txt"),
        ("/file.txt//?q", "../../file.txt?q"),
        ("/a:b.d", "./a:b.d/"),
        ("/sp%20ace", "./sp%20ace/"),
        ("//evil.example", "./evil.example/"),
        ("http://here/dir", "./dir/"),
    ];
    for (target, location) in cases {
        let response = asker.get(target);
        assert_eq!(
            (response.status, response.field("location")),
            (301, Some(location)),
            "{target}"
        );
    }
    assert_eq!(asker.get("/dir/index.html").status, 200);
}

/// The redirect keeps the prefix of the mount (t205, t210).
#[test]
fn a_mounted_directory_without_a_slash_is_redirected_to_itself_with_one() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    let response = asker.ask("GET", "/static?v=1", &[("X-Path", "")]);
    assert_eq!((response.status, response.field("location")), (301, Some("./static/?v=1")));
    let response = asker.ask("GET", "/static/", &[("X-Path", "")]);
    assert_eq!(response.status, 200, "an empty path is the directory itself");
    let response = asker.ask("GET", "/static/dir?v=1", &[("X-Path", "dir")]);
    assert_eq!((response.status, response.field("location")), (301, Some("./dir/?v=1")));
    let response = asker.ask("GET", "/static/file.txt", &[("X-Path", "file.txt")]);
    assert_eq!((response.status, response.text()), (200, "0123456789"));
}

/// Go sends the file for any method (golang/go#59470; t106, t223).
#[test]
fn only_get_head_and_options_are_allowed() {
    let tree = Tree::new();
    let mut asker = asker(tree.files());
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "PROPFIND"] {
        for path in ["/file.txt", "/missing", "/../x"] {
            let response = asker.ask(method, path, &[]);
            let got = (response.status, response.field("allow"));
            assert_eq!(got, (405, Some("GET, HEAD, OPTIONS")), "{method} {path}");
        }
    }
    let head = asker.ask("HEAD", "/file.txt", &[]);
    assert_eq!((head.status, head.field("content-length")), (200, Some("10")));
}

/// The health check of HAProxy is `OPTIONS / HTTP/1.0`, which takes a server down that has a 405.
#[test]
fn options_get_a_204_with_the_methods_and_the_fields_of_the_program() {
    let tree = Tree::new();
    let mut asker = asker(tree.files().header("X-From", "here").unwrap());
    for target in ["/file.txt", "/", "/list/", "/dir", "/missing", "*"] {
        let response = asker.ask("OPTIONS", target, &[]);
        let found = (response.status, response.field("allow"), response.field("x-from"));
        assert_eq!(found, (204, Some("GET, HEAD, OPTIONS"), Some("here")), "{target}");
        for name in ["content-type", "content-length", "x-content-type-options"] {
            assert_eq!(response.field(name), None, "{target}: {name}");
        }
    }
    let old = asker.sim.connect_and_send(b"OPTIONS / HTTP/1.0\r\n\r\n");
    assert!(asker.sim.received(old).starts_with(b"HTTP/1.0 204 No Content\r\n"));
}

/// Such a file is not found, and opening it does not block (t216).
#[test]
fn fifos_sockets_and_devices_are_not_found() {
    let tree = Tree::new();
    let root = tree.root();
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, root.join("fifo"), FileType::Fifo, mode, 0).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    // Only root may make devices; for other users a link that leads outside takes its place.
    let zero = rustix::fs::makedev(1, 5);
    let _ = mknodat(CWD, root.join("zero"), FileType::CharacterDevice, mode, zero);
    let mut asker = asker(tree.files());
    for path in ["/fifo", "/socket", "/zero", "/fifo/", "/fifo/x"] {
        assert_eq!(asker.get(path).status, 404, "{path}");
    }
    let page = asker.get("/");
    for name in ["fifo", "socket", "zero", "outside", "absolute", "up/", "loop"] {
        assert!(!page.text().contains(&format!(">{name}<")), "{name} is listed");
    }
}

/// A writer that waits for a reader of the FIFO would be let through, and then lose its bytes.
#[cfg(target_os = "linux")]
#[test]
fn a_fifo_is_not_opened_by_a_request_and_not_by_a_listing() {
    use rustix::fs::inotify;
    let tree = Tree::new();
    let fifo = tree.root().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::os::unix::fs::symlink("fifo", tree.root().join("link")).unwrap();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&watch, &fifo, inotify::WatchFlags::OPEN).unwrap();
    let has_opened = || rustix::io::read(&watch, &mut [0; 1024]).is_ok();
    let mut asker = asker(tree.files());
    for path in ["/fifo", "/fifo/", "/fifo/x", "/link", "/"] {
        let response = asker.get(path);
        assert_eq!(response.status, if path == "/" { 200 } else { 404 }, "{path}");
        assert!(!has_opened(), "{path} has opened it");
    }
    drop(fs::File::options().read(true).write(true).open(&fifo).unwrap());
    assert!(has_opened(), "the watch would have reported it");
}

/// Some files refuse to be opened with the error that also a sandbox causes.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_be_opened_does_not_switch_symbolic_links_off() {
    // Without CAP_SYSLOG, the log of the kernel cannot be opened.
    let refused = fs::File::open("/proc/kmsg").err().and_then(|error| error.raw_os_error());
    if refused != Some(rustix::io::Errno::PERM.raw_os_error()) {
        eprintln!("skipped: this process may read the log of the kernel");
        return;
    }
    let mut asker = asker(Files::new("/proc").unwrap());
    let link = asker.get("/net/").status;
    assert_eq!(asker.get("/kmsg").status, 403);
    assert_eq!(asker.get("/net/").status, link, "/proc/net is a link");
}

#[test]
fn links_inside_the_root_are_followed() {
    let tree = Tree::new();
    std::os::unix::fs::symlink("../file.txt", tree.root().join("dir/inside")).unwrap();
    let mut asker = asker(tree.files());
    // Without openat2 links are not followed, which is just as safe.
    let response = asker.get("/dir/inside");
    assert!(matches!((response.status, response.text()), (200, "0123456789") | (404, _)));
}

/// Go notices it only at the first request (TestFileServerDirWithRootFile, t225).
#[test]
fn a_root_that_is_not_a_directory_is_refused_at_the_start() {
    let tree = Tree::new();
    assert!(Files::new(tree.root().join("file.txt")).is_err());
    assert!(Files::new(tree.root().join("missing")).is_err());
}

pub(super) fn may_read_everything() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        eprintln!("skipped: root may read everything");
    }
    is_root
}

/// The status is that of missing permission (t219).
#[test]
fn an_unreadable_file_is_forbidden() {
    use std::os::unix::fs::PermissionsExt;
    if may_read_everything() {
        return;
    }
    let tree = Tree::new();
    let path = tree.root().join("file.txt");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(asker(tree.files()).get("/file.txt").status, 403);
}

#[test]
fn a_directory_with_only_execute_permission_has_an_index_but_no_listing() {
    use std::os::unix::fs::PermissionsExt;
    if may_read_everything() {
        return;
    }
    let tree = Tree::new();
    for dir in ["dir", "list"] {
        fs::set_permissions(tree.root().join(dir), fs::Permissions::from_mode(0o311)).unwrap();
    }
    let mut asker = asker(tree.files());
    let response = asker.get("/dir?q");
    assert_eq!((response.status, response.field("location")), (301, Some("./dir/?q")));
    assert_eq!(asker.get("/dir/").text(), "<p>index");
    assert_eq!(asker.get("/list/").status, 403);
    assert_eq!(asker.get("/list/b.txt").text(), "b");
    for dir in ["dir", "list"] {
        fs::set_permissions(tree.root().join(dir), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn dot_files_are_served_and_listed_if_the_program_allows_them() {
    let tree = Tree::new();
    let mut asker = asker(tree.files().dot_files(true));
    assert_eq!(asker.get("/.hidden").text(), SECRET);
    assert!(asker.get("/").text().contains(".hidden"));
    assert_eq!(asker.get("/../secret.txt").status, 400);
}
