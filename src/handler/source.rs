//! Sources: descriptors of a program that the loop watches in addition to its connections.

use std::os::fd::{AsFd, BorrowedFd};

/// The events that a source is watched for.
///
/// [`EventLoop::add_source`](crate::runtime::EventLoop::add_source) describes when the function of
/// the source is called for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interest {
    /// Input, or its end.
    Read,
    /// Room for output.
    Write,
    /// Both.
    ReadWrite,
}

impl Interest {
    pub(crate) fn reads(self) -> bool {
        matches!(self, Interest::Read | Interest::ReadWrite)
    }

    pub(crate) fn writes(self) -> bool {
        matches!(self, Interest::Write | Interest::ReadWrite)
    }
}

/// The events that a source is ready for, among those that it is watched for.
///
/// Readiness is a hint: a read or a write may still return
/// [`WouldBlock`](std::io::ErrorKind::WouldBlock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Readiness {
    pub(crate) const NONE: Readiness = Readiness { readable: false, writable: false };

    /// Returns whether there is input, its end, or an error that a read returns.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Returns whether there is room for output, or an error that a write returns.
    pub fn is_writable(&self) -> bool {
        self.writable
    }
}

/// The number of a source, for
/// [`EventLoop::remove_source`](crate::runtime::EventLoop::remove_source). It is unique among all
/// sources that the loop ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId {
    /// The place of the source in the loop. A later source may have the same place.
    pub(crate) key: usize,
    /// The number of sources that were added before this one.
    pub(crate) number: u64,
}

/// The decision of the function of a source: whether the source stays on the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The loop goes on watching the source.
    Keep,
    /// The loop drops the source and its function.
    Remove,
}

/// A descriptor with its function, of any type.
pub(crate) trait Source<S> {
    fn descriptor(&self) -> BorrowedFd<'_>;
    fn call(&mut self, state: &mut S, readiness: Readiness) -> Next;
}

/// A [`Source`] of the program's own types.
pub(crate) struct SourceWith<F, C> {
    pub(crate) source: F,
    pub(crate) function: C,
}

impl<S, F: AsFd, C: FnMut(&mut S, &mut F, Readiness) -> Next> Source<S> for SourceWith<F, C> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    fn call(&mut self, state: &mut S, readiness: Readiness) -> Next {
        (self.function)(state, &mut self.source, readiness)
    }
}
