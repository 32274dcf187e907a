//! Routes over the wire, on the simulated kernel: the choice of the function, redirects, 405,
//! hosts, escapes, parameters. Ids are those of the catalogue of Go's tests.

use wheelhouse::router::RouteError;
use wheelhouse::sim::Sim;
use wheelhouse::{Error, Handler, Reply, Request, Response, Router, Routes};

/// One route per pattern, which responds with its pattern.
fn routes(patterns: &[&str]) -> Routes<()> {
    let router = patterns.iter().fold(Router::<()>::new(), |router, pattern| {
        router.route(pattern, |_, req| req.pattern().unwrap_or("none").to_owned())
    });
    router.build().unwrap_or_else(|error| panic!("{error}"))
}

/// A response in a few words: the content of a 200, or else the status and the fields that matter.
fn brief(response: &[u8]) -> String {
    let response = String::from_utf8_lossy(response);
    let (head, content) = response.split_once("\r\n\r\n").expect("a complete response");
    let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name));
    match &head[9..12] {
        "200" => content.to_owned(),
        status @ ("204" | "405") => format!("{status} {}", field("Allow: ").expect("Allow")),
        status if status.starts_with('3') => {
            format!("{status} {}", field("Location: ").expect("Location"))
        }
        status => status.to_owned(),
    }
}

fn ask(routes: Routes, requests: &[(&str, &str, &str)]) {
    let mut sim = Sim::new(routes);
    for (method, url, expected) in requests {
        let (host, target) = match url.find('/') {
            Some(slash) if *method != "CONNECT" => url.split_at(slash),
            _ => (*url, *url),
        };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let client = sim.connect_and_send(request.as_bytes());
        assert_eq!(brief(sim.received(client)), *expected, "{method} {url}");
    }
}

#[test]
fn the_most_specific_pattern_wins_whatever_the_order_of_the_routes() {
    let mut patterns = ["/", "/a/", "/a/{x}", "/a/b", "GET /a/b", "/a/{x}/{$}", "/{x}"];
    let requests = [
        ("GET", "h/", "/"),
        ("GET", "h/z", "/{x}"),
        ("GET", "h/z/y", "/"),
        ("GET", "h/a/z", "/a/{x}"),
        ("GET", "h/a/b", "GET /a/b"),
        ("HEAD", "h/a/b", ""),
        ("POST", "h/a/b", "/a/b"),
        ("GET", "h/a/z/", "/a/{x}/{$}"),
        ("GET", "h/a/z/y", "/a/"),
        ("GET", "h/a/b/c/d", "/a/"),
        ("GET", "h/a/", "/a/"),
    ];
    for _ in 0..patterns.len() {
        patterns.rotate_left(1);
        ask(routes(&patterns), &requests);
        patterns.reverse();
        ask(routes(&patterns), &requests);
    }
}

#[test]
fn the_search_leaves_a_branch_without_the_method_for_one_that_has_it() {
    let patterns = ["POST /a/b", "GET /a/{x}", "PUT /{y...}", "GET /c/d/e", "DELETE /c/{x}/e"];
    let requests = [
        ("GET", "h/a/b", "GET /a/{x}"),
        ("POST", "h/a/b", "POST /a/b"),
        ("PUT", "h/a/b", "PUT /{y...}"),
        ("DELETE", "h/c/d/e", "DELETE /c/{x}/e"),
        ("PATCH", "h/a/b", "405 GET, HEAD, OPTIONS, POST, PUT"),
    ];
    ask(routes(&patterns), &requests);
}

