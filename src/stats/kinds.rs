//! The closed lists of what is counted one by one: the phases of connections, the reasons of refusals,
//! the deadlines, the causes for which a connection gives way, and the holders of memory.

use std::fmt;

/// A closed list. Its order is that of the counts.
pub trait Kind: Copy + fmt::Debug + 'static {
    /// All of them.
    const ALL: &'static [Self];
    /// The place in the list.
    fn index(self) -> usize;
}

macro_rules! kinds {
    (
        $(#[$of_all:meta])*
        $kind:ident: $($(#[$of_one:meta])* $variant:ident $name:literal)+
    ) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $kind { $($(#[$of_one])* $variant,)+ }

        impl $kind {
            /// Returns the name in metrics.
            pub fn name(self) -> &'static str {
                match self { $($kind::$variant => $name,)+ }
            }
        }

        impl Kind for $kind {
            const ALL: &'static [$kind] = &[$($kind::$variant,)+];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

kinds! {
    /// What an open connection waits for.
    Phase:
    /// The first byte of its first request.
    New "new"
    /// The rest of the head of a request.
    Head "head"
    /// The rest of the content of a request.
    Content "content"
    /// The program: a response that comes later, or the end of a pause.
    Handler "handler"
    /// The client, which has not taken all of its response, or a producer that has nothing to send.
    Response "response"
    /// It has left HTTP for a protocol, such as WebSocket. Streams that were handed out are not
    /// counted, because they are no longer connections of the server.
    Upgraded "upgraded"
    /// It was shut down after the last response, and bytes on their way are read and dropped.
    Linger "linger"
    /// The next request. It holds no buffer.
    Idle "idle"
}

kinds! {
    /// A deadline that has passed. Each is a timeout or a rate of [`Limits`](crate::Limits), or a time
    /// that the program has set instead.
    Deadline:
    /// The head of a request did not arrive in time (`head_timeout`): a 408.
    Head "head"
    /// Content arrived too slowly (`content_rate_min`): a 408.
    Content "content"
    /// The client took the response too slowly (`response_rate_min`): a reset.
    Response "response"
    /// The program did not respond in time (`handler_timeout`): its late response, or a 504.
    Handler "handler"
    /// The time of a producer or a protocol passed in silence. Both are asked then what to do: a
    /// WebSocket sends a ping. So this is no fault.
    Silence "silence"
    /// No request came: the connection was closed (`idle_timeout`, or `head_timeout` before the first
    /// request). This is no fault either.
    Idle "idle"
    /// The client had not closed its side in time after the last response (`linger_timeout`).
    Linger "linger"
}

kinds! {
    /// The reason why a connection had to give way to others.
    Eviction:
    /// Most of [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max) was used.
    Memory "memory"
    /// All of [`Limits::connections_max`](crate::Limits::connections_max) were open.
    Connections "connections"
    /// Its address had its share of them
    /// ([`Limits::connections_per_address_max`](crate::Limits::connections_per_address_max)).
    Address "address"
    /// The process was out of descriptors.
    Descriptors "descriptors"
}

kinds! {
    /// The holders of the memory that counts against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max).
    Memory:
    /// The loop itself: its two buffers, the slots of connections, the wheel and the addresses.
    Loop "loop"
    /// Free blocks, kept for the next connection that needs one.
    Free "free"
    /// Connections in the middle of something: their state, heads and content that wait for the
    /// rest, output that waits for the client, and what protocols report.
    Connections "connections"
    /// Other parts of the library: listings of directories, channels, queues of messages and events.
    Elsewhere "elsewhere"
}

kinds! {
    /// The reason why the server refused a request by itself.
    Refusal:
    /// The request line is not `method SP target SP version CRLF` (RFC 9112, section 3).
    RequestLine "request_line"
    /// A field line is not `name ":" OWS value OWS CRLF`: obs-fold, bare LF, space before the
    /// colon, a control byte (RFC 9112, section 5).
    FieldLine "field_line"
    /// The method is longer than any that exists (RFC 9112, section 3, recommends 501).
    MethodTooLong "method_too_long"
    /// The target has none of the four forms, or a byte that is not allowed in a target.
    Target "target"
    /// The target is longer than `target_bytes_max`.
    TargetTooLong "target_too_long"
    /// The head is longer than `head_bytes_max`.
    HeadTooLarge "head_too_large"
    /// The head has more than `fields_max` lines.
    TooManyFields "too_many_fields"
    /// A major version other than 1.
    Version "version"
    /// No `Host` in HTTP/1.1, or more than one, or not `host[:port]` (RFC 9112, section 3.2).
    Host "host"
    /// Both `Content-Length` and `Transfer-Encoding`, or either of them twice (RFC 9112, section
    /// 6.3).
    AmbiguousFraming "ambiguous_framing"
    /// `Content-Length` is not 1 to 19 digits below 2^63.
    ContentLength "content_length"
    /// `Transfer-Encoding` in HTTP/1.0, or with a list, or without a coding.
    TransferEncoding "transfer_encoding"
    /// One well-formed transfer coding, but not `chunked`.
    UnknownCoding "unknown_coding"
    /// An expectation other than `100-continue` (RFC 9110, section 10.1.1).
    Expectation "expectation"
    /// A malformed chunk or trailer section (RFC 9112, section 7.1).
    Chunk "chunk"
    /// The client ended its side in the middle of a head or of content.
    CutShort "cut_short"
    /// The head did not arrive within `head_timeout`.
    HeadTimeout "head_timeout"
    /// Content arrived slower than `content_rate_min`.
    ContentTimeout "content_timeout"
    /// There is more content than the handler wants to collect.
    ContentTooLarge "content_too_large"
    /// Memory is exhausted, so there is no room for new content, or the connection had to give way.
    Overloaded "overloaded"
    /// The program did not respond, or paused the content, for longer than `handler_timeout`.
    HandlerTimeout "handler_timeout"
    /// The handler panicked, or returned a response that cannot be sent.
    Internal "internal"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<K: Kind>() {
        for (n, kind) in K::ALL.iter().enumerate() {
            assert_eq!(kind.index(), n, "{kind:?}");
        }
    }

    #[test]
    fn each_kind_is_at_its_place_in_the_list() {
        check::<Phase>();
        check::<Deadline>();
        check::<Eviction>();
        check::<Memory>();
        check::<Refusal>();
    }
}
