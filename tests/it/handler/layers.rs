//! Layers: guards, code around handlers and times for responses, of a server and of its routes.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::panics::expect_panics;
use crate::support::{later_to, never, post, Count, Echo, HOUR, SECOND};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{
    Body, Failure, Informational, Reply, Request, Response, Router, Server, StatusCode,
};

struct Silent;

impl Protocol<()> for Silent {
    fn receive(
        &mut self,
        (): &mut (),
        input: &[u8],
        _: &mut Connection<'_>,
    ) -> std::io::Result<usize> {
        Ok(input.len())
    }
}

fn site(req: &Request<'_>) -> Reply {
    match req.path() {
        "/collect" => Reply::collect(10, |(), _, content| format!("{}", content.len())),
        "/receive" => Reply::receive(u64::MAX, Count(0)),
        "/later" => later_to(|later| later.respond("later")),
        "/late" => never(),
        "/dropped" => later_to(drop),
        "/collect-later" => Reply::collect(10, |(), _, _| {
            later_to(|later| later.respond_with(|()| StatusCode::IM_A_TEAPOT))
        }),
        "/stream" => {
            let (sender, body) = Body::channel(10);
            sender.send("x").unwrap();
            sender.finish();
            Response::ok("text/plain", body).into()
        }
        "/switch" => Reply::upgrade("silent", Silent),
        _ => "at once".into(),
    }
}

#[test]
fn every_response_passes_through_around_whenever_it_comes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let server = Server::new().around(
        |_, req| match req.path() {
            "/forbidden" => Err(StatusCode::FORBIDDEN.into()),
            path => Ok(path.to_owned()),
        },
        move |_, path, response| {
            log.lock().unwrap().push((path, response.status().as_u16()));
            response.append_header("X-Seen", "yes").unwrap();
        },
    );
    let mut sim = Sim::of(server, site).unwrap();
    for (path, status) in [
        ("/", 200),
        ("/collect", 200),
        ("/receive", 200),
        ("/later", 200),
        ("/late", 504),
        ("/dropped", 500),
        ("/collect-later", 418),
        ("/stream", 200),
        ("/switch", 101),
    ] {
        let length = if path == "/switch" { 0 } else { 2 };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: silent\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let client = sim.connect_and_send(head.as_bytes());
        sim.send(client, &b"ab"[..length]);
        sim.advance(Duration::ZERO);
        if path == "/late" {
            sim.advance(31 * SECOND);
        }
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {text}");
        assert!(text.contains("\r\nX-Seen: yes\r\n"), "{path}: {text}");
        assert_eq!(seen.lock().unwrap().pop(), Some((path.to_owned(), status)));
        assert!(seen.lock().unwrap().is_empty(), "once for each");
    }
    let client = sim.connect_and_send(b"GET /forbidden HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.received(client).starts_with(b"HTTP/1.1 403 "));
    assert!(seen.lock().unwrap().is_empty(), "the handler was not called");
}

/// The first half of a layer that writes its name into the state.
fn enter(
    name: &str,
) -> impl FnMut(&mut Vec<String>, &Request<'_>) -> Result<(), Reply<Vec<String>>> {
    let line = format!("{name}>");
    move |notes, _| {
        notes.push(line.clone());
        Ok(())
    }
}

/// The second half.
fn leave(name: &str) -> impl FnMut(&mut Vec<String>, (), &mut Response) {
    let name = name.to_owned();
    move |notes, (), response| notes.push(format!("<{name} {}", response.status().as_u16()))
}

