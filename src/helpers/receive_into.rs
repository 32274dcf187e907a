//! [`Reply::receive_into`]: content that goes into a writer, such as a file.

use std::io::Write;
use std::marker::PhantomData;

use crate::handler::{Failure, Flow, Receive, Reply};

impl<S: 'static> Reply<S> {
    /// Writes the content into `writer` as it arrives, at most `limit` bytes of it, and then replies
    /// with the result of `then`, which gets the writer back.
    ///
    /// If the content is too long, never becomes complete or cannot be written, `writer` is dropped
    /// and `then` is not called. So a file that removes itself leaves nothing behind, such as the
    /// `NamedTempFile` of the crate `tempfile`. An error of the writer is a 500 and a line in the log.
    ///
    /// ```
    /// use std::fs;
    /// use tempfile::NamedTempFile;
    /// use wheelhouse::{sim::Sim, Failure, Reply, Request, Response, StatusCode};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("firmware");
    /// # let installed = path.clone();
    /// let mut sim = Sim::new(move |_: &Request<'_>| -> Result<Reply, Failure> {
    ///     let part = NamedTempFile::new_in(path.parent().unwrap())?;
    ///     let path = path.clone();
    ///     Ok(Reply::receive_into(8 << 20, part, move |_, part| -> Result<_, Failure> {
    ///         part.persist(&path)?;
    ///         Ok(StatusCode::CREATED)
    ///     }))
    /// });
    /// assert_eq!(sim.request("PUT", "/").body("version 2").send().status(), 201);
    /// assert_eq!(fs::read(&installed)?, b"version 2");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// The bytes are written on the loop, so the writer must not block for long. For a disk that may be
    /// slow, implement [`Receive`] with a pause.
    #[doc(alias("upload", "io.Copy"))]
    pub fn receive_into<W, R>(
        limit: u64,
        writer: W,
        then: impl FnOnce(&mut S, W) -> R + 'static,
    ) -> Reply<S>
    where
        W: Write + 'static,
        R: Into<Reply<S>> + 'static,
    {
        Reply::receive(limit, IntoWriter { writer, then, reply: PhantomData })
    }
}

/// Writes the content, and then calls a function that returns `R`.
struct IntoWriter<W, F, R> {
    writer: W,
    then: F,
    reply: PhantomData<R>,
}

impl<S, W, F, R> Receive<S> for IntoWriter<W, F, R>
where
    W: Write,
    F: FnOnce(&mut S, W) -> R,
    R: Into<Reply<S>>,
{
    fn piece(&mut self, _: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
        self.writer.write_all(piece)?;
        Ok(Flow::Continue)
    }

    fn end(mut self: Box<Self>, state: &mut S) -> Reply<S> {
        if let Err(error) = self.writer.flush() {
            return Failure::from(error).into();
        }
        let IntoWriter { writer, then, .. } = *self;
        then(state, writer).into()
    }
}
