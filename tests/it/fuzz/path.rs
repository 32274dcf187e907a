//! The path of a file, as bytes of a target or of a prefix that the program has cut off: the status
//! and the content follow from a model of the tree, and nothing outside the root is ever sent.

use std::collections::BTreeMap;

use crate::files::tree::{asker, Tree, SECRET};

thread_local! {
    static TREE: Tree = Tree::new();
}

/// The files that can be asked for. Links that leave the root name nothing.
const FILES: [(&str, &str); 8] = [
    ("file.txt", "0123456789"),
    ("empty.txt", ""),
    ("dir/index.html", "<p>index"),
    ("list/b.txt", "b"),
    ("sp ace.txt", "space"),
    ("a:b", "colon"),
    ("100%.txt", "percent"),
    ("a..b", "dots"),
];
/// A name that begins with a dot, but is public.
const WELL_KNOWN: (&str, &str) = (".well-known/x.txt", "known");
const DIRECTORIES: [&str; 4] = ["", "dir", "list", ".well-known"];

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Status(u16),
    Content(&'static str),
    Listing,
}

pub(crate) fn target(data: &[u8]) {
    let data = &data[..data.len().min(2000)];
    let raw = match std::str::from_utf8(data) {
        Ok(raw) if !raw.is_empty() => raw,
        _ => return,
    };
    TREE.with(|tree| {
        if raw.trim_matches([' ', '\t']) == raw && !raw.bytes().any(|b| b < 0x20 || b == 0x7f) {
            let response = asker(tree.files()).ask("GET", "/x", &[("X-Path", raw)]);
            check(raw, response.status, &response.content);
        }
        if raw.starts_with('/')
            && raw.bytes().all(|b| b.is_ascii_alphanumeric() || b"/%.:-_~".contains(&b))
        {
            let response = asker(tree.files()).ask("GET", raw, &[]);
            // A target with a broken escape is refused before the path is looked at.
            match decode(raw) {
                Some(_) => check(raw, response.status, &response.content),
                None => assert_eq!(response.status, 400, "{raw:?}"),
            }
        }
    });
}

fn check(raw: &str, status: u16, content: &[u8]) {
    let content = String::from_utf8_lossy(content);
    assert!(!content.contains(SECRET) && !content.contains("root:"), "{raw:?} leads outside");
    match expected(raw) {
        Expected::Status(expected) => assert_eq!(status, expected, "{raw:?}"),
        Expected::Content(expected) => assert_eq!((status, &*content), (200, expected), "{raw:?}"),
        Expected::Listing => {
            assert_eq!(status, 200, "{raw:?}");
            assert!(content.contains("<html") && !content.contains(".git"), "{raw:?}: {content}");
        }
    }
}

/// The response for a path whose escapes are decoded once, segment by segment.
fn expected(raw: &str) -> Expected {
    let mut names = Vec::new();
    for part in raw.split('/').filter(|part| !part.is_empty()) {
        let Some(name) = decode(part) else { return Expected::Status(400) };
        let mut pieces = name.split(|&byte| byte == b'/' || byte == b'\\');
        let has_dots = pieces.any(|piece| piece == b"." || piece == b"..");
        if has_dots {
            return Expected::Status(400);
        }
        if name.contains(&b'/') || name.contains(&0) {
            return Expected::Status(404);
        }
        names.push(name);
    }
    let is_hidden = |(at, name): (usize, &Vec<u8>)| {
        name.starts_with(b".") && !(at == 0 && name == b".well-known")
    };
    if names.iter().enumerate().any(is_hidden) {
        return Expected::Status(404);
    }
    let path = String::from_utf8_lossy(&names.join(&b'/')).into_owned();
    let files: BTreeMap<&str, &'static str> = FILES.iter().chain([&WELL_KNOWN]).copied().collect();
    let is_directory = raw.ends_with('/');
    match (files.get(&*path), DIRECTORIES.contains(&&*path), is_directory) {
        (Some(content), _, false) => Expected::Content(content),
        (Some(_), _, true) | (None, true, false) => Expected::Status(301),
        (None, true, true) => match files.get(&*format!("{path}/index.html")) {
            Some(content) => Expected::Content(content),
            None => Expected::Listing,
        },
        (None, false, _) => Expected::Status(404),
    }
}

/// Decodes each escape once; `None` for a broken one.
fn decode(part: &str) -> Option<Vec<u8>> {
    let (mut name, mut rest) = (Vec::new(), part.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            name.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        name.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    Some(name)
}

#[cfg(test)]
const PIECES: [&str; 40] = [
    "/",
    "/",
    "/",
    "//",
    "..",
    ".",
    "%2e",
    "%2E%2e",
    "%2f",
    "\\",
    "%5c",
    "%00",
    "%",
    "%25",
    "%252e",
    "%c0%ae",
    "%ff",
    "file.txt",
    "empty.txt",
    "dir",
    "list",
    "b.txt",
    "index.html",
    "sp%20ace.txt",
    "a:b",
    "100%25.txt",
    "a..b",
    "...",
    ".hidden",
    ".git",
    ".well-known",
    "x.txt",
    "up",
    "slash",
    "outside",
    "absolute",
    "loop",
    "secret.txt",
    "root",
    "etc",
];

#[cfg(test)]
#[test]
fn a_path_names_the_file_of_the_model_or_none() {
    use crate::support::random::Random;
    let make = |random: &mut Random| {
        let count = 1 + random.below(8);
        let path: String = (0..count).map(|_| random.pick(&PIECES)).collect();
        format!("/{path}").into_bytes()
    };
    let words: Vec<&[u8]> = PIECES.iter().map(|piece| piece.as_bytes()).collect();
    super::run::check("path", 1500, &words, make, target);
}
