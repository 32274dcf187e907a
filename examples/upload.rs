//! Content piece by piece: an upload of any size in flat memory.
//!
//! ```text
//! cargo run --release --example upload -- 127.0.0.1:8080 /tmp/inbox
//! curl -T bigfile http://127.0.0.1:8080/          # or open / in a browser
//! ```
//!
//! Without a directory the bytes are only counted. A real program would check who sends, bound
//! the length, and write where a slow disk does not hold up the loop: see `spool`.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use wheelhouse::{Error, Flow, Gone, Method, Receive, Reply, Request, Response};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let inbox = arguments.next().map(PathBuf::from);
    wheelhouse::serve(&address, move |req| upload(req, inbox.as_ref()))?;
    Ok(())
}

fn upload(req: &Request<'_>, inbox: Option<&PathBuf>) -> Reply {
    match *req.method() {
        Method::PUT | Method::POST => {}
        Method::GET | Method::HEAD => return Response::html(include_str!("upload.html")).into(),
        _ => return Response::method_not_allowed("GET, HEAD, PUT, POST").into(),
    }
    // Named by us and not by the peer, so no name can lead out of the directory.
    let name = format!("{}-{}", req.connection_id(), req.id().index());
    let path = inbox.map(|inbox| inbox.join(name));
    match path.as_ref().map(File::create).transpose() {
        Ok(file) => Reply::receive(Upload { path, file, len: 0 }),
        Err(error) => Err::<Response, _>(error).into(),
    }
}

/// Invariant: `len` bytes have come, and all of them are in the file if there is one.
struct Upload {
    path: Option<PathBuf>,
    file: Option<File>,
    len: u64,
}

impl<S: 'static> Receive<S> for Upload {
    fn piece(&mut self, _: &mut S, piece: &[u8]) -> Flow<S> {
        self.len += piece.len() as u64;
        match self.file.as_mut().map(|file| file.write_all(piece)) {
            Some(Err(error)) => Flow::Answer(Err::<Response, _>(error).into()),
            Some(Ok(())) | None => Flow::Continue,
        }
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        format!("{} bytes\n", self.len).into()
    }

    fn gone(self: Box<Self>, _: &mut S, _: Gone) {
        if let Some(path) = self.path {
            // Half an upload is none.
            let _ = fs::remove_file(path);
        }
    }
}
