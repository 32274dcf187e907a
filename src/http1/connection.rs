//! The state machine of one connection: the table in [`http1`](super) as an enum, with one arm for
//! each row in each question about the state.
//!
//! It sees bytes and responses, and nothing else: no socket, no clock, no handler. States go in and
//! out by value and own their data, so leaving a state drops its data and nothing is ever reset.
//! This file handles the input and the transitions that follow from it;
//! [`responding`](super::responding) handles the output.

use std::mem;

use crate::http1::encode;
use crate::http1::exchange::{Exchange, Inbound, Input, Outbound, Step, Taker};
use crate::http1::head::Head;
use crate::http1::persistence::Then;
use crate::http1::scan::Scan;
use crate::http1::{HeadLimits, Reject};

/// One connection, as the protocol sees it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) state: State,
}

// An explicit tag takes more space and is faster to read. The state is read often, and kept only
// while there is work.
#[repr(u8)]
#[derive(Debug)]
pub(super) enum State {
    Rest(Rest),
    Head(Scan),
    Exchange(Exchange),
    Upgraded(Upgraded),
}

/// HTTP is over on this connection: its bytes belong to a protocol or to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgraded {
    /// A protocol takes the client's bytes.
    Open,
    /// The client has ended its side; the protocol may still send.
    Ended,
    /// Nothing more is read: the stream is handed out when all output has left.
    HandedOut,
}

/// The states that own next to nothing: all that a connection without work is.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Accepted, and silent so far.
    New,
    /// Between two requests.
    Idle,
    /// The last response is complete. Once it has left, the connection lingers. A clean connection
    /// is closed at once: all of the request was read and nothing came after it, so closing causes
    /// no reset.
    Ending { is_clean: bool },
    /// Our side is shut down. Bytes that still come are read and dropped, so that no reset destroys
    /// the response on its way (RFC 9112, section 9.6).
    Linger(Linger),
    /// Over.
    Closed,
}

/// The bounds of a connection that lingers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Linger {
    /// The number of bytes that may still come. `u32::MAX` stands for any number.
    pub(crate) bytes_left: u32,
    /// The tick at which lingering ends even if the client keeps sending. Only the loop knows the
    /// current tick.
    pub(crate) ends: u32,
    /// Whether nothing has come since the last request.
    pub(crate) is_clean: bool,
}

/// The progress of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// No final response has begun, so a refusal can still be sent.
    Awaited,
    /// The head was written, and content is still to be sent.
    Content { in_chunks: bool },
    /// The response is complete.
    Done,
    /// HTTP is over on this connection.
    Upgraded,
}

/// The progress of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadProgress {
    /// No byte of it has come, at most an empty line before it.
    NotBegun,
    /// A part of it has come. The caller passes it again, with more bytes after it.
    Begun,
    Complete,
}

/// How the reactor ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// An ordinary close.
    Close,
    /// A reset: the client must not take an incomplete response for a complete one.
    Reset,
}

impl Connection {
    pub(crate) fn resume(rest: Rest) -> Connection {
        Connection { state: State::Rest(rest) }
    }

    /// The state, if it is one that owns nothing.
    pub(crate) fn rest(&self) -> Option<Rest> {
        match self.state {
            State::Rest(rest) => Some(rest),
            State::Head(_) | State::Exchange(_) | State::Upgraded(_) => None,
        }
    }

    /// Returns the taker of the client's bytes, while no output waits.
    #[inline(always)]
    pub(crate) fn input(&self) -> Input {
        match &self.state {
            State::Rest(Rest::New | Rest::Idle) | State::Head(_) => Input::Head,
            State::Exchange(exchange) => exchange.input(),
            State::Upgraded(Upgraded::Open) => Input::Protocol,
            State::Upgraded(Upgraded::Ended | Upgraded::HandedOut) => Input::None,
            State::Rest(Rest::Linger(linger)) => Input::Linger { bytes_left: linger.bytes_left },
            State::Rest(Rest::Ending { .. } | Rest::Closed) => Input::None,
        }
    }

    /// Returns the progress of the response.
    pub(crate) fn output(&self) -> Output {
        match &self.state {
            State::Rest(Rest::New | Rest::Idle) | State::Head(_) => Output::Awaited,
            State::Exchange(exchange) => match exchange.outbound {
                Outbound::Awaited => Output::Awaited,
                Outbound::Chunked => Output::Content { in_chunks: true },
                Outbound::Length(_) | Outbound::UntilClose => Output::Content { in_chunks: false },
                Outbound::Done => Output::Done,
            },
            State::Rest(Rest::Ending { .. } | Rest::Linger(_) | Rest::Closed) => Output::Done,
            State::Upgraded(_) => Output::Upgraded,
        }
    }

    /// Returns whether the content of the request is complete, or the request has none.
    pub(crate) fn has_all_content(&self) -> bool {
        match &self.state {
            State::Exchange(exchange) => matches!(exchange.inbound, Inbound::Done),
            State::Rest(_) | State::Head(_) | State::Upgraded(_) => true,
        }
    }

