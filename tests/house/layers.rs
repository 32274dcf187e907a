//! Imports only point down: the first folder of a path is its layer (ARCHITECTURE.md, "Layers"). A
//! new folder, or a new file beside `lib.rs`, fails until it is listed here. Files must not import
//! each other in a circle, except a `mod.rs` and its children.

mod paths;
mod planted;

use std::collections::BTreeSet;

use paths::{begins, module, paths};

/// The layers from the bottom: a folder, the layers that it may use, and the crates that it may
/// use.
#[rustfmt::skip]
const LAYERS: [[&str; 3]; 14] = [
    ["timers", "", "core alloc"],
    ["root", "", "std log"],
    ["stats", "root", "std"],
    ["message", "root", "std bytes http percent_encoding serde_json"],
    ["handler", "root message", "std http"],
    ["http1", "root stats message", "bytes http httparse itoa std::borrow std::fmt std::iter std::mem \
        std::net::Ipv4Addr std::net::Ipv6Addr std::ops std::ptr std::str"],
    ["reactor", "root stats message handler http1", "std bytes http httpdate mio rustix \
        signal_hook slab socket2 wheelhouse_timers"],
    ["server", "root stats message handler reactor", "std listenfd mio rustix socket2"],
    ["router", "root message handler", "std http percent_encoding"],
    ["files", "root message handler", "std bytes httpdate mime_guess percent_encoding rustix"],
    ["helpers", "root stats message handler router files", "std bytes form_urlencoded http httpdate \
        serde serde_json"],
    ["websocket", "root message handler helpers", "std bytes data_encoding http sha1_smol"],
    ["sim", "root stats message handler reactor server", "std http rustix serde serde_json"],
    ["bin", "", "std bcrypt env_logger httpdate lexopt log rustix signal_hook strsim wheelhouse"],
];
/// The files beside `lib.rs`.
const ROOT: [&str; 7] = ["account", "error", "heap", "limits", "logging", "sync", "waker"];
/// The only file of the library that reads a clock.
const CLOCK: &str = "crate::reactor::clock";
/// The only file that uses the library which splits heads.
const SPLITS_HEADS: &str = "crate::http1::split";
/// Crates that are not part of the public API.
const HIDDEN: [&str; 5] = ["mio::", "slab::", "rustix::", "socket2::", "httparse::"];
const READS_A_CLOCK: [&str; 3] = ["std::time::Instant", "Instant::now", "SystemTime::now"];

#[test]
fn imports_only_point_down_and_never_in_a_circle() {
    let files = crate::files(&["src", "timers/src"]);
    let modules: Vec<String> = files.iter().map(|file| module(file)).collect();
    let crates = crates();
    let (mut wrong, mut edges) = (Vec::new(), BTreeSet::new());
    for file in files.iter().filter(|file| !file.ends_with("tests.rs") && *file != "src/lib.rs") {
        wrong.extend(leaks(&crate::read(file)).map(|line| format!("{file}: {line}")));
        for path in paths(file, &crate::read(file)) {
            wrong.extend(is_wrong(file, &path, &crates).then(|| format!("{file}: {path}")));
            let used = (0..files.len()).filter(|&n| begins(&path, &modules[n]));
            let used = used.max_by_key(|&n| modules[n].len());
            let used = used.filter(|&n| ![file, &files[n]].iter().any(|it| it.ends_with("mod.rs")));
            edges.extend(used.map(|n| (module(file), modules[n].clone())));
        }
    }
    let circles = circles(edges);
    assert!(wrong.is_empty() && circles.is_empty(), "wrong: {wrong:#?}, circles: {circles:#?}");
}

/// The edges within folders that are on circles or between two of them.
fn circles(mut edges: BTreeSet<(String, String)>) -> BTreeSet<(String, String)> {
    edges.retain(|(user, used)| user != used && layer(user) == layer(used));
    let mut before = usize::MAX;
    while std::mem::replace(&mut before, edges.len()) > edges.len() {
        let (from, to): (BTreeSet<_>, BTreeSet<_>) = edges.iter().cloned().unzip();
        edges.retain(|(user, used)| to.contains(user) && from.contains(used));
    }
    edges
}

/// Whether `file` must not use `path`; `crates` are the names of all crates.
fn is_wrong(file: &str, path: &str, crates: &BTreeSet<String>) -> bool {
    let module = module(file);
    let Some([own, below, open]) = LAYERS.iter().find(|known| known[0] == layer(&module)) else {
        return true;
    };
    let reads_a_clock = path == "std::time" || READS_A_CLOCK.iter().any(|it| begins(path, it));
    let inner = path.strip_prefix("crate::http1::").filter(|_| *own == "reactor").unwrap_or("");
    match path.split("::").next().unwrap() {
        _ if reads_a_clock => *own != "bin" && module != CLOCK,
        // The reactor uses only the re-exports of `http1`, not its files.
        "crate" if inner.contains("::") && inner.starts_with(char::is_lowercase) => true,
        "crate" => ![*own].into_iter().chain(below.split(' ')).any(|it| it == layer(path)),
        "httparse" => module != SPLITS_HEADS,
        first => crates.contains(first) && !open.split(' ').any(|it| begins(path, it)),
    }
}

/// Public signatures that name a hidden crate.
fn leaks(text: &str) -> impl Iterator<Item = String> {
    let items = text.split("\n").filter(|line| line.trim_start().starts_with("pub "));
    let leaking = items.filter(|line| HIDDEN.iter().any(|it| line.contains(it)));
    leaking.map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// The layer of a path from the root of its crate.
fn layer(path: &str) -> &str {
    let folder = path.split("::").nth(1).unwrap_or("lib");
    if ROOT.contains(&folder) {
        "root"
    } else {
        folder
    }
}

/// The names of all dependencies, and of the standard library.
fn crates() -> BTreeSet<String> {
    let manifest = crate::read("Cargo.toml");
    let lists = manifest.split("\n[").filter(|list| list.starts_with("dependencies]"));
    let names = lists.flat_map(|list| list.lines().filter_map(|line| line.split_once(" = ")));
    let names = names.map(|(name, _)| name.replace('-', "_"));
    names.chain(["std", "core", "alloc"].map(str::to_owned)).collect()
}
