//! Guards, routes, mounts and files see the same path, however it is spelt, and redirects lead back
//! to it.

use std::sync::atomic::{AtomicUsize, Ordering};

use wheelhouse::files::Files;
use wheelhouse::sim::Sim;
use wheelhouse::{Handler, Request, Response, Router, StatusCode};

/// The status, and `Location` or the content.
fn get(sim: &mut Sim, target: &str) -> (u16, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let client = sim.connect_and_send(request.as_bytes());
    let response = String::from_utf8(sim.received(client).to_vec()).unwrap();
    let (head, content) = response.split_once("\r\n\r\n").unwrap();
    let location = head.split("\r\n").find_map(|line| line.strip_prefix("Location: "));
    (head[9..12].parse().unwrap(), location.unwrap_or(content).to_owned())
}

/// Spellings of a request for `/admin`, and requests for other paths.
const SPELLINGS: [&str; 26] = [
    "/admin",
    "/%61dmin",
    "/%61%64%6D%69%6e",
    "/admin/",
    "/admin/x",
    "/admin%2F",
    "/admin%2fx",
    "//admin",
    "/%2Fadmin",
    "/./admin",
    "/%2e/admin",
    "/x/../admin",
    "/x/%2e%2E/%61dmin",
    "/x%2f..%2fadmin",
    "/admin/.",
    "/admin/%2e",
    "/admin;x",
    "/admin%3Bx",
    "/admin%3F",
    "/admin%23",
    "/admin%00",
    "/admin%0A",
    "/admin%ff",
    "/admin%20",
    "/%2561dmin",
    "/ADMIN",
];

/// No spelling and no redirect bypasses the guard (audit: M6).
#[test]
fn a_guard_and_a_route_see_the_same_path() {
    let seen = AtomicUsize::new(0);
    for pattern in ["/admin", "/admin/", "/admin/{rest...}", "/{x}", "/{x}/{y...}"] {
        let mut routes = Router::<()>::new()
            .any(pattern, |_, req| format!("route {}", req.path()))
            .build()
            .unwrap();
        let is_admin = |path: &str| path == "/admin" || path.starts_with("/admin/");
        let mut sim = Sim::new(move |req: &Request<'_>| match is_admin(req.path()) {
            true => Response::status_page(StatusCode::FORBIDDEN).into(),
            false => routes.handle(&mut (), req),
        });
        for spelling in SPELLINGS {
            let (mut status, mut text) = get(&mut sim, spelling);
            for _ in 0..3 {
                if status == 307 {
                    assert!(text.starts_with('/') && !text.starts_with("//"), "{spelling}: {text}");
                    (status, text) = get(&mut sim, &text.clone());
                }
            }
            match status {
                403 => drop(seen.fetch_add(1, Ordering::Relaxed)),
                404 => {}
                200 => {
                    let path = text.strip_prefix("route ").unwrap();
                    assert!(!is_admin(path), "{pattern} {spelling}: {text}");
                    assert!(!pattern.starts_with("/admin"), "{pattern} {spelling}: {text}");
                }
                _ => panic!("{pattern} {spelling}: {status} {text}"),
            }
        }
    }
    // Twelve of the spellings mean `/admin` or a path below it.
    assert_eq!(seen.load(Ordering::Relaxed), 5 * 12);
}

/// The prefix of the mount is compared with the same path.
#[test]
fn a_guard_and_a_mount_see_the_same_path() {
    let is_admin = |path: &str| path == "/admin" || path.starts_with("/admin/");
    let mut routes = Router::<()>::new()
        .mount("/admin", |_: &Request<'_>| "secret")
        .any("/", |_, _| "open")
        .build()
        .unwrap();
    let mut sim = Sim::new(move |req: &Request<'_>| match is_admin(req.path()) {
        true => Response::status_page(StatusCode::FORBIDDEN).into(),
        false => routes.handle(&mut (), req),
    });
    for spelling in SPELLINGS {
        let (_, text) = get(&mut sim, spelling);
        assert_ne!(text, "secret", "{spelling}");
    }
    let mut sim = Sim::new(move |req: &Request<'_>| match req.strip_prefix("/admin") {
        Some(inner) => format!("in {} {}", inner.path(), inner.raw_path()),
        None => format!("out {}", is_admin(req.path())),
    });
    for spelling in SPELLINGS {
        let (_, text) = get(&mut sim, spelling);
        assert!(text.starts_with("in ") || text == "out false", "{spelling}: {text}");
    }
    assert_eq!(get(&mut sim, "/%61dmin/%62%2fc?d").1, "in /b%2Fc /%62%2fc");
    assert_eq!(get(&mut sim, "http://h/%61dmin").1, "in  ");
}

