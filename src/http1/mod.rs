//! HTTP/1.1 on the wire (RFC 9110 and 9112), pure: bytes in, requests out, answers in, bytes
//! out. No socket, clock, token or handler is known here, so all of it is tested in memory.
//!
//! # The life of a connection
//!
//! | state | owns | wants | deadline | leaves when |
//! |---|---|---|---|---|
//! | `Rest::New` | nothing | input | head, from the accept | a byte: Head · end of input, expiry: Closed |
//! | `Rest::Idle` | nothing | input | idle | a byte: Head · end of input, expiry: Closed |
//! | `Head` | how far it was scanned | input | head, in total | complete: Exchange · refused, cut short, expired: Linger · the same before its first line: Closed |
//! | `Exchange`, inbound | the decoder | input, if the handler or the discard takes it | content, by rate | content complete · refused, cut short, expired: Linger while no answer has begun, else Closed |
//! | `Exchange`, outbound | what is left to send | room | response, by rate (the reactor's) | content sent; then Idle or Linger |
//! | `Exchange`, the program works | nothing | nothing | handler | an answer given later, or a 504 instead: then as above · a pause that ends · a pause expired: 504, Linger |
//! | `Upgraded` | nothing: bytes are a protocol's | input | the protocol's own | the protocol closes: Linger · it is handed out |
//! | `Rest::Linger` | a byte count | input, to drop it | linger, quiet and total | end of input, too much of it, or expiry: Closed |
//! | `Rest::Closed` | nothing | nothing | none | never |
//!
//! ```text
//!            first byte          head complete          both halves done, reuse
//!   New ───────────────► Head ────────────────► Exchange ───────────────► Idle
//!    │                    ▲ │                      │                       │ │
//!    │                    │ │ refused              │ refused, or close     │ │
//!    │                    │ ▼                      ▼                       │ │
//!    │                    │ Linger ◄───────────────┘                       │ │
//!    │                    │   │                                first byte   │ │
//!    │                    └───┼────────────────────────────────────────────┘ │
//!    └──── end, expiry ───────┴──────► Closed ◄───────── end, expiry ────────┘
//! ```
//!
//! An exchange may also end in `Upgraded`, from where it is `Linger` or the connection is handed out.
//! A head that comes whole passes through `Head` without a stop. What ends by the end of input or
//! by expiry and cannot be told so is a [`Farewell`] to the reactor, which closes or resets.
//!
//! The usual exchange, a request without content and a small answer at hand, is made in one step
//! (`Connection::answer_at_once`): the same decisions, without the state in between.
//!
//! Go's `ConnState` in these words: New is `Rest::New`; Active begins with the first byte of a
//! head (in Go with the last one, so that who is slow with it looks idle) and lasts through
//! `Exchange` and `Linger`; Idle is `Rest::Idle`; Hijacked is `Upgraded`; Closed is `Rest::Closed`.
//!
//! # Where the RFC is
//!
//! | RFC 9112 | file |
//! |---|---|
//! | 2 to 5: a head, and what its parts mean together | [`head`] |
//! | 2 to 5: request line and field lines, in one pass | [`split`] |
//! | 2 to 5: the same, byte by byte | [`scan`], [`field_lines`] |
//! | 3.2: target, Host | [`target`] |
//! | 6: how long content is | [`framing`] |
//! | 7.1: chunks | [`chunked`], [`trailer_section`] |
//! | 9.3: reuse or close | [`persistence`] |
//! | 4, 5: responses as bytes | [`encode`], [`last_head`] |
//! | each refusal and its status | [`reject`] |

mod connection;
mod answering;
mod exchange;
mod scan;
mod head;
mod split;
mod field_lines;
mod target;
mod framing;
mod chunked;
mod trailer_section;
mod persistence;
mod encode;
mod last_head;
mod reject;

pub(crate) use chunked::{CHUNK_ROOM, LAST_CHUNK};
pub(crate) use connection::{Connection, Deadline, Farewell, Rest, Settled};
pub(crate) use encode::{Content, DateLine, Encoder};
pub(crate) use exchange::{Answer, Circumstances, Step};
pub(crate) use head::Head;
pub(crate) use persistence::CloseReason;
pub(crate) use reject::Reject;
pub(crate) use trailer_section::TrailerSection;

/// The limits of a head; each is explained in [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) head_bytes_max: usize,
    pub(crate) target_bytes_max: usize,
    pub(crate) fields_max: usize,
}
