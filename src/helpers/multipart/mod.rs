//! Forms with files (`multipart/form-data`, RFC 7578): each part goes to its place while it arrives.
//!
//! | file | purpose |
//! |---|---|
//! | `parser` | content to parts, whatever the pieces in which it arrives |
//! | `part` | the head of a part: its name, the name of its file, its type |

mod parser;
mod part;

use std::fs::File;
use std::io::Write;

use http::StatusCode;

use crate::account::Hold;
use crate::handler::{Failure, Flow, Lost, Receive, Reply};
use crate::helpers::multipart::parser::{Event, Malformed, Parser, HEAD_BYTES_MAX};
use crate::message::request::Request;
use crate::message::response::Response;

pub use part::Part;

/// The most parts of one form. Go has the same limit.
pub const PARTS_MAX: usize = 1000;

/// Takes the parts of a form, one after another. Start it with [`receive`].
///
/// If a method returns a failure, the client gets its response, and the form is dropped. So it is if
/// the content is malformed (400) or too long (413), and if the client leaves: clean up in `Drop`, as
/// `Upload` does below.
///
/// ```
/// use std::fs::{self, File};
/// use wheelhouse::multipart::{self, Form, Part, Sink};
/// use wheelhouse::{sim::Sim, Failure, Reply, Request};
///
/// /// Stores files under names of its own, and removes them if the form is not complete.
/// struct Upload {
///     id: String,
///     stored: Vec<String>,
///     title: Vec<u8>,
///     is_complete: bool,
/// }
///
/// impl<S> Form<S> for Upload {
///     fn part(&mut self, _: &mut S, part: &Part<'_>) -> Result<Sink, Failure> {
///         Ok(match (part.name(), part.file_name()) {
///             ("title", None) => Sink::Memory(200),
///             ("file", Some(_)) => {
///                 let path = format!("upload-{}-{}", self.id, self.stored.len());
///                 self.stored.push(path.clone());
///                 Sink::File(File::create_new(path)?)
///             }
///             _ => Sink::Discard,
///         })
///     }
///
///     fn end_of_part(&mut self, _: &mut S, content: Vec<u8>) -> Result<(), Failure> {
///         if !content.is_empty() {
///             self.title = content;
///         }
///         Ok(())
///     }
///
///     fn end(mut self: Box<Self>, _: &mut S) -> Reply<S> {
///         self.is_complete = true;
///         let title = String::from_utf8_lossy(&self.title);
///         format!("{title}: {} files\n", self.stored.len()).into()
///     }
/// }
///
/// impl Drop for Upload {
///     fn drop(&mut self) {
///         if !self.is_complete {
///             self.stored.iter().for_each(|path| drop(fs::remove_file(path)));
///         }
///     }
/// }
///
/// let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
///     let id = req.id().to_string();
///     let upload = Upload { id, stored: Vec::new(), title: Vec::new(), is_complete: false };
///     multipart::receive(req, 100 << 20, upload)
/// });
/// let form = "--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHolidays\r\n--x--\r\n";
/// let request = sim.request("POST", "/").header("Content-Type", "multipart/form-data; boundary=x");
/// assert_eq!(request.body(form).send().text(), "Holidays: 0 files\n");
/// ```
pub trait Form<S = ()> {
    /// Begins a part, and returns the place for its content.
    ///
    /// # Errors
    ///
    /// A failure is the response of the whole form.
    fn part(&mut self, state: &mut S, part: &Part<'_>) -> Result<Sink, Failure>;

    /// Takes the next piece of a part that goes to [`Sink::Pieces`]. It is never empty.
    ///
    /// # Errors
    ///
    /// A failure is the response of the whole form.
    fn piece(&mut self, state: &mut S, piece: &[u8]) -> Result<(), Failure> {
        let _ = (state, piece);
        Ok(())
    }

    /// Ends a part. `content` is that of [`Sink::Memory`], and empty for other places.
    ///
    /// # Errors
    ///
    /// A failure is the response of the whole form.
    fn end_of_part(&mut self, state: &mut S, content: Vec<u8>) -> Result<(), Failure> {
        let _ = (state, content);
        Ok(())
    }

    /// Returns the reply when the form is complete. A reply that asks for content becomes a 500.
    fn end(self: Box<Self>, state: &mut S) -> Reply<S>;

    /// Handles the loss of the rest of the form, because the client has left, is too slow, or sends
    /// too much. No reply is possible.
    fn lost(self: Box<Self>, state: &mut S, why: Lost) {
        let _ = (state, why);
    }
}

/// The place for the content of a part.
#[derive(Debug)]
#[non_exhaustive]
pub enum Sink {
    /// Memory, for at most this number of bytes; a longer part is a 413. It counts against
    /// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max), and no more is taken than has
    /// arrived. [`Form::end_of_part`] gets it.
    Memory(usize),
    /// A file, from its present position. It is written on the loop, so its disk should be fast; for
    /// a slow one, send [pieces](Sink::Pieces) to a thread.
    File(File),
    /// [`Form::piece`] gets the content while it arrives.
    Pieces,
    /// The content is dropped.
    Discard,
}

/// Receives a form of at most `limit` bytes, heads and boundaries included.
///
/// Each part goes to the place that [`Form::part`] chooses, while it arrives. So a form with files of
/// any size takes little memory. The parts come in the order of the form. Fields come before files if
/// they do so in the page.
///
/// Content of another type is a 415. A longer form is a 413. A form is a 400 if it is malformed or cut
/// off, or if the head of a part is longer than 8 KiB; one with more than [`PARTS_MAX`] parts is a
/// 413. Encodings of parts (`Content-Transfer-Encoding`) are refused, since browsers have none.
#[doc(alias("multipart/form-data", "ParseMultipartForm", "FormFile", "file upload"))]
pub fn receive<S: 'static>(
    req: &Request<'_>,
    limit: u64,
    form: impl Form<S> + 'static,
) -> Reply<S> {
    let content_type = req.content_type().filter(|kind| kind.is("multipart/form-data"));
    let Some(content_type) = content_type else {
        let text = "not a form with files: content of type multipart/form-data was expected";
        return Response::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into();
    };
    let parser = content_type.param("boundary").and_then(|boundary| Parser::new(&boundary));
    let Some(parser) = parser else {
        return Failure::from(Malformed("the type of a form has no valid boundary")).into();
    };
    let Some(hold) = req.account().hold(HEAD_BYTES_MAX) else { return Response::busy().into() };
    let form = Box::new(form);
    Reply::receive(limit, Receiver { parser, form, open: Open::Discard, parts: 0, hold })
}