#[test]
fn layers_are_passed_from_the_server_inwards_and_the_response_comes_back_the_other_way() {
    let notes = |name, router: Router<Vec<String>>| router.around(enter(name), leave(name));
    let routes = Router::new().get("/out", |_: &mut Vec<String>, _| "out");
    let routes = notes("router", routes).nest("/in", |inner| {
        let inner = notes("inner", inner.get("/a", |_, _| "a"));
        notes("innermost", inner).guard(|notes, req| {
            notes.push("guard".to_owned());
            (req.header("x-pass").is_some()).then_some(()).ok_or(StatusCode::FORBIDDEN)
        })
    });
    let server = Server::with_state(Vec::new()).around(enter("server"), leave("server"));
    let mut sim = Sim::of(server, routes.build().unwrap()).unwrap();
    let mut ask = |target: &str, pass: bool| {
        let request = sim.request("GET", target);
        let request = if pass { request.header("X-Pass", "yes") } else { request };
        request.send();
        std::mem::take(sim.state()).join(" ")
    };
    let (into, out) = ("server> router> inner> innermost> guard", "<router 200 <server 200");
    assert_eq!(ask("/in/a", true), format!("{into} <innermost 200 <inner 200 {out}"));
    let refused = "<innermost 403 <inner 403 <router 403 <server 403";
    assert_eq!(ask("/in/a", false), format!("{into} {refused}"));
    assert_eq!(ask("/out", true), format!("server> router> {out}"));
    assert_eq!(ask("/in/b", true), "server> router> <router 404 <server 404");
}

#[test]
fn guards_of_a_router_also_check_requests_without_a_route() {
    let routes = Router::<()>::new()
        .post("/post", |_, _| "posted")
        .get("/dir/", |_, _| "dir")
        .nest("/open", |open| open.get("/", |_, _| "open").guard(|_, _| Ok::<_, StatusCode>(())))
        .not_found(|_, _| Response::text("lost").with_status(StatusCode::NOT_FOUND))
        .guard(|_, req| match req.header("x-key") {
            Some("right") => Ok(()),
            _ => Err(StatusCode::UNAUTHORIZED),
        });
    let mut sim = Sim::new(routes.build().unwrap());
    let table = [
        ("GET", "/post", 405),
        ("GET", "/dir", 307),
        ("GET", "//dir/", 307),
        ("GET", "/none", 404),
        ("GET", "/open/", 200),
        ("OPTIONS", "*", 204),
    ];
    for (method, target, expected) in table {
        assert_eq!(sim.request(method, target).send().status(), 401, "{method} {target}");
        let with_key = sim.request(method, target).header("X-Key", "right");
        assert_eq!(with_key.send().status(), expected, "{method} {target}");
    }
}

/// A guard inside the cut of a prefix would compare another path than its author had in mind.
#[test]
fn a_guard_sees_the_whole_path_of_a_mount_however_it_is_spelt() {
    fn closed<S>(_: &mut S, req: &Request<'_>) -> Result<(), StatusCode> {
        let is_admin = req.path() == "/admin" || req.path().starts_with("/admin/");
        is_admin.then_some(()).map_or(Ok(()), |()| Err(StatusCode::FORBIDDEN))
    }
    let secret = |req: &Request<'_>| format!("secret {}", req.path());
    let routers = [
        Router::<()>::new().mount("/admin", secret).guard(closed),
        Router::<()>::new().guard(closed).mount("/admin", secret),
        Router::<()>::new().nest("/admin", |admin| admin.mount("/", secret).guard(closed)),
        Router::<()>::new().nest("", |all| all.guard(closed).mount("/admin/", secret)),
        Router::<()>::new().merge(Router::new().mount("/admin", secret).guard(closed)),
        Router::<()>::new()
            .guard(closed)
            .nest("/admin", |admin| admin.merge(Router::new().mount("/", secret))),
    ];
    for router in routers {
        let mut sim = Sim::new(router.build().unwrap());
        for target in ["/admin/", "/admin/a", "/%61dmin/a", "/admin/%2e%2e/b", "//admin/a"] {
            let response = sim.get(target);
            assert!(matches!(response.status().as_u16(), 403 | 307), "{target} {response:?}");
        }
    }
    let open = Router::<()>::new().mount("/admin", secret).guard(|_, _| Ok::<_, StatusCode>(()));
    assert_eq!(Sim::new(open.build().unwrap()).get("/%61dmin/a").text(), "secret /a");
}

