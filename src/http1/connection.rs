//! The state machine of one connection: the table in [`http1`](super) as an enum, and one arm
//! per row wherever it is asked something.
//!
//! It sees bytes and answers, nothing else: no socket, no clock, no handler. States go in and
//! out by value and own their data, so leaving one drops it and nothing is ever reset. Here is what
//! comes in and what follows; what goes out is in [`answering`](super::answering).

use crate::http1::encode;
use crate::http1::exchange::{Exchange, Inbound, Outbound, Step};
use crate::http1::head::Head;
use crate::http1::persistence::Then;
use crate::http1::scan::Scan;
use crate::http1::{HeadLimits, Reject};

/// One connection, as the protocol sees it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) state: State,
}

// A tag of its own is larger and quicker to tell than one that hides in a niche; asked often,
// and kept only while there is work.
#[repr(u8)]
#[derive(Debug)]
pub(super) enum State {
    Rest(Rest),
    Head(Scan),
    Exchange(Exchange),
    Upgraded(Upgraded),
}

/// HTTP is over: bytes belong to whoever the connection was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgraded {
    /// A protocol takes what comes.
    Spoken,
    /// The peer has ended its side; the protocol may still speak.
    Ended,
    /// Nothing more is read: it is handed out when all output has left.
    HandedOut,
}

/// The states that own nothing: all that a connection without work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Accepted, and silent so far.
    New,
    /// Between two requests.
    Idle,
    /// Answered for the last time: what still comes is read and dropped, at most this much, so
    /// that no reset destroys the answer (RFC 9112, section 9.6).
    Linger(u32),
    /// Over.
    Closed,
}

/// What a deadline is for; `None` where the answer has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    None,
    Head,
    Idle,
    Content,
    /// The program works on an answer, or has paused the content.
    Handler,
    Linger,
    /// The protocol's own.
    Upgraded,
}

/// How a connection ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// An ordinary close.
    Close,
    /// A reset: the peer must not take what it got for the whole.
    Reset,
}

/// How an exchange ended, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Not,
    Idle,
    /// The answer was the last one.
    Last {
        has_all_content: bool,
    },
}

impl Connection {
    #[inline(always)]
    pub(crate) fn resume(rest: Rest) -> Connection {
        Connection { state: State::Rest(rest) }
    }

    /// The state, if it is one that owns nothing.
    #[inline(always)]
    pub(crate) fn rest(&self) -> Option<Rest> {
        match self.state {
            State::Rest(rest) => Some(rest),
            State::Head(_) | State::Exchange(_) | State::Upgraded(_) => None,
        }
    }

    /// Whether a head is what comes next.
    #[inline(always)]
    pub(crate) fn awaits_head(&self) -> bool {
        matches!(self.state, State::Rest(Rest::New | Rest::Idle) | State::Head(_))
    }

    /// Parses the head at the start of `input`; `false` if it is not complete: then it comes
    /// again, with more behind it. A complete one fills `head`, and must be answered with
    /// [`answer_at_once`](Connection::answer_at_once) or after [`begin`](Connection::begin).
    ///
    /// # Errors
    ///
    /// The refusal that must be sent with [`refuse`](Connection::refuse), before anything else.
    #[inline(always)]
    pub(crate) fn receive_head(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        head: &mut Head,
    ) -> Result<bool, Reject> {
        let mut scan = match self.state {
            State::Head(scan) => scan,
            _ if input.is_empty() => return Ok(false),
            _ => Scan::new(),
        };
        let is_complete = head.parse(input, &mut scan, limits)?;
        if !is_complete {
            self.state = State::Head(scan);
        }
        Ok(is_complete)
    }

    /// Whether part of a head has come: more than the empty line that may be before it.
    pub(crate) fn has_begun_head(&self) -> bool {
        matches!(&self.state, State::Head(scan) if scan.has_begun())
    }

    /// Begins the exchange of a request whose head has been received.
    pub(crate) fn begin(&mut self, head: &Head) {
        self.state = State::Exchange(Exchange::begin(head));
    }

