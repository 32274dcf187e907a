//! A request head: request line, field lines, and what they decide (RFC 9112, sections 2 to 5).
//! The only file that names httparse. What may stand in a target or a Host is in
//! [`target`](super::target).
//!
//! A head that came whole is parsed in one pass: the request line here, the field lines by
//! httparse, which is more lenient than we are in one point, checked here: bare LF. Whatever the
//! fast path does not like, and whatever comes in pieces, goes to [`Scan`], which decides.

use crate::http1::framing::{self, Framing, Line};
use crate::http1::scan::{Scan, METHOD_BYTES_MAX};
use crate::http1::target::{is_authority, is_in, origin_ends, parse_other_form, PATH};
use crate::http1::{HeadLimits, Reject};
use crate::message::fields::{list_members, trim_ows, FieldSpan};
use crate::message::request::{Method, RequestLine, Span, TargetForm, Version};

/// A complete and acceptable head, as positions in the input that it was parsed from.
///
/// One of these serves a whole loop: it is overwritten by the next head and allocates nothing.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) line: RequestLine,
    pub(crate) spans: Vec<FieldSpan>,
    pub(crate) framing: Framing,
    /// Whether the peer wants the connection kept (RFC 9112, section 9.3).
    pub(crate) peer_keeps: bool,
    /// Whether the peer waits for `100 Continue` before it sends content.
    pub(crate) expects_continue: bool,
    /// Bytes up to and with the blank line.
    pub(crate) len: usize,
    /// What the pass over the head noted for its own judgement.
    noted: Noted,
}

impl Head {
    pub(crate) fn new() -> Head {
        let nothing = Span::new(0, 0);
        Head {
            line: RequestLine {
                method: Method::GET,
                version: Version::Http11,
                form: TargetForm::Origin,
                target: nothing,
                path: nothing,
                authority: None,
                content_length: None,
            },
            spans: Vec::new(),
            framing: Framing::Length(0),
            peer_keeps: false,
            expects_continue: false,
            len: 0,
            noted: 0,
        }
    }