/// Go: TestHostHandlers (t182), TestServeMuxHandler (t183), TestStripPortFromHost (t192),
/// TestForeachHeaderElement and others (t61).
#[test]
fn a_pattern_with_a_host_wins_and_the_port_does_not_count() {
    let patterns = ["/", "/a", "one.example/", "two.example/a", "Three.Example/b/", "[::1]/six"];
    let requests = [
        ("GET", "zero.example/x", "/"),
        ("GET", "one.example/a", "one.example/"),
        ("GET", "one.example:8080/a", "one.example/"),
        ("GET", "ONE.example/a", "one.example/"),
        ("GET", "two.example/a", "two.example/a"),
        ("GET", "two.example/b", "/"),
        ("GET", "three.example/b/c", "Three.Example/b/"),
        ("GET", "three.example/b", "307 /b/"),
        ("GET", "[::1]/six", "[::1]/six"),
        ("GET", "[::1]:80/six", "[::1]/six"),
        ("GET", "[::2]:80/six", "/"),
    ];
    ask(routes(&patterns), &requests);
    let patterns = ["one.example/{x}", "one.example/a/", "/%25", "/a/%25", "/a/b/"];
    let requests = [
        ("GET", "one.example/%25", "one.example/{x}"),
        ("GET", "one.example/a/%25", "one.example/a/"),
        ("GET", "two.example/a/%25", "/a/%25"),
        // The host has a route, so a redirect for other hosts does not count.
        ("GET", "one.example/a/b", "one.example/a/"),
        ("GET", "two.example/a/b", "307 /a/b/"),
    ];
    ask(routes(&patterns), &requests);
}

/// The port is not stripped and the path is not cleaned (t183, t189, t190, t193, t136, t192).
#[test]
fn connect_is_routed_by_its_authority_with_the_port() {
    let patterns = ["CONNECT proxy.example:443/", "GET /", "proxy.example/"];
    let requests = [
        // A granted CONNECT has no content, so the status shows that the pattern was found.
        ("CONNECT", "proxy.example:443", ""),
        ("CONNECT", "proxy.example:80", "405 GET, HEAD, OPTIONS"),
        ("GET", "proxy.example:443/", "proxy.example/"),
    ];
    ask(routes(&patterns), &requests);
}

/// Go: TestServeMuxHandlerRedirects (t186), TestMuxRedirectLeadingSlashes (t188), TestFindHandler
/// (t193), TestExactMatch and others (t194).
#[test]
fn an_unclean_path_is_redirected_once_with_its_query() {
    let patterns = ["/", "/f", "/dir/", "POST /p", "/dir/{x}/deep/"];
    let requests = [
        ("GET", "h//f", "307 /f"),
        ("GET", "h///f?q=//", "307 /f?q=//"),
        ("GET", "h/../../f", "307 /f"),
        ("GET", "h/./f", "307 /f"),
        ("GET", "h/f/.", "307 /f"),
        ("GET", "h/f/..", "307 /"),
        ("GET", "h/a//b%2Fc/?x", "307 /a/b%2Fc/?x"),
        ("POST", "h/dir/../f", "307 /f"),
        // A single redirect leads to the target of the clean path.
        ("GET", "h//dir?q", "307 /dir/?q"),
        ("GET", "h/./dir", "307 /dir/"),
        ("GET", "h/dir//x/deep", "307 /dir/x/deep/"),
        ("GET", "h/%2e%2e/f", "307 /f"),
        ("GET", "h/%2E/%66", "307 /f"),
        ("GET", "h/a/%2e%2E", "307 /"),
        ("GET", "h/..f/.x", "/"),
    ];
    ask(routes(&patterns), &requests);
}

#[test]
fn a_pattern_with_a_port_matches_no_host() {
    let requests = [("GET", "one/a", "404"), ("GET", "one:81/a", "404")];
    ask(routes(&["one:81/"]), &requests);
}

/// Go: TestServeMuxHandlerRedirectPost (t187), TestServeWithSlashRedirectKeepsQueryString (t189),
/// TestServeWithSlashRedirectForHostPatterns (t190).
#[test]
fn a_folder_without_its_slash_is_redirected_with_its_query() {
    let patterns =
        ["/one", "/two/", "/both", "/both/", "POST /form/", "/end/{$}", "/w/{x}/", "/r/{x...}"];
    let requests = [
        ("GET", "h/one", "/one"),
        ("GET", "h/one?q", "/one"),
        ("GET", "h/one/", "404"),
        ("GET", "h/two?a=b&c", "307 /two/?a=b&c"),
        ("GET", "h/two/", "/two/"),
        ("GET", "h/two/three", "/two/"),
        ("GET", "h/both", "/both"),
        ("GET", "h/both/", "/both/"),
        ("POST", "h/form", "307 /form/"),
        ("POST", "h/form/", "POST /form/"),
        ("GET", "h/form", "405 OPTIONS, POST"),
        ("GET", "h/end", "307 /end/"),
        ("GET", "h/end/", "/end/{$}"),
        ("GET", "h/end/x", "404"),
        ("GET", "h/w/a%2fb?q", "307 /w/a%2Fb/?q"),
        ("GET", "h/w/", "404"),
        ("GET", "h/w", "404"),
        ("GET", "h/r", "307 /r/"),
        ("GET", "h/two?", "307 /two/?"),
    ];
    ask(routes(&patterns), &requests);
}

