//! HTTP/1.1 on the wire (RFC 9110 and 9112), pure: bytes in, requests out, responses in, bytes
//! out. No socket, clock, token or handler appears here, so all of it is tested in memory.
//!
//! # The life of a connection
//!
//! | state | owns | wants | deadline | leaves when |
//! |---|---|---|---|---|
//! | `Rest::New` | nothing | input | head, from the accept | a byte: Head · end of input, expiry: Closed |
//! | `Rest::Idle` | nothing | input | idle, or the age of the connection | a byte: Head · end of input, expiry: Closed |
//! | `Head` | the progress of its scan | input | head, in total | complete: Exchange · refused, cut short, expired: Ending · the same before its first byte: Closed |
//! | `Exchange`, inbound | the decoder | input, if the handler or the discard takes it | content, by rate | content complete · refused, cut short, expired: Ending while no response has begun, else Closed |
//! | `Exchange`, outbound | the rest of the content | room | response, by rate (the reactor's) | content sent; then Idle or Ending |
//! | `Exchange`, the program works | nothing | nothing | handler | a response given later, or a 504 instead: then as above · a pause that ends · a pause expired: 504, Ending |
//! | `Upgraded` | nothing: its bytes belong to a protocol | input | the protocol's own | the protocol closes: Ending · it is handed out |
//! | `Rest::Ending` | whether it is clean | room | response, by rate (the reactor's) | all output has left: Closed if it is clean, else Linger |
//! | `Rest::Linger` | a byte count, its end, whether it is clean | input, to drop it | linger, quiet and total | end of input, too much of it, or expiry: Closed |
//! | `Rest::Closed` | nothing | nothing | none | never |
//!
//! ```text
//!            first byte          head complete          both halves done, reuse
//!   New ───────────────► Head ────────────────► Exchange ───────────────► Idle
//!    │                    ▲ │                      │                       │ │
//!    │                    │ │ refused              │ refused, or close     │ │
//!    │                    │ ▼                      ▼                       │ │
//!    │                    │ Ending ◄───────────────┘           first byte  │ │
//!    │                    └───┼────────────────────────────────────────────┘ │
//!    │                        │ output has left                              │
//!    │                        ├──────► Linger                                │
//!    │                        ▼           ▼                                  │
//!    └──── end, expiry ──────────────► Closed ◄──────── end, expiry ─────────┘
//! ```
//!
//! An exchange may also end in `Upgraded`, from where it is `Ending` or the connection is handed
//! out. A head that comes whole passes through `Head` without a stop. Where the end of input or an
//! expiry ends a connection and no status can be sent, the reactor gets a [`Farewell`] and closes
//! or resets the connection.
//!
//! # The seam
//!
//! The reactor drives a [`Connection`] with few calls. Four questions: [`rest`](Connection::rest),
//! [`input`](Connection::input), [`output`](Connection::output) and
//! [`has_all_content`](Connection::has_all_content). Bytes in:
//! [`receive_head`](Connection::receive_head), [`begin`](Connection::begin),
//! [`receive`](Connection::receive), [`end_of_input`](Connection::end_of_input),
//! [`expire`](Connection::expire). A response out: [`respond`](Connection::respond), then
//! [`content_room`](Connection::content_room), [`frame`](Connection::frame),
//! [`end_content`](Connection::end_content); or [`refuse`](Connection::refuse). Then
//! [`settle`](Connection::settle), and the next request. The other methods are for special cases:
//! informational responses, shared bytes and files, a taker that changes, upgrades, lingering.
//!
//! The usual exchange, a request without content and a small response at hand, is made in one step
//! ([`respond_fast`](Connection::respond_fast)): the same decisions, without the states in between.
//!
//! Go's `ConnState` in these words: New is `Rest::New`; Active begins with the first byte of a head
//! (in Go with the last one, so that a client that is slow with it looks idle) and lasts through
//! `Exchange`, `Ending` and `Linger`; Idle is `Rest::Idle`; Hijacked is `Upgraded`; Closed is
//! `Rest::Closed`.
//!
//! # Where the RFC is
//!
//! | RFC 9112 | file |
//! |---|---|
//! | 2 to 5: a head, and what its parts mean together | [`head`] |
//! | 2 to 5: request line and field lines, in one pass | [`split`] |
//! | 2 to 5: the same, byte by byte | [`scan`], [`field_scan`] |
//! | 3.2: target, Host | [`target`] |
//! | 6: how long content is | [`framing`] |
//! | 7.1: chunks | [`chunked`], [`trailer_section`] |
//! | 9.3: reuse or close | [`persistence`] |
//! | 4, 5: responses as bytes | [`response_head`], [`encode`], [`last_head`] |
//! | each refusal and its status | [`reject`] |

mod connection;
mod responding;
mod exchange;
mod scan;
mod head;
mod split;
mod field_scan;
mod target;
mod framing;
mod chunked;
mod trailer_section;
mod persistence;
mod response_head;
mod encode;
mod last_head;
mod reject;

pub(crate) use chunked::{CHUNK_ROOM, LAST_CHUNK};
pub(crate) use connection::{Connection, Farewell, HeadProgress, Linger, Output, Rest};
pub(crate) use encode::{DateLine, Encoder};
pub(crate) use exchange::{Input, ResponseParts, Step, Taker};
pub(crate) use framing::Outgoing;
pub(crate) use head::Head;
pub(crate) use persistence::{Circumstances, CloseReason};
pub(crate) use reject::Reject;
pub(crate) use response_head::Content;
pub(crate) use trailer_section::TrailerSection;

/// The limits of a head; each is explained in [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) head_bytes_max: usize,
    pub(crate) target_bytes_max: usize,
    pub(crate) fields_max: usize,
}
