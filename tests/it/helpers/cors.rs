//! CORS over the wire, as browsers use it (WHATWG Fetch, section 3.3).

use std::time::Duration;

use wheelhouse::guards::{Cors, CorsGuard};
use wheelhouse::sim::{Response as Received, Sim};
use wheelhouse::{Error, Response, Router, Server, StatusCode};

const APP: &str = "https://app.example";
const OTHER: &str = "https://other.example:8443";

/// A router with a guard that asks for a key, and `cors` outside of it.
fn site(cors: Cors) -> Sim {
    let cors: CorsGuard = cors.build().unwrap();
    let routes = Router::<()>::new()
        .get("/{$}", |_, _| "hello")
        .put("/note", |_, _| "saved")
        .get("/own", |_, _| {
            Response::text("")
                .with_header("Access-Control-Allow-Origin", "https://wrong.example")
                .with_header("Vary", "Accept, Origin")
        })
        .options("/options", |_, _| "options")
        .guard(|_, req| match req.header("x-key") {
            Some(_) => Ok(()),
            None => Err(StatusCode::UNAUTHORIZED),
        });
    let server = Server::new()
        .around(move |_, req| cors.check(req), |_, grant, response| grant.add_to(response));
    Sim::of(server, routes.build().unwrap()).unwrap()
}

fn ask(sim: &mut Sim, line: &str, fields: &[(&str, &str)]) -> Received {
    let (method, target) = line.split_once(' ').unwrap();
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    let request = sim.request(method, target);
    fields.fold(request, |request, (name, value)| request.header(name, *value)).send()
}

/// The fields of CORS in a response, without the beginning that they share.
fn granted(response: &Received) -> String {
    let names = ["Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers"];
    let names = names.into_iter().chain(["Max-Age", "Expose-Headers"]);
    let fields = names.filter_map(|name| {
        let value = response.header(&format!("Access-Control-{name}"))?;
        Some(format!("{name}: {value}"))
    });
    fields.collect::<Vec<_>>().join("; ")
}

#[test]
fn a_preflight_is_answered_before_any_guard_and_any_handler() {
    let cors = Cors::origin(APP).methods(["GET", "PUT"]).headers(["X-Key", "Content-Type"]);
    let mut sim = site(cors.max_age(Duration::from_secs(600)).expose(["ETag"]));
    let wanted = "Allow-Origin: https://app.example; Allow-Methods: GET, PUT; \
                  Allow-Headers: X-Key, Content-Type; Max-Age: 600";
    for path in ["/note", "/", "/missing", "/options", "*"] {
        let fields = [("Origin", APP), ("Access-Control-Request-Method", "PUT")];
        let response = ask(&mut sim, &format!("OPTIONS {path}"), &fields);
        assert_eq!((response.status().as_u16(), granted(&response).as_str()), (204, wanted));
        assert_eq!((response.text(), response.header("Content-Type")), ("", None), "{path}");
    }
}

#[test]
fn options_without_the_fields_of_a_preflight_reach_the_program() {
    let mut sim = site(Cors::any());
    let key = ("X-Key", "1");
    let own = ask(&mut sim, "OPTIONS /options", &[key, ("Origin", APP)]);
    assert_eq!((own.text(), granted(&own).as_str()), ("options", "Allow-Origin: *"));
    let allow = ask(&mut sim, "OPTIONS /note", &[key, ("Access-Control-Request-Method", "PUT")]);
    assert_eq!((allow.status().as_u16(), allow.header("Allow")), (204, Some("OPTIONS, PUT")));
}

#[test]
fn every_response_has_the_fields_also_a_refusal() {
    let mut sim = site(Cors::origin(APP).expose(["ETag", "X-Total"]));
    let wanted = "Allow-Origin: https://app.example; Expose-Headers: ETag, X-Total";
    let cases = [("GET /", "1", 200), ("GET /", "", 401), ("GET /no", "1", 404)];
    for (line, key, status) in cases.into_iter().chain([("POST /", "1", 405)]) {
        let response = ask(&mut sim, line, &[("Origin", APP), ("X-Key", key)]);
        assert_eq!((response.status().as_u16(), granted(&response).as_str()), (status, wanted));
    }
}