    /// Parses the head at the start of `input`. A complete one fills `head`; the state moves on
    /// with [`respond_fast`](Connection::respond_fast) or [`begin`](Connection::begin).
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
    ) -> Result<HeadProgress, Reject> {
        let scan = match self.state {
            State::Head(scan) => scan,
            _ if input.is_empty() => return Ok(HeadProgress::NotBegun),
            _ => Scan::new(),
        };
        let Some(scan) = head.parse(input, scan, limits)? else {
            return Ok(HeadProgress::Complete);
        };
        self.state = State::Head(scan);
        Ok(match scan.has_begun() {
            true => HeadProgress::Begun,
            false => HeadProgress::NotBegun,
        })
    }

    /// Begins the exchange of a request whose head has been received.
    pub(crate) fn begin(&mut self, head: &Head) {
        self.state = State::Exchange(Exchange::begin(head));
    }

    /// Takes bytes from the start of `input`, where [`input`](Connection::input) is `Content` or
    /// `Linger`. Returns the number of bytes used, and their meaning.
    ///
    /// # Errors
    ///
    /// The content is malformed: the caller [`refuse`](Connection::refuse)s it.
    pub(crate) fn receive(&mut self, input: &[u8]) -> Result<(usize, Step), Reject> {
        match &mut self.state {
            State::Exchange(exchange) => exchange.receive(input),
            State::Rest(Rest::Linger(linger)) => {
                let used = u32::try_from(input.len()).unwrap_or(u32::MAX);
                linger.is_clean = false;
                if linger.bytes_left != u32::MAX {
                    match linger.bytes_left.checked_sub(used) {
                        Some(left) => linger.bytes_left = left,
                        None => self.state = State::Rest(Rest::Closed),
                    }
                }
                Ok((input.len(), Step::More))
            }
            State::Rest(_) | State::Head(_) | State::Upgraded(_) => {
                panic!("only content and the bytes of a lingering connection are received")
            }
        }
    }

    /// Notes that the client has ended its side. Returns how the connection ends, or `None` if the
    /// response is still sent: a half-close does not cancel a request.
    ///
    /// # Errors
    ///
    /// The refusal, where a message was cut short and its response has not begun.
    pub(crate) fn end_of_input(&mut self) -> Result<Option<Farewell>, Reject> {
        match &mut self.state {
            State::Rest(_) => Ok(Some(Farewell::Close)),
            State::Head(scan) if !scan.has_begun() => Ok(Some(Farewell::Close)),
            State::Head(_) => Err(Reject::CutShort),
            State::Upgraded(upgraded) => {
                if *upgraded == Upgraded::Open {
                    *upgraded = Upgraded::Ended;
                }
                Ok(None)
            }
            State::Exchange(exchange) => match (&exchange.inbound, &exchange.outbound) {
                (Inbound::Done, _) => Ok(None),
                (_, Outbound::Awaited) => Err(Reject::CutShort),
                (_, Outbound::Done) => Ok(Some(Farewell::Close)),
                (_, _) => Ok((!exchange.abandon_content()).then_some(Farewell::Reset)),
            },
        }
    }

    /// Notes that the deadline has passed. Returns how the connection ends.
    ///
    /// # Errors
    ///
    /// The refusal, where the client was too slow and a status can still be sent.
    pub(crate) fn expire(&mut self) -> Result<Farewell, Reject> {
        match &self.state {
            State::Rest(_) => Ok(Farewell::Close),
            State::Head(scan) if !scan.has_begun() => Ok(Farewell::Close),
            State::Head(_) => Err(Reject::HeadTimeout),
            State::Upgraded(_) => Ok(Farewell::Reset),
            State::Exchange(exchange) => match (&exchange.outbound, exchange.input()) {
                (Outbound::Awaited, Input::Content) => Err(Reject::ContentTimeout),
                (Outbound::Awaited, _) => Err(Reject::HandlerTimeout),
                (Outbound::Done, _) => Ok(Farewell::Close),
                (_, _) => Ok(Farewell::Reset),
            },
        }
    }

    /// Changes the taker of the content from here on. If the handler takes it and the client waits
    /// for `100 Continue`, that is sent.
    pub(crate) fn set_taker(&mut self, taker: Taker, out: &mut Vec<u8>) {
        let exchange = self.exchange();
        exchange.taker = taker;
        if taker == Taker::Handler && mem::take(&mut exchange.asked.continue_pending) {
            out.extend_from_slice(encode::CONTINUE);
        }
    }

    /// Moves on if the exchange is over: to Idle, or to Ending if the connection is not kept.
    /// `is_all_used` says that all bytes that were read are used. Returns whether the connection is
    /// idle now.
    pub(crate) fn settle(&mut self, is_all_used: bool) -> bool {
        match &self.state {
            State::Exchange(exchange) if exchange.is_complete() => {
                let has_all_content = matches!(exchange.inbound, Inbound::Done);
                self.settle_as(exchange.then, has_all_content && is_all_used)
            }
            _ => false,
        }
    }

    #[inline(always)]
    pub(super) fn settle_as(&mut self, then: Then, is_clean: bool) -> bool {
        self.state = State::Rest(match then {
            Then::Reuse => Rest::Idle,
            Then::Close(_) => Rest::Ending { is_clean },
        });
        then == Then::Reuse
    }

    /// Begins to linger: our side has been shut down after the last response.
    pub(crate) fn linger(&mut self, linger: Linger) {
        assert!(matches!(self.state, State::Rest(Rest::Ending { .. })));
        self.state = State::Rest(Rest::Linger(linger));
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

    pub(super) fn exchange(&mut self) -> &mut Exchange {
        match &mut self.state {
            State::Exchange(exchange) => exchange,
            State::Rest(_) | State::Head(_) | State::Upgraded(_) => {
                panic!("there is no exchange")
            }
        }
    }
}