/// No spelling of a path causes a redirect to another host (t190, t234).
#[test]
fn a_redirect_never_leads_to_another_host() {
    let patterns = ["/{x}/", "/"];
    let requests = [
        ("GET", "h//evil.example", "307 /evil.example/"),
        ("GET", "h/.//%5Cevil.example", "307 /%5Cevil.example/"),
        ("GET", "h/.//evil.example/..", "307 /"),
        ("GET", "h/%2f%2fevil.example", "307 /%2F%2Fevil.example/"),
        // The parser refuses a backslash; if it did not, the redirect would encode it.
        ("GET", "h/./\\evil.example", "400"),
    ];
    ask(routes(&patterns), &requests);
    let mut inner = routes(&["/{x}/"]);
    let mut sim = Sim::new(move |req: &Request<'_>| match req.strip_prefix("/") {
        Some(inner_req) => {
            match format!("{:?}", wheelhouse::Handler::handle(&mut inner, &mut (), &inner_req)) {
                reply if reply.contains("307") => Response::text(reply),
                reply => Response::text(format!("no redirect: {reply}")),
            }
        }
        None => Response::not_found(),
    });
    let client = sim.connect_and_send(b"GET //evil.example HTTP/1.1\r\nHost: h\r\n\r\n");
    let response = String::from_utf8_lossy(sim.received(client)).into_owned();
    assert!(response.contains("307") && !response.contains("//evil"), "{response}");
}

/// Go: TestMuxNoSlashRedirectWithTrailingSlash and others (t191).
#[test]
fn a_wildcard_does_not_match_the_root() {
    ask(routes(&["/{x}/"]), &[("GET", "h/", "404"), ("GET", "h/a", "307 /a/")]);
    ask(routes(&["POST /{x}/"]), &[("GET", "h/", "404"), ("GET", "h/a/", "405 OPTIONS, POST")]);
    ask(routes(&["/{x}"]), &[("GET", "h/", "404"), ("GET", "h/a", "/{x}")]);
}

/// Go: TestStatus (t201).
#[test]
fn another_method_gets_a_405_with_all_allowed_methods_in_order() {
    let patterns = [
        "GET /g",
        "POST /p",
        "PATCH /p",
        "PUT /r",
        "GET /r/",
        "HEAD /h",
        "GET host.example/g2",
        "PUT /g2",
        "LOCK /l",
    ];
    let requests = [
        ("GET", "h/g", "GET /g"),
        ("HEAD", "h/g", ""),
        ("POST", "h/g", "405 GET, HEAD, OPTIONS"),
        ("GET", "h/p", "405 OPTIONS, PATCH, POST"),
        ("GET", "h/./p", "405 OPTIONS, PATCH, POST"),
        ("GET", "h/r", "307 /r/"),
        ("PUT", "h/r", "PUT /r"),
        ("POST", "h/r", "405 GET, HEAD, OPTIONS, PUT"),
        ("PUT", "h/r/", "405 GET, HEAD, OPTIONS"),
        ("GET", "h/h", "405 HEAD, OPTIONS"),
        ("POST", "host.example/g2", "405 GET, HEAD, OPTIONS, PUT"),
        ("POST", "h/g2", "405 OPTIONS, PUT"),
        ("LOCK", "h/l", "LOCK /l"),
        ("get", "h/g", "405 GET, HEAD, OPTIONS"),
        ("GET", "h/none", "404"),
        ("GET", "h/./none", "307 /none"),
        ("OPTIONS", "h/g", "204 GET, HEAD, OPTIONS"),
        ("OPTIONS", "h/r", "204 GET, HEAD, OPTIONS, PUT"),
        ("OPTIONS", "h/./p", "204 OPTIONS, PATCH, POST"),
        ("OPTIONS", "h/none", "404"),
    ];
    ask(routes(&patterns), &requests);
}

