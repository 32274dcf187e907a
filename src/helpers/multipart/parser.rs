//! [`Parser`]: cuts the content of a form into parts (RFC 2046, section 5.1.1; RFC 7578).
//!
//! ```text
//!                     delimiter            CRLF                 empty line
//!   Outside(preamble) ─────────► Delimiter ────► Head ─────────────────────► Inside
//!                                  │   ▲                                       │
//!                              --  │   └───────────── delimiter ───────────────┘
//!                                  ▼
//!                                Over (epilogue)
//! ```
//!
//! A delimiter is CRLF, two hyphens and the boundary. The parser takes input in pieces of any size
//! and gives out content as soon as it cannot be the beginning of a delimiter. It keeps no content:
//! a delimiter that may have begun is known by its length, since its bytes are known. A boundary
//! has no CR, so if a delimiter turns out to be none, the next one can only begin after it.
//!
//! It does not know requests, and it does not interpret the head of a part: see `part`.

/// The reason why content is not a form. The mistake is the client's: a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// The most bytes of the head of one part. Browsers send about 200, and the name of a file.
pub(super) const HEAD_BYTES_MAX: usize = 8 << 10;

#[derive(Debug)]
pub(super) struct Parser {
    /// CRLF, two hyphens, the boundary.
    delimiter: Box<[u8]>,
    state: State,
    /// The head of a part, as far as it has arrived.
    head: Vec<u8>,
}

/// What comes next in the input. `matched` bytes of a delimiter may have begun.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The preamble, which is dropped.
    Outside { matched: usize },
    /// The content of a part.
    Inside { matched: usize },
    /// The end of a line with a delimiter. `is_inside` tells whether it ends a part.
    Delimiter { is_inside: bool, seen: Seen },
    /// The fields of a part.
    Head,
    /// The epilogue, which is dropped.
    Over,
}

/// The bytes after a delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// One hyphen of the two that end the form.
    Hyphen,
    /// Spaces and tabs, which a relay may have added.
    Padding,
    Cr,
}

/// A step of the parser.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A part begins. This is its head: lines that end with CRLF, the last one empty.
    Part(&'a [u8]),
    /// A piece of the content of the part, never empty.
    Piece(&'a [u8]),
    /// The part is complete.
    EndOfPart,
}

impl Parser {
    /// Creates a parser; `None` if the boundary is not one (RFC 2046, section 5.1.1).
    pub(super) fn new(boundary: &str) -> Option<Parser> {
        let is_boundary_byte =
            |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
        let is_boundary = matches!(boundary.len(), 1..=70)
            && boundary.bytes().all(is_boundary_byte)
            && !boundary.ends_with(' ');
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat().into_boxed_slice();
        // The first delimiter may be the first line, which no CRLF precedes.
        let state = State::Outside { matched: 2 };
        is_boundary.then(|| Parser { delimiter, state, head: Vec::new() })
    }

    /// Takes bytes from the front of `input` until there is an event, or no more input.
    pub(super) fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'a>>, Malformed> {
        while !input.is_empty() {
            match self.state {
                State::Outside { matched } => {
                    self.scan(input, matched, false);
                }
                State::Inside { matched } => match self.scan(input, matched, true) {
                    Scan::Nothing => {}
                    Scan::Input(piece) => return Ok(Some(Event::Piece(piece))),
                    Scan::Begun(len) => return Ok(Some(Event::Piece(&self.delimiter[..len]))),
                },
                State::Delimiter { is_inside, seen } => {
                    match self.after_delimiter(input, is_inside, seen)? {
                        After::Nothing => {}
                        After::End => return Ok(Some(Event::EndOfPart)),
                        After::Content => return Ok(Some(Event::Piece(&self.delimiter))),
                    }
                }
                State::Head => {
                    if self.take_head(input)? {
                        self.state = State::Inside { matched: 0 };
                        return Ok(Some(Event::Part(&self.head)));
                    }
                }
                State::Over => *input = &[],
            }
        }
        Ok(None)
    }

    /// Whether the last delimiter has come. Otherwise a form that ends here is cut off.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes content up to the end of a delimiter, or of the input.
    fn scan<'i>(&mut self, input: &mut &'i [u8], matched: usize, is_inside: bool) -> Scan<'i> {
        let at = |matched| match is_inside {
            true => State::Inside { matched },
            false => State::Outside { matched },
        };
        if matched == 0 {
            let len = input.iter().position(|&byte| byte == b'\r').unwrap_or(input.len());
            let piece = take(input, len);
            self.state = at(take(input, input.len().min(1)).len());
            return if piece.is_empty() { Scan::Nothing } else { Scan::Input(piece) };
        }
        let rest = &self.delimiter[matched..];
        let more = rest.iter().zip(*input).take_while(|(wanted, byte)| wanted == byte).count();
        take(input, more);
        if more == rest.len() {
            self.state = State::Delimiter { is_inside, seen: Seen::Nothing };
            Scan::Nothing
        } else if input.is_empty() {
            self.state = at(matched + more);
            Scan::Nothing
        } else {
            self.state = at(0);
            Scan::Begun(matched + more)
        }
    }

    /// Takes one byte of the rest of a line with a delimiter.
    fn after_delimiter(
        &mut self,
        input: &mut &[u8],
        is_inside: bool,
        seen: Seen,
    ) -> Result<After, Malformed> {
        let next = match (seen, input[0]) {
            (Seen::Nothing, b'-') => Seen::Hyphen,
            (Seen::Nothing | Seen::Padding, b' ' | b'\t') => Seen::Padding,
            (Seen::Nothing | Seen::Padding, b'\r') => Seen::Cr,
            (Seen::Hyphen, b'-') => return Ok(self.end_part(input, is_inside, State::Over)),
            (Seen::Cr, b'\n') => {
                self.head.clear();
                return Ok(self.end_part(input, is_inside, State::Head));
            }
            // A longer line of the content, such as the delimiter of a form within the part.
            (Seen::Nothing, _) if is_inside => {
                self.state = State::Inside { matched: 0 };
                return Ok(After::Content);
            }
            (Seen::Nothing, _) => {
                self.state = State::Outside { matched: 0 };
                return Ok(After::Nothing);
            }
            (Seen::Hyphen | Seen::Padding | Seen::Cr, _) => {
                return Err(Malformed("a boundary is followed by other bytes than a line end"))
            }
        };
        take(input, 1);
        self.state = State::Delimiter { is_inside, seen: next };
        Ok(After::Nothing)
    }

    fn end_part(&mut self, input: &mut &[u8], is_inside: bool, next: State) -> After {
        take(input, 1);
        self.state = next;
        if is_inside {
            After::End
        } else {
            After::Nothing
        }
    }

    /// Takes bytes of a head. Returns whether it is complete.
    fn take_head(&mut self, input: &mut &[u8]) -> Result<bool, Malformed> {
        let line = input.iter().position(|&byte| byte == b'\n').map_or(input.len(), |end| end + 1);
        let line = take(input, line);
        let len = self.head.len() + line.len();
        if len > HEAD_BYTES_MAX {
            return Err(Malformed("the head of a part is longer than 8 KiB"));
        }
        if len > self.head.capacity() {
            let wanted = (2 * self.head.capacity()).clamp(len, HEAD_BYTES_MAX);
            self.head.reserve_exact(wanted - self.head.len());
        }
        self.head.extend_from_slice(line);
        if self.head.ends_with(b"\n") && !self.head.ends_with(b"\r\n") {
            return Err(Malformed("a line in the head of a part does not end with CRLF"));
        }
        Ok(self.head.ends_with(b"\r\n\r\n") || *self.head == *b"\r\n")
    }
}

