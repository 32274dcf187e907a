//! Keeps the log readable: at most one line of a kind in a second.

use std::mem;

use crate::reactor::clock::Millis;

/// Lets through one line a second, with the number of lines that were left out before it.
#[derive(Default)]
pub(super) struct Quiet {
    until: Millis,
    unsaid: u32,
}

impl Quiet {
    /// Returns the number of lines left out before, if a line may be written now.
    pub(super) fn speaks(&mut self, now: Millis) -> Option<u32> {
        if now < self.until {
            self.unsaid += 1;
            return None;
        }
        self.until = now + 1000;
        Some(mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_logged_a_second_with_the_number_of_suppressed_lines() {
        let mut quiet = Quiet::default();
        assert_eq!(quiet.speaks(5), Some(0));
        assert_eq!(quiet.speaks(6), None);
        assert_eq!(quiet.speaks(1004), None);
        assert_eq!(quiet.speaks(1005), Some(2));
        assert_eq!(quiet.speaks(9000), Some(0));
    }
}