    /// Takes bytes from the start of `input`; says how many and what was found. Not for heads.
    ///
    /// # Errors
    ///
    /// The refusal that must be sent with [`refuse`](Connection::refuse) if
    /// [`can_refuse`](Connection::can_refuse), before anything else.
    pub(crate) fn receive(&mut self, input: &[u8]) -> Result<(usize, Step), Reject> {
        match &mut self.state {
            State::Exchange(exchange) => exchange.receive(input),
            State::Rest(Rest::Linger(left)) => {
                let used = u32::try_from(input.len()).unwrap_or(u32::MAX);
                match left.checked_sub(used) {
                    Some(rest) => *left = rest,
                    None => self.state = State::Rest(Rest::Closed),
                }
                Ok((input.len(), Step::More))
            }
            State::Rest(Rest::Closed) => Ok((input.len(), Step::More)),
            State::Rest(Rest::New | Rest::Idle) | State::Head(_) | State::Upgraded(_) => {
                Ok((0, Step::More))
            }
        }
    }

    /// What the end of the peer's side means: `None` if the answer is still sent (a half-close
    /// is no cancellation), else how the connection ends.
    ///
    /// # Errors
    ///
    /// The refusal, where a message was cut short and its answer has not begun.
    pub(crate) fn end_of_input(&mut self) -> Result<Option<Farewell>, Reject> {
        match &mut self.state {
            State::Rest(_) => Ok(Some(Farewell::Close)),
            State::Head(scan) if !scan.has_begun() => Ok(Some(Farewell::Close)),
            State::Head(_) => Err(Reject::CutShort),
            State::Upgraded(upgraded) => {
                if *upgraded == Upgraded::Spoken {
                    *upgraded = Upgraded::Ended;
                }
                Ok(None)
            }
            State::Exchange(exchange) => match (&exchange.inbound, &exchange.outbound) {
                (Inbound::Done, _) => Ok(None),
                (_, Outbound::Awaited) => Err(Reject::CutShort),
                (_, Outbound::Done) => Ok(Some(Farewell::Close)),
                (_, _) => Ok(match exchange.abandon_content() {
                    true => None,
                    false => Some(Farewell::Reset),
                }),
            },
        }
    }

    /// The rest of the content will never be understood. Where the answer has begun and nobody
    /// takes the content, nobody misses it: the answer is finished, and it is the last one, since
    /// nothing can come after. Whether that is so.
    pub(crate) fn abandon_content(&mut self) -> bool {
        match &mut self.state {
            State::Exchange(exchange) => exchange.abandon_content(),
            State::Rest(_) | State::Head(_) | State::Upgraded(_) => false,
        }
    }

    /// What the passing of the deadline means.
    ///
    /// # Errors
    ///
    /// The refusal, where the peer was too slow and can still be told so.
    pub(crate) fn expire(&mut self) -> Result<Farewell, Reject> {
        match &self.state {
            State::Rest(_) => Ok(Farewell::Close),
            State::Head(scan) if !scan.has_begun() => Ok(Farewell::Close),
            State::Head(_) => Err(Reject::HeadTimeout),
            State::Upgraded(_) => Ok(Farewell::Reset),
            State::Exchange(exchange) => match exchange.outbound {
                Outbound::Awaited if !exchange.wants_input() => Err(Reject::HandlerTimeout),
                Outbound::Awaited => Err(Reject::ContentTimeout),
                Outbound::Done => Ok(Farewell::Close),
                _ => Ok(Farewell::Reset),
            },
        }
    }

    /// Which deadline the state has, while no output waits.
    pub(crate) fn deadline(&self) -> Deadline {
        match &self.state {
            State::Rest(Rest::New) | State::Head(_) => Deadline::Head,
            State::Rest(Rest::Idle) => Deadline::Idle,
            State::Exchange(exchange) if exchange.wants_input() => Deadline::Content,
            State::Exchange(exchange) => match exchange.outbound {
                Outbound::Awaited => Deadline::Handler,
                _ => Deadline::None,
            },
            State::Upgraded(_) => Deadline::Upgraded,
            State::Rest(Rest::Linger(_)) => Deadline::Linger,
            State::Rest(Rest::Closed) => Deadline::None,
        }
    }

    /// Whether bytes of the peer are of use now, while no output waits.
    #[inline(always)]
    pub(crate) fn wants_input(&self) -> bool {
        match &self.state {
            State::Rest(Rest::New | Rest::Idle | Rest::Linger(_)) | State::Head(_) => true,
            State::Exchange(exchange) => exchange.wants_input(),
            State::Upgraded(upgraded) => *upgraded == Upgraded::Spoken,
            State::Rest(Rest::Closed) => false,
        }
    }

