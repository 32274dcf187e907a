//! [`Unlogged`]: an error of the program on its way to the log.

use crate::logging::error;
use std::mem;

/// The text of an error of the program. The connection that sends the response logs it. If the
/// value is dropped before, because the response is never sent or the program panics, it is logged
/// then.
#[derive(Debug)]
pub(crate) struct Unlogged(String);

impl Unlogged {
    pub(crate) fn new(text: String) -> Unlogged {
        Unlogged(text)
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The text, for a caller that logs it.
    pub(crate) fn into_text(mut self) -> String {
        mem::take(&mut self.0)
    }
}

impl Drop for Unlogged {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            error!("handler failed, and the response was not sent: {}", self.0);
        }
    }
}
