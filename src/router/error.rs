//! Why routes could not be built: faults of the program, found before anything is served.

use std::fmt;

/// Why routes could not be built. `{:?}` is the same sentence as `{}`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// A pattern cannot be understood.
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// The byte of the pattern where the fault is.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// Two patterns match some request both, and neither is more specific than the other (or they
    /// match exactly the same requests), so the order of registration would have to decide.
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