    /// Whether a request is under way. If input is wanted then, it is content and read in larger
    /// pieces than a head.
    #[inline(always)]
    pub(crate) fn is_in_exchange(&self) -> bool {
        matches!(self.state, State::Exchange(_))
    }

    /// Whether content is complete, or there was none. A pause does not end before it is over.
    #[inline(always)]
    pub(crate) fn has_all_content(&self) -> bool {
        !matches!(&self.state, State::Exchange(exchange) if !matches!(exchange.inbound, Inbound::Done))
    }

    /// The handler takes the content from here on; `100 Continue` goes out if it is waited for.
    pub(crate) fn want_content(&mut self, out: &mut Vec<u8>) {
        let exchange = self.exchange();
        exchange.is_wanted = true;
        if std::mem::take(&mut exchange.asked.continue_pending) {
            out.extend_from_slice(encode::CONTINUE);
        }
    }

    /// The handler was given all of the content, of this length, by another way than
    /// [`receive`](Connection::receive): where it lay in the input.
    pub(crate) fn skip_content(&mut self, length: u64) {
        let inbound = &mut self.exchange().inbound;
        match inbound {
            Inbound::Length(left) => assert_eq!(*left, length, "all content or none"),
            Inbound::Done => assert_eq!(length, 0, "all content or none"),
            Inbound::Chunked(_) => panic!("the length of chunked content is not known"),
        }
        *inbound = Inbound::Done;
    }

    /// The handler takes no content for the time being, or takes it again.
    pub(crate) fn pause_content(&mut self, is_paused: bool) {
        self.exchange().is_paused = is_paused;
    }

    /// Whether content is there, or could be, that the handler does not take at present.
    pub(crate) fn is_paused(&self) -> bool {
        matches!(&self.state, State::Exchange(exchange) if exchange.is_paused)
    }

    /// The handler takes no more content: what still comes is discarded.
    pub(crate) fn discard_content(&mut self) {
        let exchange = self.exchange();
        (exchange.is_wanted, exchange.is_paused) = (false, false);
    }

    /// Whether HTTP is over.
    #[inline(always)]
    pub(crate) fn is_upgraded(&self) -> bool {
        matches!(self.state, State::Upgraded(_))
    }

    /// Whether the exchange is over and [`settle`](Connection::settle) would move on.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(&self.state, State::Exchange(exchange) if exchange.is_complete())
    }

    /// Moves on where the exchange is over: to Idle, or to Linger if the connection is not reused.
    pub(crate) fn settle(&mut self, linger_bytes_max: u32) -> Settled {
        let State::Exchange(exchange) = &self.state else { return Settled::Not };
        if !exchange.is_complete() {
            return Settled::Not;
        }
        let (then, has_all_content) = (exchange.then, matches!(exchange.inbound, Inbound::Done));
        self.settle_as(then, has_all_content, linger_bytes_max)
    }

    #[inline(always)]
    pub(super) fn settle_as(
        &mut self,
        then: Then,
        has_all_content: bool,
        linger_bytes_max: u32,
    ) -> Settled {
        let (rest, settled) = match then {
            Then::Reuse => (Rest::Idle, Settled::Idle),
            Then::Close(_) => (Rest::Linger(linger_bytes_max), Settled::Last { has_all_content }),
        };
        self.state = State::Rest(rest);
        settled
    }

    /// Asserts the invariants of the state.
    pub(crate) fn check(&self) {
        let State::Exchange(exchange) = &self.state else { return };
        if let Inbound::Length(left) = exchange.inbound {
            assert!(left > 0, "no content left is Done");
        }
        if let Outbound::Length(left) = exchange.outbound {
            assert!(left > 0, "nothing left to send is Done");
        }
        assert!(
            !matches!((&exchange.outbound, exchange.then), (Outbound::UntilClose, Then::Reuse)),
            "content that ends by closing closes"
        );
    }

    #[inline(always)]
    pub(super) fn exchange(&mut self) -> &mut Exchange {
        match &mut self.state {
            State::Exchange(exchange) => exchange,
            State::Rest(_) | State::Head(_) | State::Upgraded(_) => {
                panic!("there is no request to answer")
            }
        }
    }
}