/// Go: TestEscapedPathsAndPatterns (t195).
#[test]
fn literals_are_compared_decoded_and_an_encoded_slash_is_not_a_separator() {
    let patterns = ["/a", "/b/%7B/%7D", "/%zz", "/c%2Fd", "/c/d", "/x/{y}", "/\u{e4}/%E4"];
    let requests = [
        ("GET", "h/%61", "/a"),
        ("GET", "h/b/%7b/%7D", "/b/%7B/%7D"),
        ("GET", "h/%25zz", "/%zz"),
        ("GET", "h/c%2fd", "/c%2Fd"),
        ("GET", "h/c/d", "/c/d"),
        ("GET", "h/%63/%64", "/c/d"),
        ("GET", "h/x%2Fa", "404"),
        ("GET", "h/x/a%2Fb", "/x/{y}"),
        ("GET", "h/%2561", "404"),
        ("GET", "h/%C3%A4/%e4", "/\u{e4}/%E4"),
    ];
    ask(routes(&patterns), &requests);
}

/// Go: TestServeMuxHandlerTrailingSlash (t184), TestPathValueAndPattern and others (t202).
#[test]
fn parameters_are_available_by_name_raw_or_decoded_and_the_pattern_as_written() {
    let show = |_: &mut (), req: &Request<'_>| {
        let param = |name| match (req.raw_param(name), req.param(name)) {
            (Some(raw), Some(decoded)) => format!("{name}={raw}={decoded} "),
            _ => String::new(),
        };
        let params = ["a", "b", "rest", "none"].map(param).concat();
        format!("{params}{}", req.pattern().unwrap_or("none"))
    };
    let router = Router::<()>::new().get("/{a}/x/{b}", show).get("/{a}/y/{rest...}", show);
    let router = router.get("/{p1}/z/{p3}/{p4}/{a}/{b}/{p7}/{p8}/{p9}/", show);
    let routes = router.post("/{a}/", show).not_found(show).build().unwrap();
    let requests = [
        ("GET", "h/1/x/2", "a=1=1 b=2=2 GET /{a}/x/{b}"),
        ("GET", "h/%31/x/a%2Fb?b=3", "a=%31=1 b=a%2Fb=a/b GET /{a}/x/{b}"),
        ("GET", "h/1/y/2/3%20/", "a=1=1 rest=2/3%20/=2/3 / GET /{a}/y/{rest...}"),
        ("GET", "h/1/y/", "a=1=1 rest== GET /{a}/y/{rest...}"),
        ("GET", "h/1/y/%25zz%ff", "a=1=1 rest=%25zz%ff=%zz\u{fffd} GET /{a}/y/{rest...}"),
        (
            "GET",
            "h/1/z/3/4/5/6/7/8/9/10/",
            "a=5=5 b=6=6 GET /{p1}/z/{p3}/{p4}/{a}/{b}/{p7}/{p8}/{p9}/",
        ),
        ("POST", "h/foo/", "a=foo=foo POST /{a}/"),
        ("GET", "h/1", "405 OPTIONS, POST"),
        ("GET", "h/1/w/", "405 OPTIONS, POST"),
        ("GET", "h/", "none"),
    ];
    ask(routes, &requests);
}

