//! Every point in which the server differs from the reader of this folder, which accepts all that
//! the RFCs allow a server to accept. Each has the section that it is about, the reason, and an
//! input that shows it: the [differential](super::super::differential) tests check that each entry
//! is necessary, and that no other difference exists.

/// A point of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    HeadTooLarge,
    TooManyFields,
    MethodTooLong,
    TargetTooLong,
    AsteriskForAnyMethod,
    PathBytes,
    QueryBytes,
    OtherScheme,
    CommaInHost,
    PercentInHost,
    EmptyHostWithPort,
    LargePort,
    FutureAddress,
    AddressWithZone,
    CodingAndLength,
    RepeatedLength,
    LongLength,
    ListOfCodings,
    UnknownCoding,
    OtherExpectation,
    SpaceInChunkLine,
    LongChunkSize,
    LongChunkLine,
    ChunkOverhead,
    LongTrailerSection,
}

/// How the server differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It refuses requests that the RFC allows to accept.
    Stricter,
    /// It accepts requests that no rule of the grammar matches.
    Wider,
    /// It refuses them, too, with another status.
    OtherStatus,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) difference: Difference,
    pub(crate) effect: Effect,
    /// The section of an RFC that has the rule, or allows the choice.
    pub(crate) section: &'static str,
    pub(crate) reason: &'static str,
    /// An input that is read in another way without this row: pieces, and how often each comes.
    pub(crate) example: &'static [(&'static str, usize)],
}

const HOST: &str = "Host: a\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

use Difference::*;
use Effect::*;

