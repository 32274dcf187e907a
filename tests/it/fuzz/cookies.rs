//! The cookies of a request, its query, and a cookie to set: pairs are those of a slow model, and a
//! browser reads back the cookie that a program has set, or the program gets an error.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use wheelhouse::cookies::{SameSite, SetCookie, COOKIE_BYTES_MAX};
use wheelhouse::forms::{FormError, Pairs};
use wheelhouse::sim::Sim;
use wheelhouse::Request;

use crate::support::random::Random;

/// The bytes are the value of `Cookie`, a form, and decisions about a cookie to set.
pub(crate) fn target(data: &[u8]) {
    let data = &data[..data.len().min(4000)];
    request_cookies(data);
    for by_semicolons in [false, true] {
        pairs(data, by_semicolons);
    }
    set_cookie(&mut Random::of(data));
}

type Pair = (String, String);

/// Lines end at LF; bytes that no field value may have are replaced.
fn request_cookies(data: &[u8]) {
    let value_byte =
        |&byte: &u8| if byte < 0x20 && byte != b'\t' || byte == 0x7f { b'?' } else { byte };
    let lines: Vec<Vec<u8>> = data
        .split(|&byte| byte == b'\n')
        .take(3)
        .map(|line| line.iter().map(value_byte).collect())
        .collect();
    let mut input = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for line in &lines {
        input.extend_from_slice(&[b"Cookie: ", &line[..], b"\r\n"].concat());
    }
    input.extend_from_slice(b"\r\n");
    let seen = Rc::new(RefCell::new(Vec::<Pair>::new()));
    let sink = Rc::clone(&seen);
    let mut sim = Sim::new(move |req: &Request<'_>| {
        let mut seen = sink.borrow_mut();
        seen.extend(req.cookies().map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (name, _) in seen.iter() {
            let first = seen.iter().find(|(other, _)| other == name).map(|(_, value)| &**value);
            assert_eq!(req.cookie(name), first);
        }
        "ok"
    });
    let client = sim.connect_and_send(&input);
    assert!(sim.received(client).starts_with(b"HTTP/1.1 200 "));
    assert_eq!(*seen.borrow(), expected_cookies(&lines));
}

