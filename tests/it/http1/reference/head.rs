//! The head of a request: its syntax, first fault first, and then its meaning (RFC 9112, sections 2
//! to 6 and 9.3).

use super::differences::{Difference, Differences};
use super::reader::{is_tchar, is_vchar, members, Match, Reader, Stop, BAD};
use super::uri::{self, Target};
use super::HeadLimits;

/// The longest method that the server knows of.
const METHOD_BYTES_MAX: usize = 32;

/// A head that is accepted.
pub(crate) struct Head {
    pub(crate) len: usize,
    /// Everything that a handler can see of it.
    pub(crate) saw: String,
    pub(crate) framing: Framing,
    pub(crate) expects_continue: bool,
    /// Whether the connection may be used again after a response with a known length.
    pub(crate) keeps: bool,
}

/// RFC 9112, section 6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u128),
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    /// 1.1, and every later minor version (RFC 9110, section 2.5).
    Http11,
}

type Line<'a> = (&'a [u8], &'a [u8]);

impl Head {
    /// Reads the head at the start of `input`.
    pub(crate) fn read(input: &[u8], limits: HeadLimits, differences: &Differences) -> Match<Head> {
        let is_bounded = differences.has(Difference::HeadTooLarge);
        let bound = if is_bounded { limits.head_bytes_max } else { usize::MAX };
        let within = &input[..input.len().min(bound)];
        let mut reader = Reader::new(within, differences);
        match syntax(&mut reader, limits) {
            Ok(parts) => parts.meaning(reader.at, differences),
            Err(Stop::End) if within.len() == bound => Err(Stop::Fault(431)),
            Err(stop) => Err(stop),
        }
    }
}

/// The parts of a well-formed head.
struct Parts<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
    lines: Vec<Line<'a>>,
}

/// `HTTP-message = start-line CRLF *( field-line CRLF ) CRLF`. One empty line before it is ignored
/// (RFC 9112, section 2.2).
fn syntax<'a>(reader: &mut Reader<'a>, limits: HeadLimits) -> Match<Parts<'a>> {
    if reader.peek()? == b'\r' {
        reader.crlf()?;
    }
    let method = method(reader)?;
    reader.byte(b' ')?;
    let target = target(reader, limits)?;
    reader.byte(b' ')?;
    let version = version(reader)?;
    reader.crlf()?;
    let mut lines = Vec::new();
    loop {
        let next = reader.peek()?;
        if next == b'\r' {
            reader.crlf()?;
            return Ok(Parts { method, target, version, lines });
        }
        let is_over = reader.differs(Difference::TooManyFields) && lines.len() == limits.fields_max;
        if is_over && is_tchar(next) {
            return Err(Stop::Fault(431));
        }
        lines.push(reader.field_line()?);
        reader.crlf()?;
    }
}

/// `method = token` (RFC 9112, section 3.1).
fn method<'a>(reader: &mut Reader<'a>) -> Match<&'a [u8]> {
    let start = reader.at;
    reader.one(is_tchar)?;
    while is_tchar(reader.peek()?) {
        if reader.differs(Difference::MethodTooLong) && reader.at - start == METHOD_BYTES_MAX {
            return Err(Stop::Fault(501));
        }
        reader.at += 1;
    }
    Ok(&reader.input[start..reader.at])
}

/// A target is visible bytes; its form is judged when the head is complete (RFC 9112, section 3.2).
fn target<'a>(reader: &mut Reader<'a>, limits: HeadLimits) -> Match<&'a [u8]> {
    let start = reader.at;
    reader.one(is_vchar)?;
    while is_vchar(reader.peek()?) {
        let is_full = reader.at - start == limits.target_bytes_max;
        if reader.differs(Difference::TargetTooLong) && is_full {
            return Err(Stop::Fault(414));
        }
        reader.at += 1;
    }
    Ok(&reader.input[start..reader.at])
}

/// `HTTP-version = HTTP-name "/" DIGIT "." DIGIT` (RFC 9112, section 2.3). Another major version
/// gets a 505 (RFC 9110, section 15.6.6).
fn version(reader: &mut Reader<'_>) -> Match<Version> {
    reader.literal(b"HTTP/")?;
    let major = reader.one(|byte| byte.is_ascii_digit())?;
    reader.byte(b'.')?;
    let minor = reader.one(|byte| byte.is_ascii_digit())?;
    match (major, minor) {
        (b'1', b'0') => Ok(Version::Http10),
        (b'1', _) => Ok(Version::Http11),
        _ if reader.peek()? == b'\r' => Err(Stop::Fault(505)),
        _ => Err(BAD),
    }
}

