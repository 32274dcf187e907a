//! The reasons why routes cannot be built: mistakes in the program, found before it serves.

use std::fmt;

/// The reason why routes could not be built. `{:?}` prints the same sentence as `{}`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// A pattern is invalid.
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// The index of the byte in the pattern where the mistake is.
        at: usize,
        /// A description of the mistake.
        what: &'static str,
    },
    /// Two patterns match the same request and neither is more specific, so the order of
    /// registration would have to decide.
    Conflict {
        /// The pattern that was registered first.
        first: String,
        /// The pattern that was registered later.
        second: String,
        /// A path that both match.
        example: String,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteError::Pattern { pattern, at, what } => {
                write!(f, "bad pattern {pattern:?} at byte {at}: {what}")
            }
            RouteError::Conflict { first, second, example } => write!(
                f,
                "patterns {first:?} and {second:?} conflict: both match {example:?}, and neither \
                 is more specific than the other"
            ),
        }
    }
}

impl fmt::Debug for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RouteError {}