#[test]
fn a_guard_sees_the_pattern_and_the_parameters_of_its_route() {
    let routes = Router::<Vec<String>>::new()
        .collect("POST /users/{id}", 9, |_, req, content| {
            format!("{} {:?} {}", req.path(), req.param("id"), content.len())
        })
        .nest("/{tenant}", |tenant| {
            tenant.mount("/files", |req: &Request<'_>| -> Reply<Vec<String>> {
                let name = req.param("tenant").unwrap_or_default().into_owned();
                Reply::collect(9, move |_: &mut Vec<String>, req: &Request<'_>, content: &[u8]| {
                    format!("{name} {} {:?} {}", req.path(), req.param("tenant"), content.len())
                })
            })
        })
        .guard(|seen, req| {
            let id = req.param("id").or(req.param("tenant")).map(|id| id.into_owned());
            seen.push(format!("{:?} {:?} {}", req.pattern(), id, req.path()));
            Ok::<_, Failure>(())
        });
    let mut sim = Sim::with_state(Vec::new(), routes.build().unwrap());
    assert_eq!(sim.request("POST", "/users/7").body("abc").send().text(), "/users/7 Some(\"7\") 3");
    let mounted = sim.request("POST", "/ann/files/a%20b").body("abc").send();
    assert_eq!(mounted.text(), "ann /a b Some(\"ann\") 3");
    sim.get("/nothing");
    assert_eq!(
        *sim.state(),
        [
            "Some(\"POST /users/{id}\") Some(\"7\") /users/7",
            "Some(\"/{tenant}/files/\") Some(\"ann\") /ann/files/a b",
            "None None /nothing",
        ]
    );
}

#[test]
fn values_of_requests_that_wait_at_the_same_time_are_not_mixed_and_are_dropped_with_them() {
    struct Counted(u32, Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.set(self.1.get() - 1);
        }
    }
    let alive = Rc::new(Cell::new(0));
    let (of_before, mut number) = (Rc::clone(&alive), 0);
    let routes = Router::<Waiting>::new()
        .get("/", |waiting, _| later_to(|later| waiting.0.push(later)))
        .around(
            move |_, _| {
                of_before.set(of_before.get() + 1);
                number += 1;
                Ok(Counted(number, Rc::clone(&of_before)))
            },
            |_, counted, response| {
                response.set_header("X-Number", counted.0.to_string()).unwrap();
            },
        );
    let mut sim = Sim::with_state(Waiting(Vec::new()), routes.build().unwrap());
    let clients: Vec<_> =
        (0..4).map(|_| sim.connect_and_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    assert_eq!(alive.get(), 4);
    sim.reset(clients[1]);
    let waiting = std::mem::take(&mut sim.state().0);
    for later in waiting.into_iter().rev() {
        later.respond("x");
    }
    sim.settle();
    for (client, number) in [(clients[0], "1"), (clients[2], "3"), (clients[3], "4")] {
        assert_eq!(sim.response(client).unwrap().header("X-Number"), Some(number));
    }
    assert_eq!(alive.get(), 0);
}

#[derive(Default)]
struct Waiting(Vec<wheelhouse::Later<Waiting>>);

#[test]
fn a_panic_in_a_layer_costs_one_connection_and_the_layer_works_on() {
    expect_panics(&["a layer of a test panics"]);
    fn at(path: &'static str) -> impl Fn(&Request<'_>) -> bool {
        move |req: &Request<'_>| req.path() == path
    }
    let (in_guard, in_before) = (at("/guard"), at("/before"));
    let routes = Router::<()>::new()
        .any("/", |_, _| "well")
        .guard(move |_, req| {
            assert!(!in_guard(req), "a layer of a test panics");
            Ok::<_, StatusCode>(())
        })
        .around(
            move |_, req| {
                assert!(!in_before(req), "a layer of a test panics");
                Ok(req.path() == "/after")
            },
            |_, panics, _| assert!(!panics, "a layer of a test panics"),
        );
    let mut sim = Sim::new(routes.build().unwrap());
    for path in ["/guard", "/before", "/after", "/guard"] {
        assert_eq!(sim.get(path).status(), 500, "{path}");
        assert_eq!(sim.get("/").text(), "well", "after {path}");
    }
    assert_eq!(sim.report().totals.panics, 4);
}

