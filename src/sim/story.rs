//! The story of a run, turn by turn: for a reader who wants to see how the loop works, or why a test
//! failed.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

/// Bytes of a client or of the server that a line shows.
const SHOWN: usize = 40;

/// The lines so far. A turn in which nothing happens has none.
#[derive(Debug, Default)]
pub(super) struct Story {
    text: String,
    /// The lines of the turn under way.
    turn: Option<String>,
    /// The states of the connections after the last turn, by client.
    states: BTreeMap<usize, String>,
}

impl Story {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Adds a line about something in the turn under way, or outside of the server.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = match &mut self.turn {
            Some(turn) => writeln!(turn, "    {line}"),
            None => writeln!(self.text, "{line}"),
        };
    }

    pub(super) fn begin_turn(&mut self) {
        self.turn = Some(String::new());
    }

    /// Ends a turn. Its `number` and its time are shown if something happened in it. `states` are
    /// those of all connections, and the new ones are shown.
    pub(super) fn end_turn(
        &mut self,
        number: u64,
        at: Duration,
        states: impl Iterator<Item = (usize, String)>,
    ) {
        let states: BTreeMap<usize, String> = states.collect();
        for (client, state) in &states {
            if self.states.get(client) != Some(state) {
                self.line(format_args!("client {client}: {state}"));
            }
        }
        self.states = states;
        if let Some(turn) = self.turn.take().filter(|turn| !turn.is_empty()) {
            let _ = write!(self.text, "turn {number} at {}\n{turn}", Seconds(at));
        }
    }
}

/// A time in seconds, with milliseconds.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// The number of bytes and the first of them.
pub(super) struct Bytes<'a>(pub(super) &'a [u8], pub(super) &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes(first, second) = self;
        let len = first.len() + second.len();
        let shown: Vec<u8> = first.iter().chain(*second).take(SHOWN).copied().collect();
        let more = if len > SHOWN { ".." } else { "" };
        write!(f, "{len} B \"{}\"{more}", shown.escape_ascii())
    }
}
