//! A second reader of HTTP/1.1 requests, written from the text of RFC 9110, RFC 9112 and RFC 3986
//! and not from the server: slow, without state between calls, one function for each rule of the
//! grammar. The [differential](super::differential) tests and the fuzz targets compare the server
//! with it.
//!
//! Where an RFC leaves a choice, this reader accepts. Each point at which the server is stricter,
//! wider, or gives another status is an entry of [`differences`] with its section, and nothing else
//! in this folder knows the server. A disagreement that has no entry is a fault of one of the two.
//!
//! | file | rules |
//! |---|---|
//! | [`reader`] | RFC 5234, appendix B; RFC 9110, section 5.6: bytes, tokens, lists |
//! | [`head`] | RFC 9112, sections 2 to 6 and 9: request line, field lines, their meaning |
//! | [`uri`] | RFC 9112, section 3.2; RFC 3986, section 3: targets and hosts |
//! | [`chunked`] | RFC 9112, section 7.1 |
//! | [`response`] | RFC 9112, sections 4 and 6: a response as a careful client reads it |

mod chunked;
pub(crate) mod differences;
mod head;
mod reader;
pub(crate) mod response;
mod uri;

use self::differences::Differences;
use self::head::{Framing, Head};
use self::reader::Reader;
pub(crate) use self::reader::Stop;

/// The limits that the server was given; each is explained in `wheelhouse::Limits`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) head_bytes_max: usize,
    pub(crate) target_bytes_max: usize,
    pub(crate) fields_max: usize,
}

impl HeadLimits {
    pub(crate) fn of(limits: &wheelhouse::Limits) -> HeadLimits {
        HeadLimits {
            head_bytes_max: limits.head_bytes_max,
            target_bytes_max: limits.target_bytes_max,
            fields_max: limits.fields_max,
        }
    }
}

/// Everything that can be seen of one connection whose requests are all received to their end and
/// get a 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transcript {
    /// One entry for each request whose head was accepted, with its content if that is complete.
    pub(crate) seen: Vec<String>,
    /// `100`, `200 keep`, `400 close`.
    pub(crate) responses: Vec<String>,
    /// Whether the server has ended its side.
    pub(crate) has_ended: bool,
}

/// Reads all requests in `input`. `ends` is whether the client ends its side after it.
pub(crate) fn read(
    mut input: &[u8],
    ends: bool,
    limits: HeadLimits,
    differences: &Differences,
) -> Transcript {
    let mut transcript = Transcript { seen: Vec::new(), responses: Vec::new(), has_ended: false };
    loop {
        let head = match Head::read(input, limits, differences) {
            Ok(head) => head,
            Err(stop) => {
                transcript.stop(stop, ends, has_begun(input));
                return transcript;
            }
        };
        if head.expects_continue {
            transcript.responses.push("100".to_owned());
        }
        let rest = &input[head.len..];
        let content = match head.framing {
            Framing::Length(length) => by_length(rest, length),
            Framing::Chunked => chunked::body(&mut Reader::new(rest, differences)),
        };
        let (content, used) = match content {
            Ok(content) => content,
            Err(stop) => {
                transcript.seen.push(format!("{} ...", head.saw));
                transcript.stop(stop, ends, true);
                return transcript;
            }
        };
        transcript.seen.push(match content.is_empty() {
            true => head.saw,
            false => format!("{} \"{}\"", head.saw, content.escape_ascii()),
        });
        transcript.responses.push(if head.keeps { "200 keep" } else { "200 close" }.to_owned());
        if !head.keeps {
            transcript.has_ended = true;
            return transcript;
        }
        input = &rest[used..];
    }
}

/// RFC 9112, section 6.3, rule 6.
fn by_length(rest: &[u8], length: u128) -> Result<(Vec<u8>, usize), Stop> {
    match usize::try_from(length) {
        Ok(length) if length <= rest.len() => Ok((rest[..length].to_vec(), length)),
        _ => Err(Stop::End),
    }
}

/// Whether anything but an empty line has come: before that, the end of the connection cuts no
/// request short.
fn has_begun(input: &[u8]) -> bool {
    !matches!(input, b"" | b"\r" | b"\r\n")
}

impl Transcript {
    /// Ends the transcript where a request is malformed or incomplete (RFC 9112, section 8).
    fn stop(&mut self, stop: Stop, ends: bool, has_begun: bool) {
        let status = match stop {
            Stop::Fault(status) => status,
            Stop::End if ends && has_begun => 400,
            Stop::End => {
                self.has_ended = ends;
                return;
            }
        };
        self.responses.push(format!("{status} close"));
        self.has_ended = true;
    }
}