#[rustfmt::skip]
pub(crate) const TABLE: [Row; 25] = [
    Row {
        difference: HeadTooLarge,
        effect: Stricter,
        section: "RFC 9110, 5.4; RFC 6585, 5",
        reason: "a head has a bound, `head_bytes_max`; a longer one gets a 431",
        example: &[("GET / HTTP/1.1\r\nHost: a\r\nX: ", 1), ("y", 20_000), ("\r\n\r\n", 1)],
    },
    Row {
        difference: TooManyFields,
        effect: Stricter,
        section: "RFC 9110, 5.4; RFC 6585, 5",
        reason: "a head has at most `fields_max` lines; one with more gets a 431",
        example: &[("GET / HTTP/1.1\r\nHost: a\r\n", 1), ("X: y\r\n", 100), ("\r\n", 1)],
    },
    Row {
        difference: MethodTooLong,
        effect: Stricter,
        section: "RFC 9112, 3",
        reason: "a method longer than any that the server knows gets a 501, as recommended",
        example: &[("M", 33), (" / HTTP/1.1\r\nHost: a\r\n\r\n", 1)],
    },
    Row {
        difference: TargetTooLong,
        effect: Stricter,
        section: "RFC 9112, 3",
        reason: "a target has a bound, `target_bytes_max`; a longer one gets a 414, as required",
        example: &[("GET /", 1), ("t", 8192), (" HTTP/1.1\r\nHost: a\r\n\r\n", 1)],
    },
    Row {
        difference: AsteriskForAnyMethod,
        effect: Wider,
        section: "RFC 9112, 3.2.4",
        reason: "NOTIFY and M-SEARCH of UPnP use the target *, too; the handler sees it as it is",
        example: &[("NOTIFY * HTTP/1.1\r\n", 1), (HOST, 1), ("\r\n", 1)],
    },
    Row {
        difference: PathBytes,
        effect: Wider,
        section: "RFC 3986, 3.3",
        reason: "clients send all visible bytes but # and the backslash in a path without escapes, as \
            Go and nginx accept them, and no part of the server gives them a meaning",
        example: &[("GET /a|b[1]\"<{^`}> HTTP/1.1\r\n", 1), (HOST, 1), ("\r\n", 1)],
    },
    Row {
        difference: QueryBytes,
        effect: Wider,
        section: "RFC 3986, 3.4",
        reason: "clients send all visible bytes but # in a query, and a lone % as well",
        example: &[("GET /?a=\"<{b}>\"^`\\|%zz HTTP/1.1\r\n", 1), (HOST, 1), ("\r\n", 1)],
    },
    Row {
        difference: OtherScheme,
        effect: Stricter,
        section: "RFC 9112, 3.2.2",
        reason: "the server is not a proxy: it serves http and https, and no authority of another \
            scheme",
        example: &[("GET ftp://b/c HTTP/1.1\r\n", 1), (HOST, 1), ("\r\n", 1)],
    },
    Row {
        difference: CommaInHost,
        effect: Stricter,
        section: "RFC 9110, 7.2; RFC 3986, 3.2.2",
        reason: "a comma is the sign of two `Host` lines that a proxy has merged",
        example: &[("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 1)],
    },
    Row {
        difference: PercentInHost,
        effect: Wider,
        section: "RFC 3986, 3.2.2",
        reason: "escapes in a name are not decoded, so a broken one has no second reading",
        example: &[("GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 1)],
    },
    Row {
        difference: EmptyHostWithPort,
        effect: Stricter,
        section: "RFC 9110, 4.2.1",
        reason: "a port without a host names nothing",
        example: &[("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 1)],
    },
    Row {
        difference: LargePort,
        effect: Stricter,
        section: "RFC 3986, 3.2.3",
        reason: "the largest port is 65,535",
        example: &[("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 1)],
    },
    Row {
        difference: FutureAddress,
        effect: Stricter,
        section: "RFC 3986, 3.2.2",
        reason: "no version of IP after 6 exists",
        example: &[("GET / HTTP/1.1\r\nHost: [v7.a]\r\n\r\n", 1)],
    },
    Row {
        difference: AddressWithZone,
        effect: Wider,
        section: "RFC 6874, 2",
        reason: "clients on one link send the zone of an address",
        example: &[("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 1)],
    },
    Row {
        difference: CodingAndLength,
        effect: Stricter,
        section: "RFC 9112, 6.1 and 6.3, rule 3",
        reason: "both together are the commonest way to smuggle a request; a server may reject them",
        example: &[(POST, 1), ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 1),
            ("0\r\n\r\n", 1)],
    },
    Row {
        difference: RepeatedLength,
        effect: Stricter,
        section: "RFC 9110, 8.6; RFC 9112, 6.3, rule 5",
        reason: "equal lengths may be taken for one or rejected; another server may see one of them",
        example: &[(POST, 1), ("Content-Length: 1, 1\r\n\r\nx", 1)],
    },
    Row {
        difference: LongLength,
        effect: Stricter,
        section: "RFC 9110, 8.6",
        reason: "a length has at most 19 digits and is below 2^63, so no arithmetic can overflow",
        example: &[(POST, 1), ("Content-Length: 00000000000000000001\r\n\r\nx", 1)],
    },
    Row {
        difference: ListOfCodings,
        effect: OtherStatus,
        section: "RFC 9112, 6.1; RFC 9110, 5.6.1.2",
        reason: "a list, also one of `chunked` and nothing, is an attempt to hide the coding from \
            another parser: 400 instead of 501 or 200",
        example: &[(POST, 1), ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 1)],
    },
    Row {
        difference: UnknownCoding,
        effect: OtherStatus,
        section: "RFC 9112, 6.1 and 6.3, rule 4",
        reason: "one coding that the server does not know gets a 501 (6.1), not a 400 (6.3)",
        example: &[(POST, 1), ("Transfer-Encoding: gzip\r\n\r\n", 1)],
    },
    Row {
        difference: OtherExpectation,
        effect: Stricter,
        section: "RFC 9110, 10.1.1",
        reason: "an expectation that the server cannot meet gets a 417, as allowed",
        example: &[("GET / HTTP/1.1\r\nHost: a\r\nExpect: pony\r\n\r\n", 1)],
    },
    Row {
        difference: SpaceInChunkLine,
        effect: Stricter,
        section: "RFC 9112, 7.1.1; RFC 9110, 5.6.3",
        reason: "white space around the parts of a size line is read in different ways by \
            different parsers, and no client in use sends it",
        example: &[(CHUNKED, 1), ("1 ; a = b\r\nx\r\n0\r\n\r\n", 1)],
    },
    Row {
        difference: LongChunkSize,
        effect: Stricter,
        section: "RFC 9112, 7.1",
        reason: "a size has at most 16 digits and is below 2^63, so no arithmetic can overflow",
        example: &[(CHUNKED, 1), ("00000000000000001\r\nx\r\n0\r\n\r\n", 1)],
    },
    Row {
        difference: LongChunkLine,
        effect: Stricter,
        section: "RFC 9112, 7.1.1",
        reason: "a size line has at most 256 bytes: a server ought to limit its extensions",
        example: &[(CHUNKED, 1), ("1;", 1), ("e", 255), ("\r\nx\r\n0\r\n\r\n", 1)],
    },
    Row {
        difference: ChunkOverhead,
        effect: Stricter,
        section: "RFC 9112, 7.1.1",
        reason: "size lines have 16 KiB more than the content pays for: tiny chunks with long \
            extensions cost more than they carry",
        example: &[(CHUNKED, 1), ("1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n", 800),
            ("0\r\n\r\n", 1)],
    },
    Row {
        difference: LongTrailerSection,
        effect: Stricter,
        section: "RFC 9112, 7.1.2; RFC 9110, 6.5.1",
        reason: "a trailer section has at most 64 lines and 4 KiB",
        example: &[(CHUNKED, 1), ("0\r\n", 1), ("A: b\r\n", 65), ("\r\n", 1)],
    },
];

impl Row {
    pub(crate) fn input(&self) -> Vec<u8> {
        let pieces = self.example.iter().map(|(piece, times)| piece.repeat(*times));
        pieces.collect::<String>().into_bytes()
    }
}

/// A set of points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Differences(u32);

impl Differences {
    /// The differences of the server: all in the table.
    pub(crate) fn all() -> Differences {
        Differences(u32::MAX)
    }

    pub(crate) fn without(difference: Difference) -> Differences {
        Differences(!(1 << difference as u32))
    }

    pub(crate) fn has(&self, difference: Difference) -> bool {
        self.0 & 1 << difference as u32 != 0
    }
}