/// Go: TestMuxRedirectRelative and others (t60).
#[test]
fn an_absolute_target_is_routed_by_its_host_and_an_empty_path_is_the_root() {
    let routes = routes(&["h.example/{x...}", "/"]);
    let mut sim = Sim::new(routes);
    for (target, expected) in [
        ("http://h.example", "h.example/{x...}"),
        ("http://h.example/a", "h.example/{x...}"),
        ("http://other.example?q", "/"),
        ("http://other.example//a?q", "307 /a?q"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: ignored\r\n\r\n");
        let client = sim.connect_and_send(request.as_bytes());
        assert_eq!(brief(sim.received(client)), expected, "{target}");
    }
}

#[test]
fn a_route_for_options_takes_the_place_of_the_204() {
    let patterns = ["GET /a", "OPTIONS /a", "/any", "GET /b"];
    let requests = [
        ("OPTIONS", "h/a", "OPTIONS /a"),
        ("POST", "h/a", "405 GET, HEAD, OPTIONS"),
        ("OPTIONS", "h/any", "/any"),
        ("OPTIONS", "h/b", "204 GET, HEAD, OPTIONS"),
    ];
    ask(routes(&patterns), &requests);
}

/// Go: TestOptions (t178).
#[test]
fn the_target_of_the_whole_server_allows_only_options() {
    let mut sim = Sim::new(routes(&["/", "GET /a", "PURGE one.example/b"]));
    let client = sim.connect_and_send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    let response = brief(sim.take_received(client).as_slice());
    assert_eq!(response, "204 GET, HEAD, OPTIONS, PURGE");
    sim.send(client, b"GET * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(brief(sim.received(client)), "400");
}

/// Go: TestServeMuxHandleFuncWithNilHandler and others (t185).
#[test]
fn build_returns_the_first_fault_of_a_chain() {
    let one = |_: &mut (), _: &Request<'_>| "";
    let error =
        Router::<()>::new().get("/a", one).get("{", one).get("/a", one).build().unwrap_err();
    assert!(
        matches!(&error, Error::Route(RouteError::Pattern { pattern, at: 4, .. }) if pattern == "GET {")
    );
    let error = Router::<()>::new().get("GET /a", one).build().unwrap_err();
    assert!(matches!(&error, Error::Route(RouteError::Pattern { at: 7, .. })), "{error}");
    let error = Router::<()>::new().any("GET /a", one).build().unwrap_err();
    assert!(matches!(&error, Error::Route(RouteError::Pattern { at: 3, .. })), "{error}");
    let error = Router::<()>::new().get("/a", one).route("GET /%61", one).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "patterns \"GET /a\" and \"GET /%61\" conflict: both match \"/a\", and neither is more \
         specific than the other"
    );
    for prefix in ["api", "/{$}", "/{x...}", "h.example/api"] {
        let error = Router::<()>::new().nest(prefix, |api| api.get("/x", one)).build().unwrap_err();
        assert!(matches!(error, Error::Route(RouteError::Pattern { .. })), "{prefix}");
    }
    let nested =
        Router::<()>::new().get("/a/b", one).nest("/a", |a| a.get("/{x}", one).get("/b", one));
    let error = nested.build().unwrap_err();
    assert!(
        matches!(&error, Error::Route(RouteError::Conflict { second, .. }) if second == "GET /a/b")
    );
    ask(Router::<()>::new().build().unwrap(), &[("GET", "h/", "404"), ("POST", "h/a", "404")]);
}

/// The content is read only after the route is known (t187).
#[test]
fn routes_share_the_state_and_content_arrives_with_the_parameters_of_its_route() {
    #[derive(Default)]
    struct Hub {
        notes: Vec<String>,
    }
    let routes = Router::<Hub>::new()
        .get("/notes", |hub, _| hub.notes.join(","))
        .collect("POST /note/{by}", 8, |hub, req, content| {
            let by = req.param("by").unwrap_or_default();
            hub.notes.push(format!("{by}:{}", String::from_utf8_lossy(content)));
            req.pattern().unwrap_or("none").to_owned()
        })
        .collect("PUT /note/{by}", 8, |hub, req, content| {
            hub.notes = vec![format!("{:?}:{}", req.param("by"), content.len())];
            Response::new(wheelhouse::StatusCode::CREATED)
        })
        .patch("/note/{by}", |hub, _| {
            hub.notes.clear();
            Reply::collect(8, |hub: &mut Hub, req: &Request<'_>, _: &[u8]| {
                hub.notes.push(req.path().to_owned());
                "patched"
            })
        })
        .build()
        .unwrap();
    let mut sim = Sim::with_state(Hub::default(), routes);
    let mut exchange = |parts: &[&[u8]]| {
        let client = sim.connect();
        for part in parts {
            sim.send(client, part);
        }
        brief(sim.received(client))
    };
    let get = b"GET /notes HTTP/1.1\r\nHost: h\r\n\r\n";
    let whole = b"POST /note/ann HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(exchange(&[whole]), "POST /note/{by}");
    let head = b"POST /note/bob HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(exchange(&[head, b"h", b"o", b"!"]), "POST /note/{by}");
    assert_eq!(exchange(&[get]), "ann:hi,bob:ho!");
    let head = b"PATCH /note/eve HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(exchange(&[head, b"x", b"y"]), "patched");
    assert_eq!(exchange(&[get]), "/note/eve");
    let long = b"POST /note/ann HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123456789";
    assert_eq!(exchange(&[long]), "413");
    let put = b"PUT /note/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1";
    assert_eq!(exchange(&[put]), "201");
    assert_eq!(exchange(&[get]), "Some(\"x\"):1");
}

