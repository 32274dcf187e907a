//! Imports only point down (ARCHITECTURE.md, "Layers"): reads every file of both crates and fails
//! with the edge that does not.
//!
//! Not a parser: comments, literals and test modules are blanked, then `use` trees are spelled
//! out and every path is looked at, whichever way it was written. A new file fails until it is
//! named in [`layer`]; a new dependency fails until a layer may use it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

/// The rooms of the house, from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Front,
    Reactor,
    Protocol,
    Words,
    Timers,
}

/// In which layer a file is.
fn layer(file: &str) -> Option<Layer> {
    const FRONT: &[&str] = &[
        "lib", "server", "listen", "cores", "sim", "router", "files", "query", "cookies", "auth",
        "redirect", "sniff", "convert", "json", "form", "origin", "around",
    ];
    const WORDS: &[&str] = &[
        "request", "response", "body", "fields", "escape", "handler", "limits", "error",
        "schedule", "later", "upgrade", "waker", "channel", "events", "trailers", "interim",
        "through",
    ];
    if file.starts_with("timers/src/") {
        return Some(Layer::Timers);
    }
    let room = file.strip_prefix("src/")?.strip_suffix(".rs")?;
    match room.split_once('/') {
        Some(("bin" | "router" | "files" | "sim" | "websocket", _)) => Some(Layer::Front),
        Some(("reactor", _)) => Some(Layer::Reactor),
        Some(("http1", _)) => Some(Layer::Protocol),
        None if FRONT.contains(&room) => Some(Layer::Front),
        None if WORDS.contains(&room) => Some(Layer::Words),
        _ => None,
    }
}

/// Whether a file may use a path, which begins with `crate` or the name of a crate. The first
/// row that speaks of a path decides.
fn may_use(layer: Layer, file: &str, path: &[&str]) -> bool {
    let is_word = |room: &str| self::layer(&format!("src/{room}.rs")) == Some(Layer::Words);
    match (layer, path) {
        // One place reads a clock. A `Duration` is a number, a `SystemTime` may be a file's.
        (_, ["std", "time", "Instant", ..] | ["std", "time", "SystemTime", "now"])
        | (Layer::Reactor, ["std", "time", "SystemTime", ..]) => {
            file == "src/reactor/clock.rs" || file.starts_with("src/bin/")
        }
        // The front may use everything below. The binary is a user like any other.
        (Layer::Front, ["httparse" | "itoa", ..]) => false,
        (Layer::Front, _) => true,

        // The reactor knows no rule of HTTP: only what `http1` hands out at its door.
        (Layer::Reactor, ["crate", "reactor", ..]) => true,
        (Layer::Reactor, ["crate", "http1"]) => true,
        (Layer::Reactor, ["crate", "http1", inner, ..]) => !begins_lower(inner),
        (Layer::Reactor, ["crate", room, ..]) => is_word(room),
        (
            Layer::Reactor,
            ["std" | "timers" | "mio" | "slab" | "bytes" | "http" | "log" | "rustix" | "socket2"
            | "httpdate" | "signal_hook", ..],
        ) => true,

        // The protocol has no sockets, streams, clocks or handlers. An address as text is parsed.
        (Layer::Protocol, ["crate", "http1", ..]) => true,
        (Layer::Protocol, ["crate", "handler", ..]) => false,
        (Layer::Protocol, ["crate", room, ..]) => is_word(room),
        (Layer::Protocol, ["httparse", ..]) => file == "src/http1/head.rs",
        (Layer::Protocol, ["bytes" | "http" | "itoa", ..]) => true,
        (Layer::Protocol, ["std", "net", "Ipv4Addr" | "Ipv6Addr", ..]) => true,
        (
            Layer::Protocol,
            ["std", "net" | "io" | "time" | "fs" | "thread" | "process" | "env" | "os" | "sync", ..],
        ) => false,
        (Layer::Protocol, ["std", ..]) => true,

        // The words know each other and nothing else of ours.
        (Layer::Words, ["crate", room, ..]) => is_word(room),
        (Layer::Words, ["std" | "http" | "bytes" | "log", ..]) => true,

        // The wheel is told what time it is.
        (Layer::Timers, ["crate" | "core" | "alloc", ..]) => true,
        _ => false,
    }
}

