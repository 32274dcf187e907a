//! The fields of a request for a file, one on each line of the bytes: conditions are judged, and
//! ranges cut, as a slow model does it (RFC 9110, sections 13 and 14).

use std::time::SystemTime;

use crate::files::tree::{asker, Tree, CHANGED_DATE};

const NAMES: [&str; 8] = [
    "Range",
    "Range",
    "If-Range",
    "If-None-Match",
    "If-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "X",
];
const FILES: [(&str, &str); 3] =
    [("/file.txt", "0123456789"), ("/empty.txt", ""), ("/list/b.txt", "b")];
/// The default of `Limits::ranges_max`.
const RANGES_MAX: usize = 16;

thread_local! {
    static TREE: Tree = Tree::new();
}

/// The first byte chooses the file. The first byte of each line chooses a name, and the others are
/// the value: `@` stands for the entity tag, and `=` alone for the date of the file.
pub(crate) fn target(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let (target, content) = FILES[usize::from(*choice) % FILES.len()];
    TREE.with(|tree| {
        let mut asker = asker(tree.files());
        let etag = asker.get(target).field("etag").unwrap().to_owned();
        let mut fields = Vec::new();
        for line in rest.split(|&byte| byte == b'\n').take(8) {
            let Some((name, value)) = line.split_first() else { continue };
            let value: String = value.iter().map(|&byte| char::from(byte & 0x7f)).collect();
            let value = match value.trim_matches([' ', '\t']) {
                "=" => CHANGED_DATE.to_owned(),
                value => value.replace('@', &etag),
            };
            if value.len() < 1000 && !value.bytes().any(|b| b < 0x20 && b != b'\t' || b == 0x7f) {
                fields.push((NAMES[usize::from(*name) % NAMES.len()], value));
            }
        }
        let borrowed: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        let response = asker.ask("GET", target, &borrowed);
        let expected = expected(&fields, &etag, content.len() as u128);
        let got = String::from_utf8_lossy(&response.content).into_owned();
        let len = content.len();
        match expected {
            Expected::Status(status) => {
                assert_eq!(response.status, status, "{fields:?}");
                let range = response.field("content-range").map(str::to_owned);
                assert_eq!(range, (status == 416).then(|| format!("bytes */{len}")));
            }
            Expected::Whole => assert_eq!((response.status, &*got), (200, content), "{fields:?}"),
            Expected::Parts(parts) => {
                assert_eq!(response.status, 206, "{fields:?}");
                check_parts(&parts, content, &response, &got);
            }
        }
    });
}

fn check_parts(
    parts: &[(usize, usize)],
    content: &str,
    response: &crate::files::tree::Received,
    got: &str,
) {
    let len = content.len();
    let named = |first: usize, last: usize| format!("bytes {first}-{last}/{len}");
    if let [(first, last)] = *parts {
        assert_eq!(response.field("content-range"), Some(&*named(first, last)));
        assert_eq!(got, &content[first..=last]);
        return;
    }
    let kind = response.field("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut rest = got.strip_prefix("\r\n").unwrap_or(got);
    for (first, last) in parts {
        rest = rest.strip_prefix(&format!("--{boundary}\r\n")).expect("a boundary");
        let (head, after) = rest.split_once("\r\n\r\n").expect("the head of a part");
        assert!(head.contains(&format!("Content-Range: {}", named(*first, *last))), "{head}");
        rest = after.strip_prefix(&content[*first..=*last]).expect("the bytes of a part");
        rest = rest.strip_prefix("\r\n").expect("the end of a part");
    }
    assert_eq!(rest, format!("--{boundary}--\r\n"));
}

#[derive(Debug)]
enum Expected {
    Status(u16),
    Whole,
    /// First and last byte of each.
    Parts(Vec<(usize, usize)>),
}

type Fields = [(&'static str, String)];

fn all<'f>(fields: &'f Fields, name: &str) -> Vec<&'f str> {
    fields.iter().filter(|(field, _)| *field == name).map(|(_, value)| &**value).collect()
}

/// RFC 9110, section 13.2.2.
fn expected(fields: &Fields, etag: &str, len: u128) -> Expected {
    let changed = httpdate::parse_http_date(CHANGED_DATE).unwrap();
    // Several lines of a date are a list, which is not a date.
    let date = |name: &str| -> Option<SystemTime> {
        let [date] = all(fields, name)[..] else { return None };
        httpdate::parse_http_date(date).ok()
    };
    let if_match = all(fields, "If-Match");
    if !if_match.is_empty() {
        if !if_match.iter().any(|line| has_tag(line, etag, false)) {
            return Expected::Status(412);
        }
    } else if date("If-Unmodified-Since").is_some_and(|limit| changed > limit) {
        return Expected::Status(412);
    }
    let if_none_match = all(fields, "If-None-Match");
    if !if_none_match.is_empty() {
        if if_none_match.iter().any(|line| has_tag(line, etag, true)) {
            return Expected::Status(304);
        }
    } else if date("If-Modified-Since").is_some_and(|since| changed <= since) {
        return Expected::Status(304);
    }
    let holds = match all(fields, "If-Range")[..] {
        [] => true,
        [value] if is_tag(value) => value == etag,
        _ => date("If-Range") == Some(changed),
    };
    match (&all(fields, "Range")[..], holds) {
        ([range], true) => ranges(range, len),
        _ => Expected::Whole,
    }
}

/// Whether all of `text` is an entity tag.
fn is_tag(text: &str) -> bool {
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| inner.bytes().all(|b| b == 0x21 || (0x23..0x7f).contains(&b)))
        && opaque.len() >= 2
}

