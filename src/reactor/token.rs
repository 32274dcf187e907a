//! Tokens: the names of connections in a poll. A token carries the generation of its connection, so
//! no event of an earlier connection reaches the next one in the same slot.

/// Names a connection, or one of the few other things that a poll can report. The lower bits have
/// the key of the slot, the upper bits its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(usize);

impl Token {
    /// On 64 bits, half of them. On 32 bits, 20: a million connections and 4,096 generations. That
    /// is enough because the events of a batch are noted before any slot is reused. An old token of
    /// a waker that names a later connection only costs that connection a visit. The program does
    /// not see tokens: the id of a connection is its whole generation.
    const KEY_BITS: u32 = if usize::BITS >= 64 { 32 } else { 20 };
    const KEY_MASK: usize = (1 << Self::KEY_BITS) - 1;
    /// The top 256 keys are not connections.
    pub(crate) const KEYS_MAX: usize = Self::KEY_MASK - 255;

    pub(crate) const WAKER: Token = Token(Self::KEY_MASK);
    #[cfg(feature = "signals")]
    pub(crate) const SIGNALS: Token = Token(Self::KEY_MASK - 1);
    /// Listeners have the keys from `KEYS_MAX` on.
    pub(crate) const LISTENERS_MAX: usize = 250;
    /// All sources of the program share one key: the upper bits tell them apart.
    const SOURCES: usize = Self::KEYS_MAX + Self::LISTENERS_MAX;
    pub(super) const SOURCES_MAX: usize = usize::MAX >> Self::KEY_BITS;

    pub(crate) fn new(key: usize, generation: u32) -> Token {
        Token((generation as usize) << Self::KEY_BITS | (key & Self::KEY_MASK))
    }

    pub(crate) fn listener(n: usize) -> Token {
        debug_assert!(n < Self::LISTENERS_MAX, "`Server` refuses more listeners");
        Token(Self::KEYS_MAX + n)
    }

    /// The token of the source of the program with this key.
    pub(super) fn source(key: usize) -> Token {
        Token(key << Self::KEY_BITS | Self::SOURCES)
    }

    pub(crate) fn key(self) -> usize {
        self.0 & Self::KEY_MASK
    }

    pub(super) fn is_generation(self, generation: u32) -> bool {
        self.0 >> Self::KEY_BITS == generation as usize & (usize::MAX >> Self::KEY_BITS)
    }

    /// Whether it is the token of a connection, not of a listener, a source, the waker or the
    /// signals.
    pub(crate) fn is_of_connection(self) -> bool {
        self.key() < Self::KEYS_MAX
    }

    /// The number of the listener that it names. Events of the waker and of signals need no
    /// handling: mail and signals are read in every turn.
    pub(crate) fn listener_number(self) -> Option<usize> {
        self.key().checked_sub(Self::KEYS_MAX).filter(|&n| n < Self::LISTENERS_MAX)
    }

    /// The key of the source of the program that it names.
    pub(super) fn source_key(self) -> Option<usize> {
        (self.key() == Self::SOURCES).then_some(self.0 >> Self::KEY_BITS)
    }
}

impl From<Token> for mio::Token {
    fn from(token: Token) -> mio::Token {
        mio::Token(token.0)
    }
}

impl From<mio::Token> for Token {
    fn from(token: mio::Token) -> Token {
        Token(token.0)
    }
}
