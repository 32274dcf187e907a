//! The head of a request, and the meaning of its parts together (RFC 9112, sections 2 to 5).
//!
//! A head that is complete and well-formed when its first byte is seen is split in one pass by
//! httparse. Every other head goes to [`Scan`], which alone finds the first malformed byte.

use crate::http1::field_scan::split_fields;
use crate::http1::framing::{self, FieldCount, Framing};
use crate::http1::persistence::PeerKeeps;
use crate::http1::scan::Scan;
use crate::http1::split::{split_fields_fast, split_line};
use crate::http1::target::is_authority;
use crate::http1::{HeadLimits, Reject};
use crate::message::fields::{list_members, FieldSpan};
use crate::message::request::{Method, RequestLine, Span, TargetForm, Version};

/// A complete and acceptable head, as positions in the input that it was parsed from.
///
/// One `Head` serves a whole loop. Each request overwrites it, and nothing is allocated.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) line: RequestLine,
    pub(crate) spans: Vec<FieldSpan>,
    /// The decoded path, if the path of the line has escapes.
    pub(crate) decoded: String,
    pub(crate) framing: Framing,
    /// Whether the peer wants to keep the connection (RFC 9112, section 9.3).
    pub(crate) peer_keeps: PeerKeeps,
    /// Whether the peer waits for `100 Continue` before it sends content.
    pub(crate) expects_continue: bool,
    /// The length in bytes, blank line included.
    pub(crate) len: usize,
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
                has_escapes: false,
                authority: None,
                content_length: None,
            },
            spans: Vec::new(),
            decoded: String::new(),
            framing: Framing::Length(0),
            peer_keeps: PeerKeeps::No,
            expects_continue: false,
            len: 0,
        }
    }

    /// Parses the head at the start of `input`, of which `scan` was read in earlier calls. Returns
    /// `None` if the head is complete, else the progress of the scan, for the next call with the
    /// same bytes and more.
    ///
    /// # Errors
    ///
    /// The refusal of a head that is malformed or not acceptable. It does not depend on how the
    /// head was cut into calls.
    #[inline(always)]
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        scan: Scan,
        limits: &HeadLimits,
    ) -> Result<Option<Scan>, Reject> {
        if !scan.is_new() || self.parse_fast(input, limits).is_none() {
            let further = self.parse_scanned(input, scan, limits)?;
            if further.is_some() {
                return Ok(further);
            }
        }
        self.line.decode_path(input, &mut self.decoded);
        Ok(None)
    }

    /// Parses any head, after the scanner has looked at each of its bytes.
    #[inline(never)]
    fn parse_scanned(
        &mut self,
        input: &[u8],
        mut scan: Scan,
        limits: &HeadLimits,
    ) -> Result<Option<Scan>, Reject> {
        if !scan.advance(input, limits)? {
            return Ok(Some(scan));
        }
        let head = &input[..scan.len()];
        self.len = head.len();
        // The scanner has accepted all of the line but the form of the target.
        let start = split_line(head, limits, &mut self.line).ok_or(Reject::Target)?;
        self.spans.clear();
        self.spans.extend(split_fields(head, start));
        self.judge(head)?;
        Ok(None)
    }

    /// Parses a head that is complete and acceptable. Returns `None` for any other head, so that
    /// refusals are decided in one place. Saves 970 of 1,723 instructions per pipelined GET.
    fn parse_fast(&mut self, input: &[u8], limits: &HeadLimits) -> Option<()> {
        let input = &input[..input.len().min(limits.head_bytes_max)];
        let start = split_line(input, limits, &mut self.line)?;
        self.len = split_fields_fast(input, start, limits, &mut self.spans)?;
        self.judge(input).ok()
    }

    /// Decides what the parts of a well-formed head mean together. If there are several faults, the
    /// first in this order counts: `Host`, framing, expectation.
    #[inline(always)]
    fn judge(&mut self, head: &[u8]) -> Result<(), Reject> {
        let version = self.line.version;
        let (mut host, mut has_others) = (None, false);
        for span in &self.spans {
            // The length tells nearly all names apart.
            match span.name_len {
                // HTTP/1.1 requires one `Host`, and no version allows two (RFC 9112, section 3.2).
                4 if span.is_host(head) && host.is_some() => return Err(Reject::Host),
                4 if span.is_host(head) => host = Some(span),
                6 if span.is_named(head, "expect") => has_others = true,
                10 if span.is_named(head, "connection") => has_others = true,
                14 if span.is_named(head, "content-length") => has_others = true,
                17 if span.is_named(head, "transfer-encoding") => has_others = true,
                _ => {}
            }
        }
        check_host(host.map(|host| host.value(head)), version)?;
        self.framing = Framing::Length(0);
        self.line.content_length = Some(0);
        self.expects_continue = false;
        self.peer_keeps = kept_by_default(version);
        // The usual request has none of them. Saves 122 of 851 instructions per pipelined GET.
        if has_others {
            self.judge_others(head)?;
        }
        Ok(())
    }

    /// Decides what the fields about content and the connection mean.
    fn judge_others(&mut self, head: &[u8]) -> Result<(), Reject> {
        let version = self.line.version;
        let transfer_encoding = FieldCount::find(head, &self.spans, "transfer-encoding");
        let content_length = FieldCount::find(head, &self.spans, "content-length");
        self.framing = framing::incoming(version, transfer_encoding, content_length)?;
        self.line.content_length = match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        // An HTTP/1.0 peer cannot expect `100 Continue`, and without content there is nothing to
        // continue (RFC 9110, section 10.1.1).
        self.expects_continue = check_expectations(head, &self.spans)?
            && version == Version::Http11
            && self.line.content_length != Some(0);
        self.peer_keeps = peer_keeps(head, &self.spans, version);
        Ok(())
    }
}

