//! The `Content-Type` of a file, by the extension of its name, or else by its first bytes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::str;

use crate::files::source::Source;

/// The types that the program has set, by extension in lower case. They take precedence over the
/// known ones.
pub(super) type Overrides = HashMap<String, String>;

/// The number of bytes that are read of a file whose extension has no known type.
const LOOK: usize = 512;

/// Returns the value of `Content-Type` for a file called `name`.
///
/// Text is declared as UTF-8, which is the encoding of most files. Without a declaration browsers
/// guess.
pub(super) fn content_type(name: &[u8], file: &Source, overrides: &Overrides) -> Cow<'static, str> {
    match by_name(name, file, overrides) {
        Some(kind) => kind,
        None if looks_like_text(file) => TEXT.into(),
        None => "application/octet-stream".into(),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn by_name(name: &[u8], file: &Source, overrides: &Overrides) -> Option<Cow<'static, str>> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    let extension = str::from_utf8(&name[dot + 1..]).ok()?;
    if !overrides.is_empty() {
        if let Some(kind) = overrides.get(&extension.to_ascii_lowercase()) {
            return Some(Cow::Owned(kind.clone()));
        }
    }
    if let Some(kind) = in_common_use(extension, file) {
        return Some(kind.into());
    }
    let kind = mime_guess::from_ext(extension).first_raw()?;
    Some(match kind {
        "text/html" => "text/html; charset=utf-8".into(),
        "text/css" => "text/css; charset=utf-8".into(),
        "text/plain" => TEXT.into(),
        "text/javascript" | "application/javascript" => "text/javascript; charset=utf-8".into(),
        kind if kind.starts_with("text/") => format!("{kind}; charset=utf-8").into(),
        kind => kind.into(),
    })
}

/// Returns the type of an extension that `mime_guess` knows only with another meaning, which hardly
/// any file has.
fn in_common_use(extension: &str, file: &Source) -> Option<&'static str> {
    let is = |known: &str| extension.eq_ignore_ascii_case(known);
    // A film, or a program in TypeScript.
    if is("ts") && looks_like_text(file) {
        return Some(TEXT);
    }
    let known = [
        ("m2ts", "video/mp2t"),
        ("mts", "video/mp2t"),
        ("obj", "model/obj"),
        ("rpm", "application/x-rpm"),
        ("ts", "video/mp2t"),
    ];
    known.iter().find(|(known, _)| is(known)).map(|&(_, kind)| kind)
}

/// Returns whether a file begins as UTF-8 text does: README, LICENSE, Makefile. A type that a
/// browser would run is never guessed.
fn looks_like_text(file: &Source) -> bool {
    let mut start = [0; LOOK];
    let Ok(len) = file.read_at(&mut start, 0) else { return false };
    let start = &start[..len];
    let is_utf8 = match str::from_utf8(start) {
        Ok(_) => true,
        // A character that is cut at the end of these bytes.
        Err(error) => error.error_len().is_none() && len == LOOK,
    };
    is_utf8 && !start.iter().any(|byte| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f))
}

/// Returns whether a compressed sibling is worth a look: for every type whose format is not
/// compressed in itself.
pub(super) fn compresses(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default();
    match kind.split_once('/') {
        Some(("image", of)) => IMAGES_NOT_COMPRESSED.contains(&of),
        Some(("audio", of)) => of.contains("wav") || of.contains("midi"),
        Some(("video", _)) => false,
        _ => !COMPRESSED.iter().any(|part| kind.contains(part)),
    }
}

/// Returns the coding that a file of the type `kind` has in itself, by its name: a type that clients
/// read only after they have decoded it.
pub(super) fn own_coding(name: &[u8], kind: &str) -> Option<&'static str> {
    let ending = &name[name.len().saturating_sub(".svgz".len())..];
    (ending.eq_ignore_ascii_case(b".svgz") && kind == "image/svg+xml").then_some("gzip")
}

const IMAGES_NOT_COMPRESSED: [&str; 5] = ["svg+xml", "bmp", "x-icon", "vnd.microsoft.icon", "tiff"];
/// Parts of the names of types that are archives, or made of one.
const COMPRESSED: [&str; 14] = [
    "zip",
    "7z",
    "rar",
    "rpm",
    "compress",
    "-xz",
    "bzip",
    "zstd",
    "brotli",
    "woff",
    "openxmlformats",
    "opendocument",
    "java-archive",
    "android.package",
];
