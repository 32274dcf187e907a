//! [`Transform`]: the content of a response, made out of the content of its request.

use std::io;

use crate::message::body::Out;
use crate::message::fields::Fields;
use crate::message::trailers::Trailers;

/// Makes the content of the response out of the content of the request.
///
/// ```
/// use std::io;
/// use wheelhouse::body::Out;
/// use wheelhouse::content::Transform;
/// use wheelhouse::{Reply, Request, Response};
///
/// struct Upper;
///
/// impl<S> Transform<S> for Upper {
///     fn piece(&mut self, _: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
///         Ok(out.put(&piece[..piece.len().min(out.room())].to_ascii_uppercase()))
///     }
/// }
/// # let mut sim = wheelhouse::sim::Sim::new(|_: &Request<'_>| {
/// #     Reply::transform(Response::text(""), Upper)
/// # });
/// # let c = sim.connect();
/// # sim.send(c, b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi");
/// # assert!(sim.received(c).ends_with(b"\r\n\r\nHI"));
/// ```
pub trait Transform<S = ()> {
    /// Takes bytes from `piece`, puts bytes into `out` and returns how many it has taken. The rest
    /// of the piece comes again when there is room. It must take or put at least one byte.
    ///
    /// # Errors
    ///
    /// An error resets the connection, since the response has begun, and is logged.
    fn piece(&mut self, state: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize>;

    /// The fields after the request's content, as for
    /// [`Receive::trailers`](crate::content::Receive::trailers): called once, right before
    /// [`end`](Transform::end), if there are any.
    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        let _ = (state, trailers);
    }

    /// The content is complete: the rest of the output goes into `out`, which has room for at
    /// least 4 KiB, or for the rest of the length that was announced.
    ///
    /// # Errors
    ///
    /// As for [`piece`](Transform::piece).
    fn end(&mut self, state: &mut S, out: &mut Out<'_>) -> io::Result<()> {
        let _ = (state, out);
        Ok(())
    }

    /// Puts the fields that are sent after the response's content, where it goes out in chunks.
    /// Called once, after [`end`](Transform::end).
    ///
    /// # Errors
    ///
    /// As for [`piece`](Transform::piece). A [`FieldError`](crate::FieldError) is such an error, so
    /// `?` works on [`Trailers::append`].
    fn put_trailers(&mut self, state: &mut S, trailers: &mut Trailers) -> io::Result<()> {
        let _ = (state, trailers);
        Ok(())
    }

    /// The length of the response's content, if it is known: the content is then sent with
    /// `Content-Length` instead of in chunks, and held to it. When that many bytes were put, the
    /// rest of the request's content is dropped without being shown.
    fn content_length(&self) -> Option<u64> {
        None
    }
}