#[test]
fn the_time_of_the_reply_wins_over_that_of_the_inner_router_and_that_over_the_outer() {
    let routes = Router::<()>::new()
        .get("/outer", |_, _| never())
        .handler_timeout(2 * SECOND)
        .nest("/nest", |nest| {
            nest.get("/inner", |_, _| never::<()>())
                .get("/reply", |_, _| never().with_handler_timeout(9 * SECOND))
                .collect("POST /collect", 9, |_, _, _| never())
                .handler_timeout(5 * SECOND)
        })
        .build()
        .unwrap();
    let mut sim = Sim::new(routes);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (request, seconds) in [
        (get("/outer").into_bytes(), 2),
        (get("/nest/inner").into_bytes(), 5),
        (get("/nest/reply").into_bytes(), 9),
        (post("/nest/collect", 1, b"x"), 5),
    ] {
        let client = sim.connect_and_send(request);
        sim.advance(seconds * SECOND - Duration::from_millis(1));
        assert!(sim.received(client).is_empty(), "{seconds}: early");
        sim.advance(Duration::from_millis(66));
        assert_eq!(sim.response(client).unwrap().status(), 504, "{seconds}");
    }
}

#[test]
fn merged_routes_keep_their_layers_and_come_below_the_prefix() {
    let users = Router::<Vec<&str>>::new()
        .get("/users/{id}", |_, req| req.param("id").unwrap_or_default().into_owned())
        .mount("/files", |req: &Request<'_>| req.path().to_owned())
        .not_found(|_, _| "nothing here")
        .guard(|seen, _| {
            seen.push("users");
            Ok::<_, StatusCode>(())
        });
    let routes = Router::new()
        .get("/{$}", |_: &mut Vec<&str>, _| "root")
        .nest("/api", |api| api.merge(users));
    let mut sim = Sim::with_state(Vec::new(), routes.build().unwrap());
    assert_eq!(sim.get("/api/users/7").text(), "7");
    assert_eq!(sim.get("/api/files/a/b").text(), "/a/b");
    assert_eq!(*sim.state(), ["users"; 2]);
    assert_eq!(sim.get("/").text(), "root");
    assert_eq!(*sim.state(), ["users"; 2], "the guard is for its own routes");
    let twice = Router::<()>::new().get("/a", |_, _| "").merge(Router::new().get("/a", |_, _| ""));
    assert!(twice.build().unwrap_err().to_string().contains("GET /a"));
    let broken = Router::<()>::new().merge(Router::new().get("no path", |_, _| ""));
    assert!(broken.build().is_err());
    let lost = Router::<()>::new().get("/a", |_, _| "").nest("/b", |_| Router::new());
    assert!(lost.build().unwrap_err().to_string().contains("must return the router"));
}

/// A router that the function was not given has neither the routes before it nor the place where the
/// layers of the prefix are put.
#[test]
fn a_nest_that_returns_another_router_is_an_error_also_without_a_prefix() {
    for prefix in ["", "/", "/b"] {
        let routes = Router::<()>::new().get("/a", |_, _| "").nest(prefix, |_| {
            Router::new()
                .get("/secret", |_, _| "secret")
                .guard(|_, _| Err::<(), _>(StatusCode::FORBIDDEN))
        });
        let error = routes.build().unwrap_err().to_string();
        assert!(error.contains("must return the router"), "{prefix:?}: {error}");
        let routes = Router::<()>::new()
            .nest(prefix, |given| Router::new().get("/a", |_, _| "").nest(prefix, |_| given));
        assert!(routes.build().is_err(), "{prefix:?}");
    }
}

#[test]
fn merged_routes_mean_the_same_as_if_they_were_added_here() {
    let add = |router: Router<()>| {
        router.mount("/", |req: &Request<'_>| req.path().to_owned()).any("/a b/c", |_, _| "spaced")
    };
    for routes in [
        Router::new().nest("/in", add),
        Router::new().nest("/in", |inner| inner.merge(add(Router::new()))),
        Router::new().merge(Router::new().nest("/in", add)),
    ] {
        let mut sim = Sim::new(routes.build().unwrap());
        assert_eq!(sim.get("/in/x").text(), "/x");
        assert_eq!(sim.get("/in/a%20b/c").text(), "spaced");
    }
}

/// Whatever the target is, a guard is passed before a handler is called.
#[test]
fn no_form_of_a_target_gets_around_a_guard() {
    let secret = |_: &mut (), _: &Request<'_>| "secret";
    let closed = |_: &mut (), _: &Request<'_>| Err::<(), _>(StatusCode::FORBIDDEN);
    let inside = |router: Router<()>| {
        router
            .any("/", secret)
            .any("host.example/x", secret)
            .get("/one/{id}", secret)
            .mount("/mount", |_: &Request<'_>| "secret")
            .handle("/files/", |_: &Request<'_>| "secret")
            .guard(closed)
    };
    let routers = [
        inside(Router::new()),
        Router::new().nest("", inside),
        Router::new().merge(inside(Router::new())),
        Router::new().mount("", inside(Router::new()).build().unwrap()),
        Router::new().handle("/", inside(Router::new()).build().unwrap()),
    ];
    for (n, router) in routers.into_iter().enumerate() {
        let mut sim = Sim::new(router.build().unwrap());
        for line in [
            "GET /",
            "GET /one/1",
            "HEAD /one/1",
            "POST /one/1",
            "GET /mount",
            "GET /mount/",
            "GET /%6dount/a",
            "GET /mount/%2e%2e/b",
            "GET /files/x?y",
            "GET http://host.example",
            "GET http://host.example/x",
            "GET http://HOST.example:80/%78",
            "GET //x",
            "GET /./x/../mount/",
            "OPTIONS /",
            "OPTIONS *",
            "CONNECT host.example:443",
            "BREW /one/1",
        ] {
            let host =
                if line.contains("host.example:443") { "host.example:443" } else { "host.example" };
            let client = sim.connect_and_send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let text = String::from_utf8(sim.take_received(client)).unwrap();
            assert!(!text.contains("secret"), "{n} {line}: {text}");
            let status: u16 = text[9..12].parse().unwrap();
            // It asks about the whole server, which no guard of a part sees.
            let is_open = line == "OPTIONS *" && n > 0 && status == 204;
            assert!(is_open || [307, 400, 403].contains(&status), "{n} {line}: {text}");
        }
    }
}

/// Sends a head, and its content `abc` in a second write. Returns all that comes back.
fn post_in_two(sim: &mut Sim, path: &str) -> String {
    let client = sim.connect_and_send(post(path, 3, b""));
    sim.send(client, "abc");
    String::from_utf8(sim.take_received(client)).unwrap()
}

/// A handler that gets content sees the path and the parameters that it saw before, through mounts in
/// mounts and every change to its reply.
#[test]
fn content_comes_back_with_the_route_through_mounts_in_mounts() {
    fn reply(req: &Request<'_>) -> Reply {
        let shown = |req: &Request<'_>| {
            format!("{} {:?} {:?}", req.path(), req.param("inner"), req.pattern())
        };
        let before = shown(req);
        Reply::inform(
            Informational::processing(),
            Reply::collect(9, move |(), req, _| format!("{before} {}", before == shown(req)))
                .map_response(|(), response| response.set_header("X-Map", "1").unwrap())
                .with_content_timeout(9 * SECOND),
        )
    }
    let pass = |_: &mut (), _: &Request<'_>| Ok::<_, StatusCode>(());
    let innermost = Router::<()>::new().post("/{inner}/c", |_, req| reply(req)).guard(pass);
    let middle = Router::new()
        .mount("/{mid}", innermost.build().unwrap())
        .around(|_, _| Ok(()), |_, (), response| response.set_header("X-Around", "1").unwrap());
    let outer = Router::new()
        .mount("/m", |req: &Request<'_>| reply(req))
        .nest("/at/{tenant}", |tenant| tenant.mount("/sub", middle.build().unwrap()))
        .guard(pass);
    let mut sim = Sim::new(outer.build().unwrap());
    let text = post_in_two(&mut sim, "/at/t/sub/m/%69d/c");
    assert!(text.ends_with("/id/c Some(\"id\") Some(\"POST /{inner}/c\") true"), "{text}");
    assert!(text.contains("X-Map: 1\r\n") && text.contains("X-Around: 1\r\n"), "{text}");
    let text = post_in_two(&mut sim, "/m/a/b");
    assert!(text.ends_with("/a/b None Some(\"/m/\") true"), "{text}");
}

/// The error of a guard may ask for content, too.
#[test]
fn a_reply_of_a_guard_that_asks_for_content_comes_back_with_the_route() {
    let refuse = |(): &mut (), _: &Request<'_>| {
        let refusal = |(): &mut (), req: &Request<'_>, _: &[u8]| {
            format!("no {} {:?} {:?}", req.path(), req.param("id"), req.pattern())
        };
        Err::<(), _>(Reply::collect(9, refusal))
    };
    let routes = Router::<()>::new().mount("/u/{id}", |_: &Request<'_>| "in").guard(refuse);
    let mut sim = Sim::new(routes.build().unwrap());
    let text = post_in_two(&mut sim, "/u/7/a");
    assert!(text.ends_with("no /u/7/a Some(\"7\") Some(\"/u/{id}/\")"), "{text}");
}

/// Each way in which no response passes through `around`: its value is dropped with the exchange.
#[test]
fn values_of_around_are_dropped_when_no_response_comes() {
    expect_panics(&["a receiver of a test panics"]);
    struct Panics;
    impl Receive<()> for Panics {
        fn piece(&mut self, (): &mut (), _: &[u8]) -> Result<Flow, Failure> {
            panic!("a receiver of a test panics")
        }
        fn end(self: Box<Self>, (): &mut ()) -> Reply {
            "".into()
        }
    }
    struct Alive(Rc<Cell<i32>>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let (alive, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (of_before, of_after) = (Rc::clone(&alive), Rc::clone(&seen));
    let routes = Router::<()>::new()
        .any("/hijack", |_, _| Reply::hijack(|(), _| {}))
        .any("/panic", |_, _| Reply::receive(9, Panics))
        .any("/receive", |_, _| Reply::receive(9, Count(0)).with_content_timeout(2 * SECOND))
        .any("/collect", |_, _| Reply::collect(9, |(), _, _| ""))
        .any("/echo", |_, _| Reply::transform(Response::text(""), Echo { len: None }))
        .any("/never", |_, _| never().with_handler_timeout(HOUR))
        .around(
            move |_, _| {
                of_before.set(of_before.get() + 1);
                Ok(Alive(Rc::clone(&of_before)))
            },
            move |_, alive, _| {
                of_after.set(of_after.get() + 1);
                drop(alive);
            },
        );
    let mut sim = Sim::new(routes.build().unwrap());
    for (path, length, content, ends, passed) in [
        ("/hijack", 0, "", "at once", 0),
        ("/panic", 2, "ab", "at once", 0),
        ("/receive", 10, "", "at once", 0),
        ("/collect", 10, "", "at once", 0),
        ("/receive", 2, "a", "reset", 0),
        ("/collect", 2, "a", "reset", 0),
        ("/receive", 2, "a", "time", 0),
        ("/collect", 2, "a", "time", 0),
        ("/echo", 2, "a", "reset", 1),
        ("/receive", 2, "ab", "at once", 1),
        ("/collect", 2, "ab", "at once", 1),
        ("/never", 0, "", "stop", 0),
    ] {
        seen.set(0);
        let client = sim.connect_and_send(post(path, length, content.as_bytes()));
        let waits = i32::from(ends != "at once" && passed == 0);
        assert_eq!(alive.get(), waits, "{path} {ends}");
        match ends {
            "reset" => sim.reset(client),
            "time" => sim.advance(HOUR),
            "stop" => sim.handle().stop(),
            _ => {}
        }
        sim.advance(Duration::ZERO);
        assert_eq!((alive.get(), seen.get()), (0, passed), "{path} {length} {ends}");
    }
}