impl From<Malformed> for Failure {
    fn from(Malformed(reason): Malformed) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, format_args!("malformed form: {reason}"))
    }
}

/// A form while it arrives.
struct Receiver<S> {
    parser: Parser,
    form: Box<dyn Form<S>>,
    open: Open,
    parts: usize,
    /// Counts the head of a part, and content in memory.
    hold: Hold,
}

/// The place of the part that arrives now.
enum Open {
    Memory { content: Vec<u8>, limit: usize },
    File(File),
    Pieces,
    Discard,
}

impl<S: 'static> Receive<S> for Receiver<S> {
    fn piece(&mut self, state: &mut S, mut piece: &[u8]) -> Result<Flow<S>, Failure> {
        while let Some(event) = self.parser.next(&mut piece)? {
            match event {
                Event::Part(head) => {
                    self.parts += 1;
                    if self.parts > PARTS_MAX {
                        return Err(too_large("the form has too many parts"));
                    }
                    let sink = self.form.part(state, &Part::parse(head)?)?;
                    self.open = Open::new(sink);
                }
                Event::Piece(piece) => match &mut self.open {
                    Open::Memory { content, limit } => {
                        keep(content, piece, *limit, &mut self.hold)?;
                    }
                    Open::File(file) => file.write_all(piece)?,
                    Open::Pieces => self.form.piece(state, piece)?,
                    Open::Discard => {}
                },
                Event::EndOfPart => {
                    let content = self.open.close();
                    // From now on the content is the program's own memory.
                    self.hold.set(HEAD_BYTES_MAX);
                    self.form.end_of_part(state, content)?;
                }
            }
        }
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, state: &mut S) -> Reply<S> {
        match self.parser.is_complete() {
            true => self.form.end(state),
            false => Failure::from(Malformed("its last boundary is missing")).into(),
        }
    }

    fn lost(self: Box<Self>, state: &mut S, why: Lost) {
        self.form.lost(state, why);
    }
}

impl Open {
    fn new(sink: Sink) -> Open {
        match sink {
            Sink::Memory(limit) => Open::Memory { content: Vec::new(), limit },
            Sink::File(file) => Open::File(file),
            Sink::Pieces => Open::Pieces,
            Sink::Discard => Open::Discard,
        }
    }

    /// Closes the place, and returns the content of memory.
    fn close(&mut self) -> Vec<u8> {
        match std::mem::replace(self, Open::Discard) {
            Open::Memory { content, .. } => content,
            Open::File(_) | Open::Pieces | Open::Discard => Vec::new(),
        }
    }
}

/// Adds a piece to the content of a part in memory.
fn keep(content: &mut Vec<u8>, piece: &[u8], limit: usize, hold: &mut Hold) -> Result<(), Failure> {
    let len = content.len() + piece.len();
    if len > limit {
        return Err(too_large("a part of the form is too long"));
    }
    if len > content.capacity() {
        let capacity = len.max(content.capacity() * 2).min(limit);
        // While it grows, both the old and the new memory are there.
        if !hold.resize(HEAD_BYTES_MAX + content.capacity() + capacity) {
            return Err(Failure::from(Response::busy()));
        }
        content.reserve_exact(capacity - content.len());
        hold.set(HEAD_BYTES_MAX + content.capacity());
    }
    content.extend_from_slice(piece);
    Ok(())
}

fn too_large(text: &str) -> Failure {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}