/// Whether a list of tags, which ends at the first text that is none, has `etag` or `*`.
fn has_tag(list: &str, etag: &str, is_weak: bool) -> bool {
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.starts_with('*') {
            return true;
        }
        // The shortest beginning that is a tag.
        let Some(len) = (1..=rest.len()).find(|&len| is_tag(&rest[..len])) else { return false };
        let tag = &rest[..len];
        let compared = if is_weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
        if compared == etag {
            return true;
        }
        rest = &rest[len..];
    }
}

/// RFC 9110, section 14.1.2 and 14.2, with the choices that the documentation of `Files` names.
fn ranges(value: &str, len: u128) -> Expected {
    let Some((unit, set)) = value.split_once('=') else { return Expected::Whole };
    if !unit.eq_ignore_ascii_case("bytes") || len == 0 {
        return Expected::Whole;
    }
    let blank = [' ', '\t'];
    let members = set.split(',').map(|member| member.trim_matches(blank));
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let mut count = 0;
    for member in members.filter(|member| !member.is_empty()) {
        count += 1;
        let Some((first, last)) = member.split_once('-') else { return Expected::Status(416) };
        let (first, last) = (first.trim_matches(blank), last.trim_matches(blank));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = |text: &str| text.parse::<u128>().unwrap_or(u128::MAX);
        let (from, to) = match (first, last) {
            ("", suffix) if is_number(suffix) => (len - number(suffix).min(len), len),
            (first, "") if is_number(first) => (number(first), len),
            (first, last) if is_number(first) && is_number(last) => {
                // Numbers beyond 64 bits are equal: all of them lie after the end of every file.
                let cut = |text: &str| number(text).min(u64::MAX.into());
                if cut(last) < cut(first) {
                    return Expected::Status(416);
                }
                (number(first), number(last).saturating_add(1).min(len))
            }
            _ => return Expected::Status(416),
        };
        if count > RANGES_MAX {
            return Expected::Whole;
        }
        if from < to {
            parts.push((from as usize, to as usize - 1));
        }
    }
    let sum: usize = parts.iter().map(|(first, last)| last - first + 1).sum();
    match (count, parts.is_empty()) {
        (0, _) => Expected::Whole,
        (_, true) => Expected::Status(416),
        _ if sum as u128 > len => Expected::Whole,
        _ => Expected::Parts(parts),
    }
}

#[cfg(test)]
#[test]
fn ranges_and_conditions_are_those_of_the_model() {
    use crate::support::random::Random;
    const WORDS: [&str; 24] = [
        "bytes=",
        "0-",
        "-1",
        "0-4",
        "5-9",
        "9-",
        "10-",
        "1-0",
        "-0",
        ",",
        ", ",
        "\n",
        "@",
        "W/@",
        "*",
        "\"x\"",
        "=",
        "Tue, 02 Jan 2024 03:04:06 GMT",
        "Tue, 02 Jan 2024 03:04:04 GMT",
        "99999999999999999999999",
        "18446744073709551615",
        "-",
        "\t",
        "BYTES=",
    ];
    let make = |random: &mut Random| {
        let mut data = vec![random.below(3) as u8];
        for _ in 0..1 + random.below(3) {
            data.push(random.below(8) as u8);
            if random.one_in(2) {
                data.extend_from_slice(b"bytes=");
            }
            for _ in 0..random.below(6) {
                data.extend_from_slice(random.pick(&WORDS).as_bytes());
            }
            data.push(b'\n');
        }
        data
    };
    let words: Vec<&[u8]> = WORDS.iter().map(|word| word.as_bytes()).collect();
    super::run::check("range", 1500, &words, make, target);
}
