//! Fields of a header or trailer section (RFC 9110, section 5), zero-copy.
//!
//! [`Fields`] borrow either the head of a request with an index of 16 bytes for each line, or the
//! encoded lines of a response. Nothing is allocated, canonicalised or merged. A look-up is a
//! linear scan, which is faster than any map for the few dozen lines of a real head and cannot be
//! made slow by colliding names.

use std::{slice, str};

/// The fields of a header or trailer section, in the order in which they arrived or were set.
///
/// Names compare without regard to case. [`get`](Fields::get), [`get_bytes`](Fields::get_bytes) and
/// [`contains`](Fields::contains) take constants such as `http::header::VARY`, too.
///
/// Values have no spaces and tabs around them. RFC 9110 allows any byte from 0x80 up in a value, so
/// [`get`](Fields::get) gives text and [`get_bytes`](Fields::get_bytes) the bytes.
///
/// ```
/// # let mut sim = wheelhouse::sim::Sim::new(|req: &wheelhouse::Request<'_>| {
/// let headers = req.headers();
/// assert_eq!(headers.get("ACCEPT"), Some("text/html, */*;q=0.1"));
/// assert!(headers.has_member("accept", "text/html"));
/// # "ok"
/// # });
/// # let c = sim.connect();
/// # sim.send(c, b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html, */*;q=0.1\r\n\r\n");
/// # assert!(sim.received(c).starts_with(b"HTTP/1.1 200"));
/// ```
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    source: Source<'a>,
}

/// The place that fields are read from.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// A section that was parsed.
    Parsed { bytes: &'a [u8], spans: &'a [FieldSpan] },
    /// A section that is ready to be sent.
    Encoded { content_type: Option<&'a str>, lines: &'a [u8] },
}

/// The place of one field line in the bytes of its head.
///
/// Invariant: both ranges lie inside the head they were parsed from. Positions are below 64 KiB
/// (`Limits::head_bytes_max`), but four whole words are stored faster than four packed halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: u32,
    pub(crate) name_len: u32,
    pub(crate) value: u32,
    pub(crate) value_len: u32,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], spans: &'a [FieldSpan]) -> Self {
        Fields { source: Source::Parsed { bytes, spans } }
    }

    /// Creates the fields of a response: `Content-Type`, which it keeps apart, and then its lines,
    /// each of them `Name: value\r\n`.
    pub(crate) fn encoded(content_type: Option<&'a str>, lines: &'a [u8]) -> Self {
        Fields { source: Source::Encoded { content_type, lines } }
    }

    /// Returns the value of the first field called `name`; `None` if there is none, or its value is
    /// not UTF-8.
    pub fn get(&self, name: impl AsRef<str>) -> Option<&'a str> {
        str::from_utf8(self.find(name.as_ref())?).ok()
    }

    /// Returns the value of the first field called `name`, as bytes.
    pub fn get_bytes(&self, name: impl AsRef<str>) -> Option<&'a [u8]> {
        self.find(name.as_ref())
    }

    /// Returns whether there is a field called `name`.
    pub fn contains(&self, name: impl AsRef<str>) -> bool {
        self.find(name.as_ref()).is_some()
    }

    fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Returns the value of `Host`. Where routes name hosts, it is looked up for each request.
    #[inline(always)]
    pub(crate) fn host(&self) -> Option<&'a [u8]> {
        match self.source {
            Source::Parsed { bytes, spans } => {
                spans.iter().find(|span| span.is_host(bytes)).map(|span| span.value(bytes))
            }
            Source::Encoded { .. } => self.find("host"),
        }
    }

    /// Returns the values of all fields called `name`, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + 'n
    where
        'a: 'n,
    {
        let is_named = move |found: &[u8]| found.eq_ignore_ascii_case(name.as_bytes());
        self.lines().filter(move |(found, _)| is_named(found)).map(|(_, value)| value)
    }

    /// Returns the value of the one field called `name`; `None` if there is none, or several.
    pub(crate) fn only(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns the members of a comma-separated list over all fields called `name` (RFC 9110,
    /// section 5.6.1), trimmed and without empty ones.
    pub fn members<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + 'n
    where
        'a: 'n,
    {
        self.all(name).flat_map(list_members)
    }

    /// Returns whether the list field `name` has `token` among its members, without regard to case.
    pub fn has_member(&self, name: &str, token: &str) -> bool {
        self.members(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Returns every field as name and value, in order. Names keep the case in which they arrived
    /// or were set.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        // A field name is a token, hence ASCII: the fallback is never taken.
        self.lines().map(|(name, value)| (str::from_utf8(name).unwrap_or_default(), value))
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        match self.source {
            Source::Parsed { spans, .. } => spans.len(),
            Source::Encoded { .. } => self.lines().count(),
        }
    }

    /// Returns whether there are no fields.
    pub fn is_empty(&self) -> bool {
        match self.source {
            Source::Parsed { spans, .. } => spans.is_empty(),
            Source::Encoded { content_type, lines } => content_type.is_none() && lines.is_empty(),
        }
    }

    fn lines(&self) -> Lines<'a> {
        match self.source {
            Source::Parsed { bytes, spans } => Lines::Parsed { bytes, spans: spans.iter() },
            Source::Encoded { content_type, lines } => Lines::Encoded { content_type, lines },
        }
    }
}

/// Names and values, in order.
enum Lines<'a> {
    Parsed { bytes: &'a [u8], spans: slice::Iter<'a, FieldSpan> },
    Encoded { content_type: Option<&'a str>, lines: &'a [u8] },
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Lines::Parsed { bytes, spans } => {
                spans.next().map(|span| (span.name_bytes(bytes), span.value(bytes)))
            }
            Lines::Encoded { content_type, lines } => match content_type.take() {
                Some(value) => Some((b"Content-Type", value.as_bytes())),
                None => split_encoded_line(lines),
            },
        }
    }
}