/// RFC 6265, sections 4.1.1 and 5.4, with the leniency of Go: quotes around a value, and spaces and
/// commas in it.
fn expected_cookies(lines: &[Vec<u8>]) -> Vec<Pair> {
    // The limit on their number counts all of them.
    let mut cookies = Vec::new();
    let count: usize = lines.iter().map(|line| line.split(|&byte| byte == b';').count()).sum();
    if count > 3000 {
        return cookies;
    }
    for part in lines.iter().flat_map(|line| line.split(|&byte| byte == b';')) {
        let Ok(text) = std::str::from_utf8(part) else { continue };
        let text = text.trim_matches(|c| c == ' ' || c == '\t');
        let (name, mut value) = match text.find('=') {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        let name = name.trim_matches(|c| c == ' ' || c == '\t');
        if value.len() >= 2 && value.starts_with('"') && value.ends_with('"') {
            value = &value[1..value.len() - 1];
        }
        let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let is_value = |c: char| (' '..='~').contains(&c) && !"\";\\".contains(c);
        if !name.is_empty() && name.chars().all(is_tchar) && value.chars().all(is_value) {
            cookies.push((name.to_owned(), value.to_owned()));
        }
    }
    cookies
}

/// `application/x-www-form-urlencoded`, as the URL standard of WHATWG reads it, without the parts
/// that have a fault.
fn pairs(data: &[u8], by_semicolons: bool) {
    let mut all = Pairs::parse(data);
    if by_semicolons {
        all = all.separated_by_semicolons();
    }
    let (mut expected, mut fault) = (Vec::new(), None);
    let parts = data.split(|&byte| byte == b'&' || by_semicolons && byte == b';');
    let parts: Vec<&[u8]> = parts.filter(|part| !part.is_empty()).collect();
    for part in parts.iter().take(1000) {
        if part.contains(&b';') {
            fault.get_or_insert(FormError::Semicolon);
            continue;
        }
        let (name, value) = match part.iter().position(|&byte| byte == b'=') {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (*part, &b""[..]),
        };
        match (decode(name), decode(value)) {
            (Some(name), Some(value)) => expected.push((name, value)),
            _ => drop(fault.get_or_insert(FormError::Escape)),
        }
    }
    if parts.len() > 1000 {
        fault.get_or_insert(FormError::TooMany);
    }
    let got: Vec<Pair> = all.iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    assert_eq!(got, expected);
    assert_eq!(all.check().err(), fault);
    for (name, value) in expected.iter().rev().take(1) {
        let last = all.all(name).last();
        assert_eq!(last.as_deref(), Some(&**value));
    }
}

/// `+` is a space, `%` begins an escape; other bytes stay. The result is read as UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A cookie that is encoded is read by a browser with the same name, value and attributes (RFC
/// 6265, section 5.2).
fn set_cookie(random: &mut Random) {
    let text = |random: &mut Random| -> String {
        const PIECES: [&str; 12] =
            ["a", "B1", "-", ".", " ", ",", ";", "\"", "\\", "=", "\u{e9}", "\r\n"];
        (0..random.below(5)).map(|_| random.pick(&PIECES)).collect()
    };
    let name = random.pick(&["id", "__Host-id", "__Secure-id", ""]).to_owned() + &text(random);
    let value = match random.one_in(30) {
        true => "v".repeat(random.below(5000)),
        false => text(random),
    };
    let mut cookie = SetCookie::new(name.clone(), value.clone());
    let mut expected = vec![format!("{name}={value}")];
    let path = random.one_in(2).then(|| random.pick(&["/", "/a b", "a", "/;", ""]));
    if let Some(path) = path {
        cookie = cookie.path(path);
        expected.push(format!("Path={path}"));
    }
    let domain =
        random.one_in(3).then(|| random.pick(&["a.example", ".a.example", "a b", "-a", ""]));
    if let Some(domain) = domain {
        cookie = cookie.domain(domain);
        expected.push(format!("Domain={}", domain.trim_start_matches('.')));
    }
    if random.one_in(3) {
        let seconds = random.below(100_000) as u64;
        cookie = cookie.max_age(Duration::from_secs(seconds));
        expected.push(format!("Max-Age={seconds}"));
    }
    if random.one_in(2) {
        cookie = cookie.http_only(false);
    } else {
        expected.push("HttpOnly".to_owned());
    }
    let is_secure = random.one_in(2);
    if is_secure {
        cookie = cookie.secure();
        expected.push("Secure".to_owned());
    }
    let (same_site, named) =
        [(SameSite::Lax, "Lax"), (SameSite::Strict, "Strict"), (SameSite::None, "None")]
            [random.below(3)];
    cookie = cookie.same_site(same_site);
    expected.push(format!("SameSite={named}"));
    let is_partitioned = random.one_in(4);
    if is_partitioned {
        cookie = cookie.partitioned();
        expected.push("Partitioned".to_owned());
    }
    let Ok(line) = cookie.encode() else { return };
    assert!(line.len() <= COOKIE_BYTES_MAX);
    assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
    let mut read: Vec<String> =
        line.split(';').map(|part| part.trim_matches(' ').to_owned()).collect();
    // A browser keeps the quotes, and the server that gets the cookie again removes them.
    read[0] = read[0].replace('"', "");
    expected[0] = expected[0].trim_matches(' ').to_owned();
    assert_eq!(read.len(), expected.len(), "{line}");
    assert_eq!(read[0].replace(' ', ""), expected[0].replace(' ', ""), "{line}");
    assert_eq!(read[1..], expected[1..], "{line}");
    let needs_secure = named == "None" || is_partitioned || name.starts_with("__Secure-");
    assert!(is_secure || !needs_secure && !name.starts_with("__Host-"), "{line}");
    assert!(!name.starts_with("__Host-") || path == Some("/") && domain.is_none(), "{line}");
    let pair = line.split("; ").next().unwrap();
    let mut returned = expected_cookies(&[pair.as_bytes().to_vec()]);
    assert_eq!(returned.pop(), Some((name, value)), "the server reads its own cookie again");
}

#[cfg(test)]
#[test]
fn cookies_and_forms_are_those_of_the_model() {
    const WORDS: [&[u8]; 16] = [
        b"a=b",
        b"; ",
        b";",
        b"\"",
        b"=",
        b"&",
        b"%41",
        b"%",
        b"+",
        b"\n",
        b"\xe9",
        b"\xc3\xa9",
        b" ",
        b"\\",
        b"a=\"b c\"",
        b",",
    ];
    let make = |random: &mut Random| {
        let count = random.below(24);
        (0..count).flat_map(|_| random.pick::<[u8]>(&WORDS).to_vec()).collect()
    };
    super::run::check("cookies", 3000, &WORDS, make, target);
}