    /// Parses the head at the start of `input`. `false`: it is not complete yet; `scan` remembers
    /// how far it was looked at, and the next call begins with the same bytes and more behind
    /// them.
    #[inline(always)]
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        scan: &mut Scan,
        limits: &HeadLimits,
    ) -> Result<bool, Reject> {
        if scan.is_new() {
            if let Some(verdict) = self.parse_whole(input, limits) {
                return verdict.map(|()| true);
            }
        }
        if !scan.advance(input, limits)? {
            return Ok(false);
        }
        let head = &input[..scan.len()];
        let verdict = self.parse_whole(head, limits);
        match verdict.or_else(|| self.parse_newer_minor(head, limits)) {
            Some(verdict) => verdict.map(|()| true),
            // Not reached as far as known: the scanner accepts no more than the fast path.
            None => Err(Reject::RequestLine),
        }
    }

    /// Parses a head that is complete and well-formed; `None` for anything else. What is said of
    /// it then is what its parts mean together; the first fault in this order wins: target, Host,
    /// framing, expectation.
    // Out of line on purpose: inlined into the loop of a visit it runs out of registers.
    #[inline(never)]
    fn parse_whole(&mut self, input: &[u8], limits: &HeadLimits) -> Option<Result<(), Reject>> {
        // Cut once, so that no position has to be checked against the limit again.
        let input = &input[..input.len().min(limits.head_bytes_max)];
        self.noted = 0;
        let lines = self.split_line(input, limits)?;
        self.split_fields(input, lines, limits)?;
        self.decide(input)
    }

    /// Cuts the request line into its parts and checks the target, in one pass over its bytes.
    /// Hands back the field lines, and what is behind them.
    #[inline(always)]
    fn split_line<'a>(&mut self, input: &'a [u8], limits: &HeadLimits) -> Option<&'a [u8]> {
        // Comparing four bytes is one load, and not assigning what is there already drops nothing.
        let start = if input.starts_with(b"GET ") {
            if self.line.method != Method::GET {
                self.line.method = Method::GET;
            }
            4
        } else {
            let start = self.split_other_method(input)?;
            if self.line.method == Method::CONNECT {
                return self.split_other_line(input, start, limits);
            }
            start
        };
        let rest = &input[start..];
        let (path_len, len) = match rest.iter().position(|&byte| !is_in(PATH, byte)) {
            Some(len) if rest[len] == b' ' => (len, len),
            stop => origin_ends(rest, stop?),
        };
        let (version, lines) = match split_version(&rest[len..]) {
            Some(found) if rest[0] == b'/' => found,
            _ => return self.split_other_line(input, start, limits),
        };
        if len > limits.target_bytes_max {
            return None;
        }
        self.line.version = version;
        self.line.form = TargetForm::Origin;
        self.line.authority = None;
        self.line.path = Span::new(start, path_len);
        self.line.target = Span::new(start, len);
        Some(lines)
    }

    /// Reads the method; says where the target begins.
    #[inline(never)]
    fn split_other_method(&mut self, input: &[u8]) -> Option<usize> {
        let start = if input.starts_with(b"\r\n") { 2 } else { 0 };
        let rest = &input[start..];
        let most = rest.len().min(METHOD_BYTES_MAX + 1);
        let len = rest[..most].iter().position(|&byte| byte == b' ')?;
        self.line.method = Method::from_bytes(&rest[..len]).ok()?;
        Some(start + len + 1)
    }

    /// Splits a line whose target begins at `start` and does not look like `/path?query`. A
    /// target that has none of the four forms of RFC 9112, section 3.2, is still cut off at its
    /// end, so that syntax errors behind it are found first.
    #[cold]
    fn split_other_line<'a>(
        &mut self,
        input: &'a [u8],
        start: usize,
        limits: &HeadLimits,
    ) -> Option<&'a [u8]> {
        let rest = &input[start..];
        let len = rest.iter().position(|byte| !byte.is_ascii_graphic())?;
        let (version, lines) = split_version(&rest[len..])?;
        if len == 0 || len > limits.target_bytes_max {
            return None;
        }
        let line = &mut self.line;
        line.version = version;
        line.target = Span::new(start, len);
        let Ok(other) = parse_other_form(&rest[..len], &line.method) else {
            self.noted |= BAD_TARGET;
            return Some(lines);
        };
        line.form = other.form;
        line.path = Span::new(start + other.path.0, other.path.1);
        line.authority = other.authority.map(|(at, len)| Span::new(start + at, len));
        Some(lines)
    }

    /// Cuts the field lines apart and notes those that the server itself reads.
    #[inline(always)]
    fn split_fields(&mut self, input: &[u8], lines: &[u8], limits: &HeadLimits) -> Option<()> {
        // Each place for a field line costs its preparation, and heads resemble each other: the
        // one before tells how many places are wanted.
        if self.spans.len() <= FEW {
            let mut few = [httparse::EMPTY_HEADER; FEW];
            match httparse::parse_headers(lines, &mut few) {
                Ok(httparse::Status::Complete((len, found))) => {
                    self.spans.clear();
                    self.end_fields(input, lines, len, found.len(), limits)?;
                    self.note_fields(input, found);
                    return Some(());
                }
                Err(httparse::Error::TooManyHeaders) => {}
                _ => return None,
            }
        }
        self.split_many_fields(input, lines, limits)
    }

    /// The same for any number of field lines, in batches.
    #[inline(never)]
    fn split_many_fields<'a>(
        &mut self,
        input: &'a [u8],
        mut lines: &'a [u8],
        limits: &HeadLimits,
    ) -> Option<()> {
        self.spans.clear();
        let mut many = [httparse::EMPTY_HEADER; MANY];
        loop {
            match httparse::parse_headers(lines, &mut many) {
                Ok(httparse::Status::Complete((len, found))) => {
                    let count = self.spans.len() + found.len();
                    self.end_fields(input, lines, len, count, limits)?;
                    self.note_fields(input, found);
                    return Some(());
                }
                Err(httparse::Error::TooManyHeaders) => self.note_fields(input, &many),
                _ => return None,
            }
            if self.spans.len() > limits.fields_max {
                return None;
            }
            lines = self.behind_last_field(input)?;
        }
    }

    /// Adds field lines and notes what they say.
    #[inline(always)]
    fn note_fields(&mut self, input: &[u8], lines: &[httparse::Header<'_>]) {
        let mut noted = self.noted;
        for line in lines {
            noted |= note_field(input, line, &mut self.spans, noted);
        }
        self.noted = noted;
    }

    /// Ends the head behind the last `len` bytes of `lines`, if `count` field lines may end so.
    #[inline(always)]
    fn end_fields(
        &mut self,
        input: &[u8],
        lines: &[u8],
        len: usize,
        count: usize,
        limits: &HeadLimits,
    ) -> Option<()> {
        self.len = input.len() - lines.len() + len;
        let is_end = input[..self.len].ends_with(b"\r\n\r\n");
        (is_end && count <= limits.fields_max).then_some(())
    }

    /// What follows the field line that was noted last.
    fn behind_last_field<'a>(&self, input: &'a [u8]) -> Option<&'a [u8]> {
        let last = self.spans.last()?;
        let end = match last.value_len {
            0 => last.name + last.name_len + 1,
            len => last.value + len,
        };
        let rest = &input[end as usize..];
        let white = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
        rest[white..].strip_prefix(b"\r\n")
    }

    /// HTTP/1.2 to 1.9, which only differ in a digit: served as 1.1 (RFC 9110, section 2.5).
    /// Nobody sends it, so it may cost a copy.
    fn parse_newer_minor(
        &mut self,
        head: &[u8],
        limits: &HeadLimits,
    ) -> Option<Result<(), Reject>> {
        let mut copy = head.to_vec();
        let line_end = copy.windows(2).skip(2).position(|pair| pair == b"\r\n")? + 2;
        *copy.get_mut(line_end - 1)? = b'1';
        self.parse_whole(&copy, limits)
    }

    /// Judges what the parts of a head mean together.
    #[inline(always)]
    fn decide(&mut self, input: &[u8]) -> Option<Result<(), Reject>> {
        let noted = self.noted;
        let version = self.line.version;
        match noted & (BARE_LF | BAD_TARGET | BAD_HOST | HOST) {
            HOST => {}
            // HTTP/1.1 wants a Host, also beside an absolute target (RFC 9112, section 3.2).
            0 if version == Version::Http10 => {}
            fault if fault & BARE_LF != 0 => return None,
            fault if fault & BAD_TARGET != 0 => return Some(Err(Reject::Target)),
            _ => return Some(Err(Reject::Host)),
        }
        (self.framing, self.line.content_length) = (Framing::Length(0), Some(0));
        self.expects_continue = false;
        if noted & (FRAMING | EXPECT) != 0 {
            if let Err(reject) = self.decide_content(input) {
                return Some(Err(reject));
            }
        }
        self.peer_keeps = match noted & (KEEP_ALIVE | CONNECTION) {
            0 => version == Version::Http11,
            KEEP_ALIVE => true,
            _ => peer_keeps(input, &self.spans, version),
        };
        Some(Ok(()))
    }

    /// Judges the field lines that tell of content.
    fn decide_content(&mut self, input: &[u8]) -> Result<(), Reject> {
        self.framing = self.parse_framing(input)?;
        self.line.content_length = match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        // An HTTP/1.0 peer cannot expect it, and without content there is nothing to continue
        // (RFC 9110, section 10.1.1).
        self.expects_continue = check_expectations(input, &self.spans)?
            && self.line.version == Version::Http11
            && self.line.content_length != Some(0);
        Ok(())
    }

    fn parse_framing(&self, input: &[u8]) -> Result<Framing, Reject> {
        let line = |name: &str| {
            let lines = self.spans.iter().filter(|span| span.is_named(input, name));
            lines.fold(Line::default(), |line, span| Line {
                count: line.count + 1,
                value: span.value(input),
            })
        };
        framing::incoming(self.line.version, line("transfer-encoding"), line("content-length"))
    }
}