#[test]
fn imports_only_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = dependencies(&fs::read_to_string(root.join("Cargo.toml")).unwrap());
    let mut files = Vec::new();
    collect(root, "src", &mut files);
    collect(root, "timers/src", &mut files);
    assert!(files.len() > 30, "both crates were found");
    let mut wrong = Vec::new();
    for file in &files {
        if file.ends_with("/tests.rs") || file.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(root.join(file)).unwrap();
        wrong.extend(edges(file, &text, &crates));
    }
    assert!(wrong.is_empty(), "{} edges break the layers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_edge_that_points_up_is_found_in_whatever_way_it_is_written() {
    for (file, text) in [
        ("src/message/fields.rs", "use crate::reactor::Token;"),
        ("src/message/fields.rs", "use crate::{request::Method, server::Server};"),
        ("src/message/fields.rs", "fn f() { crate::http1::Reject::Host; }"),
        ("src/message/fields.rs", "use super::server;"),
        ("src/message/fields.rs", "fn f(_: mio::Token) {}"),
        ("src/handler/mod.rs", "use std::time as t; fn f() { t::Instant::now(); }"),
        ("src/files.rs", "use std::time::SystemTime; fn f() { SystemTime::now(); }"),
        ("src/reactor/visit/mod.rs", "use crate::http1::framing::Framing;"),
        ("src/reactor/visit/mod.rs", "use crate::server;"),
        ("src/reactor/visit/mod.rs", "use std::time::{Duration, Instant};"),
        ("src/reactor/slot.rs", "use httparse::Request;"),
        ("src/http1/encode.rs", "use std::io; fn f(_: &mut dyn io::Write) {}"),
        ("src/http1/encode.rs", "use std::{fmt, net::{Ipv6Addr, TcpStream}};"),
        ("src/http1/encode.rs", "use crate::handler::Reply;"),
        ("src/http1/encode.rs", "use super::super::reactor::Token;"),
        ("src/http1/chunked.rs", "use httparse::Header;"),
        ("timers/src/wheel.rs", "use std::vec::Vec;"),
        ("src/server/mod.rs", "use mio::net::TcpStream; pub fn take(_: TcpStream) {}"),
        ("src/message/response.rs", "pub fn key(slot: slab::VacantEntry<'_, u8>) -> usize { 0 }"),
        ("src/teapot.rs", ""),
    ] {
        assert!(!edges(file, text, &some_crates()).is_empty(), "not found in {file}: {text}");
    }
}

#[test]
fn what_only_looks_like_an_edge_is_none() {
    for (file, text) in [
        ("src/message/fields.rs", "//! As [`Server`](crate::server::Server)."),
        ("src/message/fields.rs", "/* crate::server */ const S: &str = \"crate::server\";"),
        (
            "src/message/fields.rs",
            "const S: &str = r#\"a \" crate::server\"#; const C: char = '\"';",
        ),
        ("src/message/fields.rs", "#[cfg(test)]\nmod tests { use crate::server; }"),
        ("src/message/fields.rs", "fn f<'a>(x: &'a str) { str::from_utf8(x) }"),
        ("src/http1/head.rs", "use std::net::Ipv6Addr; use httparse::Header;"),
        (
            "src/reactor/visit/mod.rs",
            "use crate::http1::{self, Step}; fn f() { http1::Step::More }",
        ),
        ("src/server/mod.rs", "use crate::reactor::kernel::MioKernel; use mio::net::TcpListener;"),
        (
            "src/server/mod.rs",
            "use mio::Poll; pub struct Server { poll: Poll } pub(crate) fn f(_: Poll) {}",
        ),
        ("src/files.rs", "use std::time::SystemTime; fn f() { SystemTime::UNIX_EPOCH; }"),
        ("src/handler/later.rs", "use crate::handler::Reply;"),
    ] {
        assert_eq!(edges(file, text, &some_crates()), [] as [String; 0], "{file}: {text}");
    }
}

