//! Field lines of a request (RFC 9110, section 5), zero-copy.
//!
//! A [`Fields`] is two borrowed slices: the bytes of the head as they came from the wire, and an
//! index of 16 bytes per line. Nothing is allocated, canonicalised or merged; look-up is a linear
//! scan, which for the at most few dozen lines of a real head is faster than any map and cannot
//! be made slow by colliding names.

use std::str;

/// The field lines of one message, in the order in which they arrived.
///
/// Names compare without regard to case; values are bytes, with surrounding spaces and tabs
/// removed, because RFC 9110 allows any byte from 0x80 up in them.
///
/// ```
/// # let mut sim = wheelhouse::sim::Sim::new(|req: &wheelhouse::Request<'_>| {
/// let fields = req.fields();
/// assert_eq!(fields.get("ACCEPT"), Some(&b"text/html, */*;q=0.1"[..]));
/// assert!(fields.has_member("accept", "text/html"));
/// # "ok"
/// # });
/// # let c = sim.connect();
/// # sim.send(c, b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html, */*;q=0.1\r\n\r\n");
/// # assert!(sim.received(c).starts_with(b"HTTP/1.1 200"));
/// ```
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    spans: &'a [FieldSpan],
}

/// Where one field line lies in the bytes of its head.
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
        Fields { bytes, spans }
    }

    /// The value of the first line called `name`, or `None`.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The value of `Host`: looked up for each request where routes name hosts.
    #[inline(always)]
    pub(crate) fn host(&self) -> Option<&'a [u8]> {
        self.spans.iter().find(|span| span.is_host(self.bytes)).map(|span| span.value(self.bytes))
    }

    /// The value of the first line called `name` as text; `None` too if it is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        str::from_utf8(self.get(name)?).ok()
    }

    /// The values of every line called `name`, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + 'n
    where
        'a: 'n,
    {
        let Fields { bytes, spans } = *self;
        spans
            .iter()
            .filter(move |span| span.is_named(bytes, name))
            .map(move |span| span.value(bytes))
    }

    /// The members of a comma-separated list field over all its lines (RFC 9110, section 5.6.1):
    /// trimmed, empty members skipped.
    pub fn members<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + 'n
    where
        'a: 'n,
    {
        self.all(name).flat_map(list_members)
    }

    /// Whether the list field `name` has `token` among its members, without regard to case.
    pub fn has_member(&self, name: &str, token: &str) -> bool {
        self.members(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Every line as name and value, in order; names keep the case of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let Fields { bytes, spans } = *self;
        spans.iter().map(move |span| (span.name(bytes), span.value(bytes)))
    }

    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field line at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
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

    fn name<'a>(&self, bytes: &'a [u8]) -> &'a str {
        // A field name is a token, hence ASCII: the fallback is never taken.
        str::from_utf8(self.name_bytes(bytes)).unwrap_or_default()
    }

    pub(crate) fn is_named(&self, bytes: &[u8], name: &str) -> bool {
        self.name_len as usize == name.len()
            && self.name_bytes(bytes).eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether the name is `Host`, compared as one word. Saves 37 of 766 instructions per pipelined
    /// GET.
    #[inline(always)]
    pub(crate) fn is_host(&self, bytes: &[u8]) -> bool {
        // In a token, setting the bit of lower case turns no other byte into one of a-z.
        matches!(self.name_bytes(bytes), &[a, b, c, d]
            if u32::from_le_bytes([a, b, c, d]) | 0x2020_2020 == u32::from_le_bytes(*b"host"))
    }
}

/// The members of one comma-separated value: trimmed, empty ones skipped.
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

/// Whether `bytes` are a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether `byte` may stand in a token (RFC 9110, section 5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
        | b'`' | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// Whether `byte` may stand in a field value: visible, space, tab or obs-text; no other control.
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
    fn names_compare_without_regard_to_case_and_by_their_whole_length() {
        let bytes = b"Abc: 1\r\nABCD: 2\r\naBC: 3\r\n";
        let spans = [
            FieldSpan { name: 0, name_len: 3, value: 5, value_len: 1 },
            FieldSpan { name: 8, name_len: 4, value: 14, value_len: 1 },
            FieldSpan { name: 17, name_len: 3, value: 22, value_len: 1 },
        ];
        let fields = Fields::new(bytes, &spans);
        assert_eq!(fields.get("abc"), Some(&b"1"[..]));
        assert_eq!(fields.all("ABC").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(fields.text("abcd"), Some("2"));
        assert_eq!(fields.get("ab"), None);
        assert_eq!(fields.iter().nth(1), Some(("ABCD", &b"2"[..])));
    }
}