/// A decoded path may hold characters that begin a query, a fragment or a line in a URL.
#[test]
fn every_redirect_leads_to_the_intended_path() {
    let dir = std::env::temp_dir().join(format!("wheelhouse-one-path-{}", std::process::id()));
    let names: [(&str, &[u8]); 9] = [
        ("a%20b", b"a b"),
        ("a%3Fb", b"a?b"),
        ("a%23b", b"a#b"),
        ("a;b", b"a;b"),
        ("a%25b", b"a%b"),
        ("a%252Fb", b"a%2Fb"),
        ("a%0Ab", b"a\nb"),
        ("%C3%A4", "\u{e4}".as_bytes()),
        ("%22%3Cb", b"\"<b"),
    ];
    for (_, name) in names {
        use std::os::unix::ffi::OsStrExt;
        std::fs::create_dir_all(dir.join(std::ffi::OsStr::from_bytes(name))).unwrap();
    }
    let files = Files::new(&dir).unwrap();
    let routes = Router::<()>::new()
        .any("/r/{x}/", |_, req| format!("{:?}", req.param("x").unwrap().as_bytes()))
        .mount("/files", files)
        .any("/here/{x}", |_, req| Response::redirect(req, StatusCode::SEE_OTHER, "?q"))
        .any("/in/{x}/y", |_, req| Response::redirect(req, StatusCode::SEE_OTHER, "z"))
        .build();
    let mut sim = Sim::new(routes.unwrap());
    for (escaped, name) in names {
        // A slash at the end, and empty segments.
        let (status, location) = get(&mut sim, &format!("/r/{escaped}?q=%3F"));
        assert_eq!((status, &*location), (307, &*format!("/r/{escaped}/?q=%3F")));
        let (status, content) = get(&mut sim, &location);
        assert_eq!((status, content), (200, format!("{name:?}")), "{escaped}");
        let unclean = get(&mut sim, &format!("//%2e/r//{escaped}/?q=%3F"));
        assert_eq!(unclean, (307, location));
        // Directories, under a mount.
        let (status, location) = get(&mut sim, &format!("/files/{escaped}?q"));
        assert_eq!((status, &*location), (301, &*format!("./{escaped}/?q")), "{escaped}");
        let (status, _) = get(&mut sim, &format!("/files/{escaped}/"));
        assert_eq!(status, 200, "{escaped}");
        // Redirects of the program, relative to the path.
        assert_eq!(get(&mut sim, &format!("/in/{escaped}/y")).1, format!("/in/{escaped}/z"));
        assert_eq!(get(&mut sim, &format!("/here/{escaped}")).1, "/here/?q");
    }
    std::fs::remove_dir_all(&dir).unwrap();
    for (target, location) in [
        ("/r/%00", "/r/%00/"),
        ("/r/%ff%2f", "/r/%FF%2F/"),
        ("/r/%5cevil", "/r/%5Cevil/"),
        ("/r//%2f%2fevil/", "/r/%2F%2Fevil/"),
        ("/r/%e2%80%ae", "/r/%E2%80%AE/"),
        ("/r/%0d%0aSet-Cookie:%20a", "/r/%0D%0ASet-Cookie:%20a/"),
    ] {
        assert_eq!(get(&mut sim, target), (307, location.to_owned()));
    }
}

#[test]
fn the_path_is_decoded_and_the_raw_path_and_the_target_are_kept() {
    let mut sim = Sim::new(|req: &Request<'_>| {
        format!("{} {} {} {:?}", req.path(), req.raw_path(), req.target(), req.raw_query())
    });
    for (target, expected) in [
        ("/a", "/a /a /a None"),
        ("/%61%2f?%61", "/a%2F /%61%2f /%61%2f?%61 Some(\"%61\")"),
        ("/%25%32%35", "/%2525 /%25%32%35 /%25%32%35 None"),
        ("http://h/%61?b", "/a /%61 http://h/%61?b Some(\"b\")"),
        ("http://h", "/ / http://h None"),
        ("http://h?%61", "/ / http://h?%61 Some(\"%61\")"),
        ("/%c2%85%0a", "/%C2%85%0A /%c2%85%0a /%c2%85%0a None"),
    ] {
        assert_eq!(get(&mut sim, target).1, expected);
    }
    // The path of one request does not appear in the next.
    let client = sim.connect_and_send(
        b"GET /%61%61%61 HTTP/1.1\r\nHost: h\r\n\r\nGET /%62 HTTP/1.1\r\nHost: h\r\n\r\n\
          GET /c HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let all = String::from_utf8_lossy(sim.received(client)).into_owned();
    let firsts: Vec<_> = all.split("\r\n\r\n").skip(1).map(|part| part.split(' ').next()).collect();
    assert_eq!(firsts, [Some("/aaa"), Some("/b"), Some("/c")]);
}

/// The path is decoded again when the content has arrived.
#[test]
fn a_request_that_waited_for_its_content_has_the_same_path() {
    let routes = Router::<()>::new().collect("POST /p/{x}", 9, |_, req, _| {
        format!("{} {:?} {:?}", req.path(), req.param("x"), req.raw_param("x"))
    });
    let mut sim = Sim::new(routes.build().unwrap());
    let client = sim.connect();
    sim.send(client, b"POST /%70/%C3%a4%2f HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na");
    let other = sim.connect_and_send(b"GET /%70%70%70/%71 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(sim.received(other).starts_with(b"HTTP/1.1 404"));
    sim.send(client, b"b");
    let response = String::from_utf8_lossy(sim.received(client)).into_owned();
    let expected = "\r\n\r\n/p/\u{e4}%2F Some(\"\u{e4}/\") Some(\"%C3%a4%2f\")";
    assert!(response.ends_with(expected), "{response}");
}

/// A listener for both families sees IPv4 peers with IPv6 addresses.
#[test]
fn the_address_of_an_ipv4_peer_is_an_ipv4_address() {
    let mut sim = Sim::new(|req: &Request<'_>| format!("{:?}", req.peer_addr()));
    for (from, shown) in [
        ("[::ffff:192.0.2.1]:7", "Some(192.0.2.1:7)"),
        ("192.0.2.1:7", "Some(192.0.2.1:7)"),
        ("[2001:db8::1]:7", "Some([2001:db8::1]:7)"),
    ] {
        let client = sim.connect_from(from.parse().unwrap());
        sim.send(client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(sim.received(client).ends_with(shown.as_bytes()), "{from}");
    }
}