/// Checks `Host`. HTTP/1.1 requires it, even if the target is absolute; it may be empty (RFC 9112,
/// section 3.2).
#[inline(always)]
fn check_host(host: Option<&[u8]>, version: Version) -> Result<(), Reject> {
    let is_good = match host {
        None => version == Version::Http10,
        Some(host) => host.is_empty() || is_authority(host),
    };
    is_good.then_some(()).ok_or(Reject::Host)
}

/// Returns whether `100-continue` is expected. Any other expectation is refused.
fn check_expectations(head: &[u8], spans: &[FieldSpan]) -> Result<bool, Reject> {
    let mut expects = false;
    for span in spans.iter().filter(|span| span.is_named(head, "expect")) {
        for member in list_members(span.value(head)) {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(Reject::Expectation);
            }
            expects = true;
        }
    }
    Ok(expects)
}

/// Returns what HTTP of this version means by saying nothing (RFC 9112, section 9.3).
fn kept_by_default(version: Version) -> PeerKeeps {
    match version {
        Version::Http10 => PeerKeeps::No,
        Version::Http11 => PeerKeeps::ByDefault,
    }
}

/// Returns what the `Connection` fields ask for. `close` wins over `keep-alive`, wherever it stands.
fn peer_keeps(head: &[u8], spans: &[FieldSpan], version: Version) -> PeerKeeps {
    let mut keeps = kept_by_default(version);
    for span in spans.iter().filter(|span| span.is_named(head, "connection")) {
        for member in list_members(span.value(head)) {
            if member.eq_ignore_ascii_case(b"close") {
                return PeerKeeps::No;
            }
            if member.eq_ignore_ascii_case(b"keep-alive") {
                keeps = PeerKeeps::Asked;
            }
        }
    }
    keeps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::fields::{is_token_byte, Fields};

    const LIMITS: HeadLimits =
        HeadLimits { head_bytes_max: 16 << 10, target_bytes_max: 8 << 10, fields_max: 100 };

    fn parse_whole(input: &[u8]) -> Result<Option<Head>, Reject> {
        let mut head = Head::new();
        let is_complete = head.parse(input, Scan::new(), &LIMITS)?.is_none();
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

    /// Otherwise the response would depend on how the head is cut. The test damages valid heads.
    #[test]
    fn the_fast_path_and_the_scanner_give_the_same_result_for_damaged_heads() {
        let good: [&[u8]; 5] = [
            b"GET /a%2fb%c3%a4?b HTTP/1.1\r\nHost: a\r\nX-Y:  z \t\r\nEmpty:\r\n\r\n",
            b"\r\nPOST /p HTTP/1.0\r\nContent-Length: 5\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\nexpect: 100-continue\r\n\r\n",
            b"PUT http://a/p?q HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n",
        ];
        let damage = b"\r\n \t\0:/a1.\x7f\x80\xff\"";
        for head in good {
            assert!(parse_whole(head).unwrap().is_some());
            for at in 0..head.len() {
                for &byte in damage {
                    let (mut changed, mut inserted) = (head.to_vec(), head.to_vec());
                    changed[at] = byte;
                    inserted.insert(at, byte);
                    let mut removed = head.to_vec();
                    removed.remove(at);
                    for input in [changed, inserted, removed] {
                        assert_parsed_alike(&input);
                    }
                }
            }
        }
    }

    #[test]
    fn every_token_is_a_method_for_the_fast_path_and_the_scanner() {
        for byte in 0..=255 {
            let input = [b"G", &[byte][..], b" / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            assert_parsed_alike(&input);
            assert_eq!(parse_whole(&input).is_ok(), is_token_byte(byte), "{byte}");
        }
    }

    /// The fast path takes a limited number of field lines, and a `Head` is reused.
    #[test]
    fn heads_with_any_number_of_field_lines_are_parsed_alike() {
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
            let whole = head.parse(&input, Scan::new(), &LIMITS).map(|scan| scan.is_none());
            assert_eq!(whole, if count == 0 { Err(Reject::Host) } else { Ok(true) }, "{count}");
            if count > 0 {
                assert_eq!((head.len, head.spans.len()), (input.len() - 4, count), "{count}");
                let fields = Fields::new(&input, &head.spans);
                assert_eq!(fields.get("host"), Some("a"));
                assert_eq!(fields.all("x").filter(|value| *value == b"a b").count(), count / 4);
            }
            let twice = [&input[..input.len() - 6], b"Host: b\r\n\r\n"].concat();
            let verdict = match count {
                0 => Ok(true),
                100 => Err(Reject::TooManyFields),
                _ => Err(Reject::Host),
            };
            assert_eq!(
                head.parse(&twice, Scan::new(), &LIMITS).map(|scan| scan.is_none()),
                verdict,
                "{count}"
            );
            for at in 0..count {
                let line_end = |bytes: &[u8]| bytes.windows(2).position(|pair| pair == b"\r\n");
                let lf = (0..=at).fold(0, |from, _| from + line_end(&input[from..]).unwrap() + 2);
                let mut bare = input.clone();
                bare.remove(lf - 2);
                let verdict = head.parse(&bare, Scan::new(), &LIMITS).map(|scan| scan.is_none());
                assert!(verdict.is_err(), "{count} {at}");
            }
        }
    }

    /// An empty value has no place of its own: the position of its name stands for it.
    #[test]
    fn an_empty_value_is_kept_wherever_its_line_stands() {
        let mut head = Head::new();
        for count in (1..=70).chain([3, 99, 5, 64, 65]) {
            for empty in 0..count {
                let line = |at| if at == empty { "E:\r\n" } else { "A: b\r\n" };
                let lines: String = (0..count).map(line).collect();
                let input = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes();
                for scan in [Scan::new(), begun(&input)] {
                    let progress = head.parse(&input, scan, &LIMITS);
                    assert_eq!(progress.map(|scan| scan.is_none()), Ok(true), "{count} {empty}");
                    let fields = Fields::new(&input, &head.spans);
                    assert_eq!(fields.get_bytes("e"), Some(&b""[..]), "{count} {empty}");
                    assert_eq!(fields.all("a").filter(|value| *value == b"b").count(), count - 1);
                }
            }
        }
    }

    /// The progress after the first byte of `input`: the rest goes to the scanner.
    fn begun(input: &[u8]) -> Scan {
        Head::new().parse(&input[..1], Scan::new(), &LIMITS).unwrap().unwrap()
    }

    /// The limits hold for every kind of request line, whether a head comes whole or in bytes.
    #[test]
    fn each_limit_of_a_head_holds_to_the_byte_for_every_form_of_target() {
        let limits = HeadLimits { head_bytes_max: 256, target_bytes_max: 40, fields_max: 3 };
        let verdict = |input: &str| {
            let input = input.as_bytes();
            let whole = Head::new().parse(input, Scan::new(), &limits);
            let (mut scan, mut head) = (Scan::new(), Head::new());
            let by_bytes = (1..=input.len()).find_map(|end| {
                let progress = head.parse(&input[..end], scan, &limits);
                progress.map(|further| further.map(|further| scan = further)).map_or_else(
                    |reject| Some(Err(reject)),
                    |further| further.is_none().then_some(Ok(())),
                )
            });
            let whole = whole.map(|scan| assert!(scan.is_none(), "the head is complete"));
            assert_eq!(by_bytes, Some(whole), "{}", String::from_utf8_lossy(input));
            whole
        };
        for (method, start, end) in [
            ("GET", "/", ""),
            ("POST", "/", ""),
            ("GET", "/?", ""),
            ("GET", "/%41", ""),
            ("GET", "http://h/", ""),
            ("GET", "http://h?", ""),
            ("PUT", "https://", ""),
            ("CONNECT", "", ":443"),
            ("CONNECT", "", ":1"),
        ] {
            let line = |len: usize| {
                let filling = "a".repeat(len - start.len() - end.len());
                format!("{method} {start}{filling}{end} HTTP/1.1\r\n")
            };
            let head = |line: &str, lines: &str| format!("{line}Host: a\r\n{lines}\r\n");
            assert_eq!(verdict(&head(&line(40), "")), Ok(()), "{method} {start}");
            let longer = verdict(&head(&line(41), ""));
            assert_eq!(longer, Err(Reject::TargetTooLong), "{method} {start}");
            for line in [line(40), format!("\r\n{}", line(40))] {
                let around = head(&line, "X: \r\n").len();
                let of_len =
                    |len: usize| head(&line, &format!("X: {}\r\n", "y".repeat(len - around)));
                assert_eq!(verdict(&of_len(256)), Ok(()), "{method} {start}");
                assert_eq!(verdict(&of_len(257)), Err(Reject::HeadTooLarge), "{method} {start}");
                assert_eq!(verdict(&head(&line, "A: b\r\nA:\r\n")), Ok(()));
                let more = verdict(&head(&line, "A: b\r\nA:\r\nA: c\r\n"));
                assert_eq!(more, Err(Reject::TooManyFields), "{method} {start}");
            }
        }
        let method = |len: usize| format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(len));
        assert_eq!(verdict(&method(32)), Ok(()));
        assert_eq!(verdict(&method(33)), Err(Reject::MethodTooLong));
    }

    #[test]
    fn all_connection_fields_together_decide_about_persistence() {
        use PeerKeeps::*;
        for (version, lines, keeps) in [
            ("1.1", "", ByDefault),
            ("1.0", "", No),
            ("1.0", "Connection: Keep-Alive\r\n", Asked),
            ("1.1", "Connection: x, Keep-Alive\r\n", Asked),
            ("1.1", "connection: close\r\n", No),
            ("1.1", "Connection: close, keep-alive\r\n", No),
            ("1.0", "Connection: keep-alive\r\nConnection: x, close\r\n", No),
            ("1.0", "Connection: x\r\nConnection: keep-alive\r\n", Asked),
            ("1.0", "Connection: keep-alived\r\n", No),
            ("1.1", "Connection: keep-alived\r\n", ByDefault),
        ] {
            let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
            let head = parse_whole(input.as_bytes()).unwrap().unwrap();
            assert_eq!(head.peer_keeps, keeps, "{input:?}");
        }
    }

    fn assert_parsed_alike(input: &[u8]) {
        let whole = parse_whole(input).map(|head| head.map(|head| describe(input, &head)));
        assert_eq!(whole, by_bytes(input), "{:?}", String::from_utf8_lossy(input));
    }

    fn by_bytes(input: &[u8]) -> Result<Option<String>, Reject> {
        let (mut scan, mut head) = (Scan::new(), Head::new());
        for end in 0..=input.len() {
            match head.parse(&input[..end], scan, &LIMITS)? {
                None => return Ok(Some(describe(input, &head))),
                Some(further) => scan = further,
            }
        }
        Ok(None)
    }

    /// The parts of a head, without the positions of empty values.
    fn describe(input: &[u8], head: &Head) -> String {
        let Head { line, spans, decoded, framing, peer_keeps, expects_continue, len } = head;
        let fields = Fields::new(input, spans);
        let path = if line.has_escapes { decoded } else { "" };
        format!("{line:?} {path} {fields:?} {framing:?} {peer_keeps:?} {expects_continue} {len}")
    }
}