/// Go: TestStripPrefix and others (t235).
#[test]
fn a_mount_sees_the_path_after_its_prefix_and_the_target_stays_whole() {
    let show = |req: &Request<'_>| {
        let whole = req.strip_prefix("/none").is_none();
        let user = req.param("user").unwrap_or_default();
        format!("{} {} {user} {whole}", req.path(), req.target())
    };
    let router = Router::<()>::new().mount("/static/", show).mount("/home/{user}/files", show);
    let routes = router.mount("h.example/", show).build().unwrap();
    let requests = [
        ("GET", "h/static/a/b.css?q", "/a/b.css /static/a/b.css?q  true"),
        ("PUT", "h/static/", "/ /static/  true"),
        ("GET", "h/static", "307 /static/"),
        ("GET", "h/%73tatic/%61", "/a /%73tatic/%61  true"),
        ("GET", "h/home/ann/files/x/", "/x/ /home/ann/files/x/ ann true"),
        ("GET", "h.example/", "/ /  true"),
        ("GET", "h.example/x", "/x /x  true"),
        ("GET", "h/staticx", "404"),
    ];
    ask(routes, &requests);
}

/// Go: TestStripPrefix and others (t235).
#[test]
fn a_prefix_is_stripped_in_whole_segments_however_it_is_spelt() {
    let mut sim = Sim::new(|req: &Request<'_>| match req.strip_prefix("/foo/bar") {
        Some(inner) => format!("{} of {} {:?}", inner.path(), req.path(), inner.raw_query()),
        None => "404".to_owned(),
    });
    for (target, expected) in [
        ("/foo/bar/qux?q", "/qux of /foo/bar/qux Some(\"q\")"),
        ("/foo/bar", " of /foo/bar None"),
        ("http://h/foo/bar/qux", "/qux of /foo/bar/qux None"),
        ("http://h/foo/bar", " of /foo/bar None"),
        ("http://h", "404"),
        ("/bar", "404"),
        ("/foo%2fbar/qux", "404"),
        ("/foo/barn", "404"),
        ("/foo/ba%72/%71ux", "/qux of /foo/bar/qux None"),
        ("/foo/bar/", "/ of /foo/bar/ None"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let client = sim.connect_and_send(request.as_bytes());
        assert_eq!(brief(sim.received(client)), expected, "{target}");
    }
}

#[test]
fn nested_routes_belong_to_the_same_table() {
    fn users(router: Router<()>) -> Router<()> {
        router
            .get("/{$}", |_, _| "all")
            .get("/{id}", |_, req| format!("one {}", req.path()))
            .delete("/{id}", |_, _| "gone")
            .get("admin.example/{id}", |_, _| "admin")
    }
    let router = Router::<()>::new().nest("/api/{version}/", |api| api.nest("/users", users));
    let routes = router.get("/", |_, _| "root").build().unwrap();
    let requests = [
        ("GET", "h/api/1/users/7", "one /api/1/users/7"),
        ("GET", "h/api/1/users", "307 /api/1/users/"),
        ("GET", "h/api/1/users/", "all"),
        ("GET", "admin.example/api/1/users/7", "admin"),
        ("DELETE", "h/api/1/users/7", "gone"),
        ("PUT", "h/api/1/users/7", "405 DELETE, GET, HEAD, OPTIONS"),
        ("GET", "h/users/7", "root"),
    ];
    ask(routes, &requests);
}