/// Field lines that are cut apart by one call of httparse: what small clients send, and what
/// browsers send.
const FEW: usize = 4;
const MANY: usize = 16;

/// What one pass over a head notes about it, as bits: a set fits into a register, and the usual
/// head leaves it nearly empty.
type Noted = u8;

/// The target has none of the forms of RFC 9112, section 3.2.
const BAD_TARGET: Noted = 1;
/// A line ends in LF without CR.
const BARE_LF: Noted = 1 << 1;
const HOST: Noted = 1 << 2;
/// A second `Host`, or a malformed one. It may be empty.
const BAD_HOST: Noted = 1 << 3;
/// `Content-Length` or `Transfer-Encoding`.
const FRAMING: Noted = 1 << 4;
const EXPECT: Noted = 1 << 5;
/// A `Connection` that says `keep-alive` and nothing else, as most do that say anything.
const KEEP_ALIVE: Noted = 1 << 6;
/// A `Connection` that says anything else.
const CONNECTION: Noted = 1 << 7;

/// Finds a field line in `input`; says what is new about the head, of which `noted` is known.
#[inline(always)]
fn note_field(
    input: &[u8],
    line: &httparse::Header<'_>,
    spans: &mut Vec<FieldSpan>,
    noted: Noted,
) -> Noted {
    let (name, value) = (line.name.as_bytes(), line.value);
    debug_assert_eq!(value, trim_ows(value), "httparse trims values");
    // All parts lie in `input`, so their addresses differ by their positions.
    let position = |part: &[u8]| (part.as_ptr() as usize).wrapping_sub(input.as_ptr() as usize);
    let start = position(name);
    spans.push(FieldSpan {
        name: start as u32,
        name_len: name.len() as u32,
        value: if value.is_empty() { start } else { position(value) } as u32,
        value_len: value.len() as u32,
    });
    // The byte before a name is the LF of the line above: it must have its CR.
    if input.get(start.wrapping_sub(2)) != Some(&b'\r') {
        return BARE_LF;
    }
    // Every head has a Host; the length tells nearly all other names apart.
    if is_lower(name, b"host") {
        return match value.is_empty() || is_authority(value) {
            true if noted & HOST == 0 => HOST,
            _ => BAD_HOST,
        };
    }
    match name.len() {
        6 if is_lower(name, b"expect") => EXPECT,
        10 if is_lower(name, b"connection") => match is_lower(value, b"keep-alive") {
            true => KEEP_ALIVE,
            false => CONNECTION,
        },
        14 if is_lower(name, b"content-length") => FRAMING,
        17 if is_lower(name, b"transfer-encoding") => FRAMING,
        _ => 0,
    }
}