/// Splits the first line off `lines`.
fn split_encoded_line<'a>(lines: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let end = lines.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = lines.split_at(end + 1);
    *lines = rest;
    // A name is a token and has no colon.
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((&line[..colon], trim_ows(line[colon + 1..].strip_suffix(b"\r\n").unwrap_or_default())))
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))))
            .finish()
    }
}

impl FieldSpan {
    pub(crate) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.value as usize;
        &bytes[start..start + self.value_len as usize]
    }

    pub(crate) fn name_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.name as usize;
        &bytes[start..start + self.name_len as usize]
    }

    pub(crate) fn is_named(&self, bytes: &[u8], name: &str) -> bool {
        self.name_len as usize == name.len()
            && self.name_bytes(bytes).eq_ignore_ascii_case(name.as_bytes())
    }

    /// Returns whether the name is `Host`, compared as one word. Saves 37 of 766 instructions per
    /// pipelined GET.
    #[inline(always)]
    pub(crate) fn is_host(&self, bytes: &[u8]) -> bool {
        // In a token, setting the bit of lower case turns no other byte into one of a-z.
        matches!(self.name_bytes(bytes), &[a, b, c, d]
            if u32::from_le_bytes([a, b, c, d]) | 0x2020_2020 == u32::from_le_bytes(*b"host"))
    }
}

/// Returns the members of one comma-separated value, trimmed and without empty ones.
pub(crate) fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_ows).filter(|member| !member.is_empty())
}

/// Removes optional white space (RFC 9110, section 5.6.3): space and tab, nothing else.
pub(crate) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Returns whether `bytes` are a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Returns whether `byte` may stand in a token (RFC 9110, section 5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
        | b'`' | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// Returns whether `byte` may stand in a field value: visible, space, tab or obs-text; no other
/// control.
pub(crate) const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: &[u8]) -> Vec<&[u8]> {
        list_members(value).collect()
    }

    /// t61.
    #[test]
    fn list_members_are_trimmed_and_empty_ones_are_skipped() {
        assert_eq!(members(b" a ,\tb\t,, c"), [b"a", b"b", b"c"]);
        assert!(members(b" , ,").is_empty());
        assert!(members(b"").is_empty());
    }

    #[test]
    fn only_space_and_tab_are_white_space() {
        assert_eq!(trim_ows(b" \t a b \t"), b"a b");
        assert_eq!(trim_ows(b"\x0ba\xa0"), b"\x0ba\xa0");
        assert_eq!(trim_ows(b"  "), b"");
    }

    /// t61.
    #[test]
    fn names_are_compared_whole_and_without_regard_to_case() {
        let bytes = b"Abc: 1\r\nABCD: 2\r\naBC: 3\r\n";
        let spans = [
            FieldSpan { name: 0, name_len: 3, value: 5, value_len: 1 },
            FieldSpan { name: 8, name_len: 4, value: 14, value_len: 1 },
            FieldSpan { name: 17, name_len: 3, value: 22, value_len: 1 },
        ];
        let fields = Fields::new(bytes, &spans);
        assert_eq!(fields.get("abc"), Some("1"));
        assert_eq!(fields.all("ABC").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(fields.get("abcd"), Some("2"));
        assert_eq!(fields.get("ab"), None);
        assert_eq!(fields.iter().nth(1), Some(("ABCD", &b"2"[..])));
    }

    #[test]
    fn fields_of_a_response_are_read_like_parsed_ones() {
        let lines = b"Vary: a, b\r\nX:  1:2 \r\nempty: \r\nvary: C\r\nBytes: \xff\r\n";
        let fields = Fields::encoded(Some("text/html"), lines);
        let listed: Vec<_> = fields.iter().map(|(name, value)| (name, value.to_vec())).collect();
        assert_eq!(listed[0], ("Content-Type", b"text/html".to_vec()));
        assert_eq!(listed[2], ("X", b"1:2".to_vec()));
        assert_eq!((fields.len(), listed.len()), (6, 6));
        assert_eq!(fields.get("CONTENT-TYPE"), Some("text/html"));
        assert_eq!(fields.get("Empty"), Some(""));
        assert!(fields.has_member("vary", "c") && fields.contains("x") && !fields.contains("y"));
        assert_eq!((fields.get("bytes"), fields.get_bytes("bytes")), (None, Some(&b"\xff"[..])));
        assert!(Fields::encoded(None, b"").is_empty());
        assert!(!fields.is_empty() && !Fields::encoded(Some("a/b"), b"").is_empty());
    }

    #[test]
    fn a_name_of_the_http_crate_is_a_name() {
        let fields = Fields::encoded(None, b"Vary: a\r\n");
        assert_eq!(fields.get(http::header::VARY), Some("a"));
        assert_eq!(fields.get_bytes(&http::header::VARY), Some(&b"a"[..]));
        assert!(fields.contains(String::from("VARY")));
    }
}
