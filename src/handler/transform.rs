//! [`Transform`]: makes the content of a response out of the content of its request.

use std::io;

use crate::message::body::Out;
use crate::message::fields::Fields;
use crate::message::trailers::Trailers;

/// Makes the content of a response out of the content of its request, piece by piece.
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
    /// Takes bytes from `piece`, puts bytes into `out` and returns the number of bytes taken. The
    /// rest of the piece comes again when there is room. Each call must take or put at least one
    /// byte.
    ///
    /// # Errors
    ///
    /// An error resets the connection, since the response has begun, and is logged.
    fn piece(&mut self, state: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize>;

    /// Takes the trailer fields of the request, as
    /// [`Receive::trailers`](crate::content::Receive::trailers) does. Called once, right before
    /// [`end`](Transform::end), if there are any.
    fn trailers(&mut self, state: &mut S, trailers: Fields<'_>) {
        let _ = (state, trailers);
    }

    /// Puts the rest of the output into `out` when the content is complete. There is room for at
    /// least 4 KiB, or for the rest of the announced length.
    ///
    /// # Errors
    ///
    /// As for [`piece`](Transform::piece).
    fn end(&mut self, state: &mut S, out: &mut Out<'_>) -> io::Result<()> {
        let _ = (state, out);
        Ok(())
    }

    /// Puts the trailer fields of the response, which are sent if its content goes out in chunks.
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

    /// Returns the length of the response's content in bytes, if it is known. The content is then
    /// sent with `Content-Length` instead of in chunks, and must have that length. Once that many
    /// bytes have been put, the rest of the request's content is dropped without a call.
    fn content_length(&self) -> Option<u64> {
        None
    }
}