fn some_crates() -> BTreeSet<String> {
    ["mio", "slab", "httparse", "http", "timers"].map(str::to_owned).into()
}

/// The edges of one file that break the layers, as sentences.
fn edges(file: &str, text: &str, crates: &BTreeSet<String>) -> Vec<String> {
    let Some(layer) = layer(file) else {
        return vec![format!("{file}: say which layer (tests/layers.rs, `layer`)")];
    };
    let code = without_tests(&blank(text));
    let tokens = tokens(&code);
    let (mut paths, mut aliases) = (BTreeSet::new(), BTreeMap::new());
    let mut inline = Vec::new();
    let mut n = 0;
    while n < tokens.len() {
        if tokens[n] == "use" {
            let end = n + tokens[n..].iter().position(|token| token == ";").unwrap_or(0);
            spell_out(&tokens[n + 1..end], &mut Vec::new(), &mut |path, alias| {
                aliases.insert(alias.to_owned(), path.to_vec());
                paths.insert(path.to_vec());
            });
            n = end;
        } else if is_name(&tokens[n]) && tokens.get(n + 1).is_some_and(|token| token == "::") {
            let mut path = vec![tokens[n].clone()];
            while tokens.get(n + 1).is_some_and(|token| token == "::")
                && tokens.get(n + 2).is_some_and(|token| is_name(token))
            {
                path.push(tokens[n + 2].clone());
                n += 2;
            }
            inline.push(path);
        }
        n += 1;
    }
    for path in inline {
        // `io::Write` means what `use std::io` says.
        match aliases.get(&path[0]) {
            Some(meant) => paths.insert([meant, &path[1..]].concat()),
            None => paths.insert(path),
        };
    }
    let mut wrong = BTreeSet::new();
    if matches!(layer, Layer::Front | Layer::Words) {
        wrong.extend(leaks(&tokens, &aliases).map(|leak| format!("{file} hands out {leak}")));
    }
    for path in paths {
        let path = absolute(file, &path);
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let is_known = ["crate", "std", "core", "alloc"].contains(&names[0]);
        if (is_known || crates.contains(names[0])) && !may_use(layer, file, &names) {
            wrong.insert(Edge { file, layer, path: names.join("::") }.to_string());
        }
    }
    wrong.into_iter().collect()
}

/// Names of mio and slab in public signatures: their next major version would be ours too.
fn leaks<'a>(
    tokens: &'a [String],
    aliases: &'a BTreeMap<String, Vec<String>>,
) -> impl Iterator<Item = &'a String> + 'a {
    let starts = (0..tokens.len())
        .filter(move |&n| tokens[n] == "pub" && tokens.get(n + 1).is_some_and(|next| next != "("));
    let signature = move |n: usize| {
        tokens[n..].iter().take_while(|token| !["{", ";", "="].contains(&token.as_str()))
    };
    starts.flat_map(signature).filter(move |&token| {
        let from = aliases.get(token).map_or(token, |path| &path[0]);
        from == "mio" || from == "slab"
    })
}

struct Edge<'a> {
    file: &'a str,
    layer: Layer,
    path: String,
}

impl fmt::Display for Edge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}) must not use {}", self.file, self.layer, self.path)
    }
}