impl<'a> Parts<'a> {
    fn all(&self, name: &str) -> Vec<&'a [u8]> {
        let is_named = |line: &&Line<'a>| line.0.eq_ignore_ascii_case(name.as_bytes());
        self.lines.iter().filter(is_named).map(|line| line.1).collect()
    }

    /// Judges a complete head, in the order of the server: target, host, framing, expectation. The
    /// RFCs have no order for a request with several faults.
    fn meaning(&self, len: usize, differences: &Differences) -> Match<Head> {
        let target = uri::target(self.method, self.target, differences)?;
        let host = self.host(&target, differences)?;
        let framing = self.framing(differences)?;
        let expects_continue = self.expects_continue(differences)? && framing != Framing::Length(0);
        // A tunnel is not HTTP any more (RFC 9110, section 9.3.6).
        let keeps = self.keeps() && self.method != b"CONNECT";
        let saw = self.saw(host, framing);
        Ok(Head { len, saw, framing, expects_continue, keeps })
    }

    /// RFC 9112, section 3.2: a 1.1 request has one `Host`, no request has two, and its value is
    /// well-formed. The authority of an absolute target takes precedence (section 3.2.2).
    fn host(&self, target: &Target<'a>, differences: &Differences) -> Match<Option<&'a [u8]>> {
        let hosts = self.all("host");
        let host = match (&hosts[..], self.version) {
            ([], Version::Http10) => None,
            ([host], _) if uri::is_host_field(host, differences) => Some(*host),
            _ => return Err(BAD),
        };
        Ok(target.authority.or(host))
    }

    /// RFC 9112, sections 6.1 to 6.3.
    fn framing(&self, differences: &Differences) -> Match<Framing> {
        let (codings, lengths) = (self.all("transfer-encoding"), self.all("content-length"));
        let has_both = !codings.is_empty() && !lengths.is_empty();
        if has_both && differences.has(Difference::CodingAndLength) {
            return Err(BAD);
        }
        let repeats = lengths.len() > 1 && differences.has(Difference::RepeatedLength)
            || codings.len() > 1 && differences.has(Difference::ListOfCodings);
        if repeats {
            return Err(BAD);
        }
        if !codings.is_empty() {
            // A coding in HTTP/1.0 is faulty framing (section 6.1).
            if self.version == Version::Http10 {
                return Err(BAD);
            }
            return coding(&codings, differences);
        }
        match &lengths[..] {
            [] => Ok(Framing::Length(0)),
            lengths => length(lengths, differences),
        }
    }

    /// RFC 9110, section 10.1.1: HTTP/1.0 cannot expect `100-continue`.
    fn expects_continue(&self, differences: &Differences) -> Match<bool> {
        let members = members(&self.all("expect"));
        let is_known = |member: &&[u8]| member.eq_ignore_ascii_case(b"100-continue");
        if !members.iter().all(is_known) && differences.has(Difference::OtherExpectation) {
            return Err(Stop::Fault(417));
        }
        Ok(members.iter().any(is_known) && self.version == Version::Http11)
    }

    /// RFC 9112, section 9.3.
    fn keeps(&self) -> bool {
        let options = members(&self.all("connection"));
        let has = |option: &str| options.iter().any(|o| o.eq_ignore_ascii_case(option.as_bytes()));
        !has("close") && (self.version == Version::Http11 || has("keep-alive"))
    }

    fn saw(&self, host: Option<&[u8]>, framing: Framing) -> String {
        // Names, targets and hosts that are accepted are ASCII.
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let version = if self.version == Version::Http10 { "1.0" } else { "1.1" };
        let host = host.map_or("none".to_owned(), text);
        let mut saw = format!("{} {} {version} host={host}", text(self.method), text(self.target));
        for (name, value) in &self.lines {
            saw += &format!(" [{}={}]", text(name), value.escape_ascii());
        }
        saw + &match framing {
            Framing::Length(length) => format!(" length={length}"),
            Framing::Chunked => " chunked".to_owned(),
        }
    }
}

/// `Transfer-Encoding = #transfer-coding`, `transfer-coding = token *( OWS ";" OWS
/// transfer-parameter )`. The last coding must be `chunked` (RFC 9112, section 6.3, rule 4), once
/// (section 6.1) and without parameters (section 7.1). A coding that is not understood gets a 501.
fn coding(lines: &[&[u8]], differences: &Differences) -> Match<Framing> {
    let list = members(lines);
    let is_one_token = |value: &[u8]| !value.is_empty() && value.iter().all(|&b| is_tchar(b));
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    // An empty member beside another one makes a list, too.
    let is_list = list.len() != 1 || lines.iter().any(|line| line.contains(&b','));
    if is_list && differences.has(Difference::ListOfCodings) {
        return Err(BAD);
    }
    if !list.iter().all(|coding| is_one_token(coding)) {
        return Err(BAD);
    }
    match &list[..] {
        [only] if is_chunked(only) => Ok(Framing::Chunked),
        [_] if differences.has(Difference::UnknownCoding) => Err(Stop::Fault(501)),
        [others @ .., last] if is_chunked(last) && !others.iter().any(is_chunked) => {
            Err(Stop::Fault(501))
        }
        _ => Err(BAD),
    }
}

/// `Content-Length = 1*DIGIT`. Equal values may be taken for one (RFC 9110, section 8.6).
fn length(lines: &[&[u8]], differences: &Differences) -> Match<Framing> {
    let values: Vec<&[u8]> =
        lines.iter().flat_map(|line| line.split(|&b| b == b',')).map(super::reader::trim).collect();
    let is_number = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !values.iter().all(is_number) || values.iter().any(|value| value != &values[0]) {
        return Err(BAD);
    }
    if values.len() > 1 && differences.has(Difference::RepeatedLength) {
        return Err(BAD);
    }
    let number = values[0].iter().fold(0u128, |number, digit| {
        number.saturating_mul(10).saturating_add(u128::from(digit - b'0'))
    });
    let is_long = values[0].len() > 19 || number >= 1 << 63;
    if is_long && differences.has(Difference::LongLength) {
        return Err(BAD);
    }
    Ok(Framing::Length(number))
}
