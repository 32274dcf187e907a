//! Forbidden imports, which the check must find.

use super::{circles, crates, is_wrong, leaks, paths};

#[test]
fn an_import_that_points_up_is_found_however_it_is_written() {
    let crates = crates();
    let finds =
        |file: &str, text: &str| paths(file, text).iter().any(|path| is_wrong(file, path, &crates));
    for (file, text) in [
        ("src/message/fields.rs", "use crate::reactor::Token;"),
        ("src/message/fields.rs", "use crate::{message::request::Method, server::Server};"),
        (
            "src/message/fields.rs",
            "use crate::message::{\n    body::{self, Body},\n};\nuse crate::Router;",
        ),
        ("src/message/fields.rs", "fn f() { crate::http1::Reject::Host; }"),
        ("src/message/fields.rs", "use super::super::server;"),
        ("src/message/mod.rs", "use super::server;"),
        ("src/message/fields.rs", "fn f(_: mio::Token) {}"),
        ("src/handler/mod.rs", "use std::time as t; fn f() { t::Instant::now(); }"),
        ("src/files/mod.rs", "use std::time::SystemTime; fn f() { SystemTime::now(); }"),
        ("src/reactor/visit/mod.rs", "use crate::http1::framing::Framing;"),
        ("src/reactor/visit/mod.rs", "use std::time::{Duration, Instant};"),
        ("src/http1/encode.rs", "use std::{fmt, net::{Ipv6Addr, TcpStream}};"),
        ("src/http1/encode.rs", "use crate::handler::Reply;"),
        ("src/http1/encode.rs", "use std::io; fn f(_: &mut dyn io::Write) {}"),
        ("src/http1/encode.rs", "use super::super::reactor::Token;"),
        ("src/router/mod.rs", "use crate::server;"),
        ("src/server/mod.rs", "use crate::router::Router;"),
        ("src/reactor/slot.rs", "use httparse::Request;"),
        ("src/http1/head.rs", "use httparse::Request;"),
        ("timers/src/wheel.rs", "use std::vec::Vec;"),
        ("src/teapot.rs", "use std::fmt;"),
        ("src/teapot/mod.rs", "use std::fmt;"),
    ] {
        assert!(finds(file, text), "not found in {file}: {text}");
    }
    for text in [
        "//! As [`Server`](crate::server::Server).\nconst S: &str = \"crate::server\";",
        "#[cfg(test)]\nmod tests {\n    use crate::server;\n}\nuse crate::limits::Limits;",
        "use crate::waker::Waker; use super::body::Body; use self::super::fields::Fields;",
        "#[cfg(test)]\nuse crate::server;\nfn f<'a>(x: &'a str) { str::from_utf8(x) }",
    ] {
        assert!(!finds("src/message/fields.rs", text), "not an import: {text}");
    }
}

#[test]
fn a_circle_of_imports_is_found_and_a_chain_is_not() {
    let edges = |pairs: &[(&str, &str)]| {
        let name = |file: &str| format!("crate::message::{file}");
        pairs.iter().map(|(user, used)| (name(user), name(used))).collect()
    };
    let chain = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")];
    assert!(circles(edges(&chain)).is_empty());
    let found = circles(edges(&[&chain[..], &[("d", "b")]].concat()));
    assert_eq!(found, edges(&[("b", "c"), ("c", "d"), ("d", "b")]));
}

#[test]
fn a_public_signature_that_names_a_hidden_crate_is_found() {
    assert_eq!(leaks("    pub fn take(_: mio::net::TcpStream) {}").count(), 1);
    assert_eq!(leaks("pub(crate) fn take(_: mio::net::TcpStream) {}").count(), 0);
}