/// Cuts the version and the end of the line off, in front of the field lines. Only the two
/// versions that are spoken: anything else is somebody else's to judge.
#[inline(always)]
fn split_version(rest: &[u8]) -> Option<(Version, &[u8])> {
    if let Some(lines) = rest.strip_prefix(b" HTTP/1.1\r\n") {
        return Some((Version::Http11, lines));
    }
    Some((Version::Http10, rest.strip_prefix(b" HTTP/1.0\r\n")?))
}

/// Whether `bytes` are `lower`, without regard to case. They come from a name or a value, where
/// setting the bit that tells cases apart makes no other byte one of a-z or `-`.
#[inline(always)]
fn is_lower<const N: usize>(bytes: &[u8], lower: &[u8; N]) -> bool {
    bytes.len() == N && bytes.iter().zip(lower).fold(0, |odd, (a, b)| odd | ((a | 0x20) ^ b)) == 0
}

/// Whether `100-continue` is expected; any other expectation is refused.
fn check_expectations(input: &[u8], spans: &[FieldSpan]) -> Result<bool, Reject> {
    let mut expects = false;
    for span in spans.iter().filter(|span| span.is_named(input, "expect")) {
        for member in list_members(span.value(input)) {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(Reject::Expectation);
            }
            expects = true;
        }
    }
    Ok(expects)
}