/// A step of a search for a delimiter.
enum Scan<'i> {
    /// The input went into the state.
    Nothing,
    /// Content from the input.
    Input(&'i [u8]),
    /// Content that looked like a delimiter for this many bytes.
    Begun(usize),
}

/// A step after a delimiter.
enum After {
    Nothing,
    /// The part has ended.
    End,
    /// The delimiter was content.
    Content,
}

/// Cuts `len` bytes off the front of `input`.
fn take<'i>(input: &mut &'i [u8], len: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at(len);
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a form, each with its head and its content, however the form is cut.
    fn parts(form: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
        let whole = cut(form, form.len().max(1));
        for len in 1..form.len().min(40) {
            assert_eq!(cut(form, len), whole, "pieces of {len}");
        }
        for at in 0..form.len() {
            let mut parser = Parser::new("b").unwrap();
            let mut read = Vec::new();
            let end = [&form[..at], &form[at..]]
                .iter()
                .try_for_each(|piece| feed(&mut parser, piece, &mut read));
            assert_eq!(end.map(|()| (read, parser.is_complete())), whole, "cut at {at}");
        }
        whole.map(|(read, is_complete)| {
            assert!(is_complete, "the last delimiter is missing");
            read
        })
    }

    type Read = (Vec<(String, String)>, bool);

    fn cut(form: &[u8], len: usize) -> Result<Read, Malformed> {
        let mut parser = Parser::new("b").unwrap();
        let mut read = Vec::new();
        form.chunks(len).try_for_each(|piece| feed(&mut parser, piece, &mut read))?;
        Ok((read, parser.is_complete()))
    }

    fn feed(
        parser: &mut Parser,
        mut piece: &[u8],
        read: &mut Vec<(String, String)>,
    ) -> Result<(), Malformed> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        while let Some(event) = parser.next(&mut piece)? {
            match event {
                Event::Part(head) => read.push((text(head), String::new())),
                Event::Piece(piece) => {
                    assert!(!piece.is_empty());
                    read.last_mut().unwrap().1 += &text(piece);
                }
                Event::EndOfPart => read.last_mut().unwrap().1 += "|",
            }
        }
        Ok(())
    }

    #[test]
    fn parts_have_heads_and_contents() {
        for (form, contents) in [
            (&b"--b\r\n\r\nx\r\n--b--"[..], &["x|"][..]),
            (b"--b--", &[]),
            (b"--b--\r\n", &[]),
            (b"\r\n--b--", &[]),
            (b"preamble\r\n--b\r\n\r\n\r\n--b--epilogue\r\n--b\r\n", &["|"]),
            (b"--b \t\r\n\r\na\r\n--b\t\r\n\r\nb\r\n--b--", &["a|", "b|"]),
            (b"--b\r\n\r\n\r\n\r\n--b--", &["\r\n|"]),
            (b"--b\r\n\r\n\r\n-\r\n--\r\n--c\r\n--b--", &["\r\n-\r\n--\r\n--c|"]),
            (b"--b\r\n\r\n--b\r\n--b--", &["--b|"]),
            (b"--b\r\n\r\nx--b\r\n--b--", &["x--b|"]),
            (b"--b\r\n\r\nx\n--b\n\r\n--b--", &["x\n--b\n|"]),
            (b"--b\r\n\r\nx\r--b\r\n--b--", &["x\r--b|"]),
            (b"--b\r\n\r\nx\r\r\n--b--", &["x\r|"]),
            (b"--b\r\n\r\nx\r\n\r\n--b--", &["x\r\n|"]),
            (b"--b\r\n\r\nx\r\n-\r\n--b--", &["x\r\n-|"]),
            (b"--b\r\n\r\nx\r\n--bc\r\n--b--", &["x\r\n--bc|"]),
            (b"--b\r\n\r\nx\r\n--b\n\r\n--b--", &["x\r\n--b\n|"]),
            (b"--bc\r\n--b\r\n\r\nx\r\n--b--", &["x|"]),
        ] {
            let found =
                parts(form).unwrap_or_else(|bad| panic!("{}: {}", form.escape_ascii(), bad.0));
            let found: Vec<_> = found.iter().map(|(_, content)| content.as_str()).collect();
            assert_eq!(found, contents, "{}", form.escape_ascii());
        }
    }

    #[test]
    fn the_head_of_a_part_comes_whole() {
        let form = b"--b\r\nA: 1\r\nB: 2\r\n\r\nx\r\n--b\r\n\r\n\r\n--b--";
        let expected = [("A: 1\r\nB: 2\r\n\r\n", "x|"), ("\r\n", "|")];
        assert_eq!(
            parts(form).unwrap(),
            expected.map(|(head, content)| (head.to_owned(), content.to_owned()))
        );
    }

    #[test]
    fn malformed_forms_are_refused_however_they_are_cut() {
        let long = [&b"--b\r\n"[..], &[b'x'; HEAD_BYTES_MAX]].concat();
        for form in [
            &b"--b-x\r\n"[..],
            b"--b\r\n\r\nx\r\n--b-\r\n",
            b"--b x\r\n",
            b"--b\r\r\n",
            b"--b\rx",
            b"--b\r\nA: 1\n\r\n",
            b"--b\r\n\n",
            &[&long[..], b"x"].concat(),
        ] {
            assert!(parts(form).is_err(), "{}", form.escape_ascii());
        }
        assert!(cut(&long, 1000).is_ok(), "as long as it may be");
    }

    /// That is the memory which counts against the budget.
    #[test]
    fn a_head_takes_no_more_memory_than_its_longest_length() {
        for len in [100, 4097, 8191] {
            let mut parser = Parser::new("b").unwrap();
            let head = [&b"--b\r\nA: "[..], &[b'x'; HEAD_BYTES_MAX - 3]].concat();
            for mut piece in head.chunks(len) {
                assert_eq!(parser.next(&mut piece), Ok(None));
                assert!(parser.head.capacity() <= HEAD_BYTES_MAX, "{}", parser.head.capacity());
            }
        }
    }

    #[test]
    fn a_form_without_its_last_delimiter_is_not_complete() {
        let form = b"--b\r\n\r\nx\r\n--b--";
        for len in 0..form.len() {
            assert!(!cut(&form[..len], len.max(1)).unwrap().1, "{len}");
        }
        assert!(cut(form, 1).unwrap().1);
    }

    #[test]
    fn a_boundary_has_1_to_70_bytes_of_a_certain_kind() {
        for boundary in ["", "a\r", "a\"", "a ", "\u{e9}", "a\0", &"x".repeat(71)] {
            assert!(Parser::new(boundary).is_none(), "{boundary:?}");
        }
        for boundary in
            ["a", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a b", "=_?:.,-+'()/", &"x".repeat(70)]
        {
            assert!(Parser::new(boundary).is_some(), "{boundary:?}");
        }
    }
}