/// Resolves `super` and `self` from the place of the file in its crate.
fn absolute(file: &str, path: &[String]) -> Vec<String> {
    let place = file.trim_start_matches("timers/").trim_start_matches("src/");
    let place = place.trim_end_matches(".rs").trim_end_matches("/mod");
    let mut at: Vec<String> = vec!["crate".to_owned()];
    at.extend(place.split('/').filter(|&room| room != "lib").map(str::to_owned));
    let mut rest = path;
    if !["self", "super"].contains(&path[0].as_str()) {
        return path.to_vec();
    }
    while let Some(first @ ("self" | "super")) = rest.first().map(String::as_str) {
        if first == "super" {
            at.pop();
        }
        rest = &rest[1..];
    }
    at.extend_from_slice(rest);
    at
}

/// Calls `found` with each path of a `use` tree and the name it is given.
fn spell_out(tree: &[String], prefix: &mut Vec<String>, found: &mut dyn FnMut(&[String], &str)) {
    let depth = prefix.len();
    let mut n = 0;
    while n < tree.len() {
        match tree[n].as_str() {
            "{" => {
                let inner = &tree[n + 1..tree.len() - 1];
                for branch in branches(inner) {
                    spell_out(branch, prefix, found);
                }
                prefix.truncate(depth);
                return;
            }
            "::" => {}
            "as" => {
                found(prefix, &tree[n + 1]);
                prefix.truncate(depth);
                return;
            }
            "self" if depth > 0 => {}
            name => prefix.push(name.to_owned()),
        }
        n += 1;
    }
    if let Some(last) = prefix.last().cloned() {
        found(prefix, &last);
    }
    prefix.truncate(depth);
}

/// Splits at the commas that are in no braces.
fn branches(tree: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    tree.split(|token| {
        depth += i32::from(token == "{") - i32::from(token == "}");
        token == "," && depth == 0
    })
    .filter(|branch| !branch.is_empty())
    .collect()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn begins_lower(name: &str) -> bool {
    name.starts_with(char::is_lowercase)
}

/// Names, `::` and single characters.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let len = match rest {
            _ if is_part(first) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        tokens.push(rest[..len].to_owned());
        rest = rest[len..].trim_start();
    }
    tokens
}

/// Cuts out `#[cfg(test)] mod ... { }`: tests may look where they like.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let after = &rest[start..];
        let (brace, semicolon) = (after.find('{'), after.find(';'));
        let end = match (brace, semicolon) {
            (Some(brace), semicolon) if semicolon.map_or(true, |at| brace < at) => {
                let mut depth = 0;
                let close = after[brace..].find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth == 0
                });
                brace + close.expect("braces are balanced")
            }
            (_, semicolon) => semicolon.unwrap_or(after.len() - 1),
        };
        rest = &after[end + 1..];
    }
    kept + rest
}

/// The text without comments and literals.
fn blank(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_name = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let literal = rest.strip_prefix('b').unwrap_or(rest);
        let raw = literal.strip_prefix('r').map(|raw| raw.trim_start_matches('#'));
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let (false, Some(raw)) = (after_name, raw.filter(|raw| raw.starts_with('"'))) {
            let hashes = literal.len() - raw.len() - 1;
            let end = format!("\"{}", "#".repeat(hashes));
            rest.len() - raw.len() + 1 + raw[1..].find(&end).unwrap() + end.len()
        } else if !after_name && literal.starts_with('"') {
            rest.len() - literal.len() + quoted(literal, '"')
        } else if first == '\'' && is_char(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// The length of a literal that begins with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

/// Whether a `'` begins a character and not a lifetime.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

/// The names under which dependencies are used, from every `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut crates = BTreeSet::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (is_inside, line.split_once('=')) {
            let name = name.trim().replace('-', "_");
            crates.insert(if name == "wheelhouse_timers" { "timers".to_owned() } else { name });
        }
    }
    assert!(crates.contains("mio"), "the manifest was understood");
    crates
}

/// All `.rs` files below `folder`, as paths from the root with slashes.
fn collect(root: &Path, folder: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(root, &path, files);
        } else if path.ends_with(".rs") {
            files.push(path);
        }
    }
    files.sort();
}