/// `close` wins over `keep-alive`, wherever it stands.
fn peer_keeps(input: &[u8], spans: &[FieldSpan], version: Version) -> bool {
    let mut keeps = version == Version::Http11;
    for span in spans.iter().filter(|span| span.is_named(input, "connection")) {
        for member in list_members(span.value(input)) {
            if member.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keeps |= member.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keeps
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits =
        HeadLimits { head_bytes_max: 16 << 10, target_bytes_max: 8 << 10, fields_max: 100 };

    fn parse_whole(input: &[u8]) -> Result<Option<Head>, Reject> {
        let mut head = Head::new();
        let is_complete = head.parse(input, &mut Scan::new(), &LIMITS)?;
        Ok(is_complete.then_some(head))
    }

    #[test]
    fn newer_minor_versions_are_served_as_1_1_and_other_majors_refused() {
        for (version, verdict) in [
            ("1.0", Ok(Version::Http10)),
            ("1.1", Ok(Version::Http11)),
            ("1.2", Ok(Version::Http11)),
            ("1.9", Ok(Version::Http11)),
            ("2.0", Err(Reject::Version)),
            ("0.9", Err(Reject::Version)),
            ("1.10", Err(Reject::RequestLine)),
            ("+1.1", Err(Reject::RequestLine)),
        ] {
            for before in ["", "\r\n"] {
                let input = format!("{before}GET / HTTP/{version}\r\nHost: a\r\n\r\n");
                let got = parse_whole(input.as_bytes()).map(|head| head.unwrap().line.version);
                assert_eq!(got, verdict, "{input:?}");
            }
        }
    }

    /// The fast path and the scanner must judge every head alike, or the answer would depend on
    /// how the head was cut. Heads are made by damaging good ones.
    #[test]
    fn the_fast_path_and_the_scanner_judge_damaged_heads_alike() {
        let good: [&[u8]; 3] = [
            b"GET /a?b HTTP/1.1\r\nHost: a\r\nX-Y:  z \t\r\nEmpty:\r\n\r\n",
            b"\r\nPOST /p HTTP/1.0\r\nContent-Length: 5\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\nexpect: 100-continue\r\n\r\n",
        ];
        let damage = b"\r\n \t\0:/a1.\x7f\x80\xff\"";
        for head in good {
            for at in 0..head.len() {
                for &byte in damage {
                    let (mut changed, mut inserted) = (head.to_vec(), head.to_vec());
                    changed[at] = byte;
                    inserted.insert(at, byte);
                    let mut removed = head.to_vec();
                    removed.remove(at);
                    for input in [changed, inserted, removed] {
                        let whole = parse_whole(&input).map(|head| head.map(|head| head.len));
                        assert_eq!(
                            whole,
                            by_bytes(&input),
                            "{:?}",
                            String::from_utf8_lossy(&input)
                        );
                    }
                }
            }
        }
    }

    /// Field lines are cut apart in batches: what is said of a head must not depend on where a
    /// batch ends, nor on how many lines the head before had.
    #[test]
    fn a_head_is_judged_alike_however_many_field_lines_it_has() {
        let mut head = Head::new();
        for count in (0..=100).chain([3, 40, 0, 17, 4, 5, 1]) {
            let mut input = b"GET / HTTP/1.1\r\n".to_vec();
            for at in 0..count {
                let line: &[u8] = match at % 4 {
                    0 => b"X-Empty: \t \r\n",
                    1 => b"x-bare:\r\n",
                    2 => b"X: a b \t\r\n",
                    _ => b"Accept:b\r\n",
                };
                input.extend_from_slice(if at + 1 == count { b"HOST: a\r\n" } else { line });
            }
            input.extend_from_slice(b"\r\nrest");
            let whole = head.parse(&input, &mut Scan::new(), &LIMITS);
            assert_eq!(whole, if count == 0 { Err(Reject::Host) } else { Ok(true) }, "{count}");
            if count > 0 {
                assert_eq!((head.len, head.spans.len()), (input.len() - 4, count), "{count}");
                let fields = crate::message::fields::Fields::new(&input, &head.spans);
                assert_eq!(fields.get("host"), Some(&b"a"[..]));
                assert_eq!(fields.all("x").filter(|value| *value == b"a b").count(), count / 4);
            }
            let twice = [&input[..input.len() - 6], b"Host: b\r\n\r\n"].concat();
            let verdict = match count {
                0 => Ok(true),
                100 => Err(Reject::TooManyFields),
                _ => Err(Reject::Host),
            };
            assert_eq!(head.parse(&twice, &mut Scan::new(), &LIMITS), verdict, "{count}");
            for at in 0..count {
                let line_end = |bytes: &[u8]| bytes.windows(2).position(|pair| pair == b"\r\n");
                let lf = (0..=at).fold(0, |from, _| from + line_end(&input[from..]).unwrap() + 2);
                let mut bare = input.clone();
                bare.remove(lf - 2);
                let verdict = head.parse(&bare, &mut Scan::new(), &LIMITS);
                assert!(verdict.is_err(), "{count} {at}");
            }
        }
    }

    #[test]
    fn one_connection_field_after_another_decides_about_reuse() {
        for (version, lines, keeps) in [
            ("1.1", "", true),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.1", "connection: close\r\n", false),
            ("1.0", "Connection: keep-alive\r\nConnection: x, close\r\n", false),
            ("1.0", "Connection: x\r\nConnection: keep-alive\r\n", true),
            ("1.0", "Connection: keep-alived\r\n", false),
        ] {
            let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
            let head = parse_whole(input.as_bytes()).unwrap().unwrap();
            assert_eq!(head.peer_keeps, keeps, "{input:?}");
        }
    }

    fn by_bytes(input: &[u8]) -> Result<Option<usize>, Reject> {
        let (mut scan, mut head) = (Scan::new(), Head::new());
        for end in 0..=input.len() {
            if head.parse(&input[..end], &mut scan, &LIMITS)? {
                return Ok(Some(head.len));
            }
        }
        Ok(None)
    }
}