/// The search compares names piece by piece, and names that differ may share a slot.
#[test]
fn names_of_any_length_and_first_letter_are_distinguished() {
    let long = "/a-name-that-is-longer-than-any-word-of-the-machine";
    let with_end = format!("{long}/{{id}}/end");
    let patterns = ["/a", "/A", "/!", "/1", "/Q", "/q", long, &with_end, "/%3F/{id}"];
    let id = "0123456789abcdef0123456789";
    let requests = [
        ("GET", "h/a".to_owned(), "/a"),
        ("GET", "h/A".to_owned(), "/A"),
        ("GET", "h/!".to_owned(), "/!"),
        ("GET", "h/1".to_owned(), "/1"),
        ("GET", "h/Q".to_owned(), "/Q"),
        ("GET", "h/q?/%/../x".to_owned(), "/q"),
        ("GET", "h/B".to_owned(), "404"),
        ("GET", format!("h{long}"), long),
        ("GET", format!("h{long}er"), "404"),
        ("GET", format!("h{}", &long[..40]), "404"),
        ("GET", format!("h{long}/{id}/end"), &with_end),
        ("GET", format!("h{long}/7/end?a=%20"), &with_end),
        ("GET", format!("h{long}/{id}%2F/end"), &with_end),
        ("GET", format!("h{long}/{id}/"), "404"),
        ("GET", "h/%3f/7?x=%20".to_owned(), "/%3F/{id}"),
        ("GET", "h/%3f/?7".to_owned(), "404"),
        ("GET", "h/?/7".to_owned(), "404"),
    ];
    let requests: Vec<(&str, &str, &str)> =
        requests.iter().map(|(method, target, response)| (*method, &**target, *response)).collect();
    ask(routes(&patterns), &requests);
}

/// The routes of the host and those of any host are searched for the path as it is before any of
/// them is searched for the path with a slash, however it is spelt (t183).
#[test]
fn a_route_for_any_host_wins_over_a_redirect_within_the_host() {
    let patterns = ["one.example/a/", "/a", "/b/", "ONE.example/b/c"];
    let requests = [
        ("GET", "one.example/a", "/a"),
        ("GET", "one.example/%61", "/a"),
        ("GET", "One.Example:80/a/", "one.example/a/"),
        ("GET", "one.example/b", "307 /b/"),
        ("GET", "ONE.EXAMPLE/b/c", "ONE.example/b/c"),
    ];
    ask(routes(&patterns), &requests);
}

/// The subtree for any host does not match the path as it is, so the redirect of the host counts
/// (t183).
#[test]
fn a_redirect_within_the_host_wins_over_a_subtree_for_any_host() {
    let requests = [
        ("GET", "one.example/a", "307 /a/"),
        ("GET", "one.example/%61?q", "307 /a/?q"),
        ("GET", "one.example/a/", "one.example/a/"),
        ("GET", "one.example/b", "/"),
        ("GET", "one.example/", "/"),
        ("GET", "two.example/a", "/"),
    ];
    ask(routes(&["/", "one.example/a/"]), &requests);
    ask(routes(&["/", "one.example/a/", "two.example/b/"]), &requests);
}

/// Go: TestStripPrefix and others (t235).
#[test]
fn routes_after_a_stripped_prefix_redirect_relative_to_the_rest_of_the_path() {
    let inner = || routes(&["/", "/a"]);
    let mut sim = Sim::new(move |req: &Request<'_>| match req.strip_prefix("/in") {
        Some(req) => inner().handle(&mut (), &req),
        None => Response::not_found().into(),
    });
    for (target, expected) in [
        ("/in/a", "/a"),
        ("/in/b/c", "/"),
        ("/in", "307 /in/"),
        ("/in?q", "307 /in/?q"),
        ("/inn", "404"),
        ("http://h/in", "307 /in/"),
        ("http://h/in/a", "/a"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let client = sim.connect_and_send(request.as_bytes());
        assert_eq!(brief(sim.received(client)), expected, "{target}");
    }
}