/// A cache must not give the response for one origin to another.
#[test]
fn with_several_origins_each_gets_its_own_and_caches_are_told() {
    let mut sim = site(Cors::origins([APP, "HTTPS://Other.example:8443"]).credentials(true));
    let evil = ["https://evil.example", "https://app.example.evil.example", "null", "", "*"];
    for origin in [APP, OTHER].into_iter().chain(evil) {
        let is_allowed = [APP, OTHER].contains(&origin);
        let wanted = match is_allowed {
            true => format!("Allow-Origin: {origin}; Allow-Credentials: true"),
            false => String::new(),
        };
        let response = ask(&mut sim, "GET /", &[("Origin", origin), ("X-Key", "1")]);
        assert_eq!((response.status().as_u16(), granted(&response)), (200, wanted), "{origin}");
        assert_eq!(response.header("Vary"), Some("Origin"), "{origin}");
        let fields = [("Origin", origin), ("Access-Control-Request-Method", "PUT")];
        let response = ask(&mut sim, "OPTIONS /note", &fields);
        assert_eq!(granted(&response).contains("Allow-Methods"), is_allowed, "{origin}");
        assert_eq!(response.header("Vary"), Some("Origin"), "{origin}");
    }
}

#[test]
fn one_value_for_everybody_does_not_vary() {
    for (cors, value) in [(Cors::any(), "*"), (Cors::origin(APP), APP)] {
        let mut sim = site(cors);
        for origin in ["", APP, "https://evil.example"] {
            let response = ask(&mut sim, "GET /", &[("Origin", origin), ("X-Key", "1")]);
            assert_eq!(response.header("Access-Control-Allow-Origin"), Some(value), "{origin}");
            assert_eq!(response.header("Vary"), None, "{origin}");
        }
    }
}

#[test]
fn fields_of_the_program_are_replaced_and_its_vary_is_kept() {
    let mut sim = site(Cors::origins([APP, OTHER]));
    let response = ask(&mut sim, "GET /own", &[("Origin", APP), ("X-Key", "1")]);
    assert_eq!(granted(&response), "Allow-Origin: https://app.example");
    assert_eq!(response.header("Vary"), Some("Accept, Origin"));
}

/// Two lines are no origin that a browser sends.
#[test]
fn two_origins_in_one_request_are_none() {
    let mut sim = site(Cors::origins([APP, OTHER]));
    let fields = [("Origin", APP), ("Origin", OTHER), ("X-Key", "1")];
    assert_eq!(granted(&ask(&mut sim, "GET /", &fields)), "");
}

#[test]
fn the_port_of_a_scheme_is_not_part_of_an_origin() {
    for (given, sent) in [
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("HTTP://[::1]:3000", "http://[::1]:3000"),
    ] {
        let response = ask(&mut site(Cors::origin(given)), "GET /", &[]);
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some(sent), "{given}");
    }
}

#[test]
fn settings_that_browsers_refuse_are_an_error_when_the_guard_is_built() {
    let wildcards = [
        Cors::any(),
        Cors::origin(APP).methods(["*"]),
        Cors::origin(APP).headers(["X-A", "*"]),
        Cors::origin(APP).expose(["*"]),
    ];
    for cors in wildcards {
        assert!(cors.clone().build().is_ok(), "{cors:?}");
        let error = cors.clone().credentials(true).build().unwrap_err();
        assert!(matches!(&error, Error::Cors { value, .. } if value == "*"), "{cors:?}: {error}");
    }
    for origin in ["*", "null", "app.example", "https://app.example/", "https://a b", ""] {
        let error = Cors::origin(origin).build().unwrap_err();
        assert!(matches!(error, Error::Origin { .. }), "{origin}: {error}");
    }
    let malformed = [
        Cors::origin(APP).methods(["GET, PUT"]),
        Cors::origin(APP).headers(["X A"]),
        Cors::origin(APP).headers([""]),
        Cors::origin(APP).expose(["X\r\nY: z"]),
        Cors::origins(Vec::<String>::new()),
    ];
    for cors in malformed {
        assert!(matches!(cors.build(), Err(Error::Cors { .. })));
    }
}
