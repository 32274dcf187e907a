//! Unexpected paths: a seeded fuzzer against a tree with a secret file beside it.

use super::tree::{asker, Asker, Tree, SECRET};
use crate::support::random::Random;

/// The pieces of which paths are composed.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "//",
    "..",
    "..",
    ".",
    "%2e",
    "%2E%2e",
    "%2f",
    "%2F",
    "\\",
    "%5c",
    "%00",
    "%",
    "%25",
    "%252e",
    "%252f",
    "%c0%ae",
    "%c0%af",
    "%u002e",
    ";",
    "~",
    ":",
    "secret.txt",
    "root",
    "up",
    "up",
    "outside",
    "absolute",
    "slash",
    "loop",
    "dir",
    "list",
    "file.txt",
    "etc",
    "passwd",
    "proc/self/root",
    "proc/self/cwd",
    "index.html",
    ".git",
    "config",
    ".hidden",
    "a",
    "%20",
    "...",
    "%0d%0a",
    "%ff",
];

/// `WHEELHOUSE_SEED` and `WHEELHOUSE_ROUNDS` set the starting point and the length of the search.
#[test]
fn no_path_reveals_the_secret() {
    let number = |name, default| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seed, rounds) = (number("WHEELHOUSE_SEED", 1), number("WHEELHOUSE_ROUNDS", 6_000u64));
    let mut random = Random::new(seed);
    let tree = Tree::new();
    let mut asker = asker_of(&tree);
    let mut statuses = std::collections::BTreeMap::new();
    for round in 0..rounds {
        if round % 200 == 0 {
            // The simulator keeps every client that it ever had.
            asker = asker_of(&tree);
        }
        let count = 1 + random.below(9);
        let mut path = String::from("/");
        path.extend((0..count).map(|_| PIECES[random.below(PIECES.len())]));
        let response = match random.below(2) {
            0 => asker.get(&path),
            _ => asker.ask("GET", "/x", &[("X-Path", &path[1..])]),
        };
        let content = String::from_utf8_lossy(&response.content);
        let came_out =
            content.contains(SECRET) || content.contains("root:") || content.contains("secret.txt");
        assert!(!came_out, "seed {seed}, round {round}: {path}");
        assert!(
            matches!(response.status, 200 | 301 | 400 | 404),
            "seed {seed}: {path}: {response:?}"
        );
        *statuses.entry(response.status).or_insert(0u64) += 1;
    }
    // A search that is not too short must have met every status.
    assert!(rounds < 1_000 || statuses.len() == 4, "{statuses:?}");
}

fn asker_of(tree: &Tree) -> Asker {
    asker(tree.files())
}
