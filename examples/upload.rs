//! Content piece by piece: an upload of any size in constant memory.
//!
//! ```text
//! cargo run --release --example upload -- 127.0.0.1:8080 /tmp/inbox
//! curl -T bigfile http://127.0.0.1:8080/          # or open / in a browser
//! ```
//!
//! Without a directory the bytes are only counted. A real program would check the sender, and write
//! where a slow disk does not hold up the loop: see `spool`.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use wheelhouse::content::{Flow, Lost, Receive};
use wheelhouse::{Error, Failure, Method, Reply, Request, Response};

/// The longest upload, in bytes: more is a 413.
const UPLOAD_MAX: u64 = 64 << 30;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let inbox = arguments.next().map(PathBuf::from);
    wheelhouse::serve(&address, move |req| upload(req, inbox.as_ref()))?;
    Ok(())
}

fn upload(req: &Request<'_>, inbox: Option<&PathBuf>) -> Result<Reply, Failure> {
    match *req.method() {
        Method::PUT | Method::POST => {}
        Method::GET | Method::HEAD => return Ok(Response::html(include_str!("upload.html")).into()),
        _ => return Ok(Response::method_not_allowed("GET, HEAD, PUT, POST").into()),
    }
    // The program chooses the name, not the client, so no name can lead out of the directory.
    let path = inbox.map(|inbox| inbox.join(req.id().to_string()));
    let file = path.as_ref().map(File::create).transpose()?;
    Ok(Reply::receive(UPLOAD_MAX, Upload { path, file, len: 0 }))
}

/// Invariant: `len` bytes have come, and all of them are in the file if there is one.
struct Upload {
    path: Option<PathBuf>,
    file: Option<File>,
    len: u64,
}

impl<S: 'static> Receive<S> for Upload {
    fn piece(&mut self, _: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
        if let Some(file) = &mut self.file {
            file.write_all(piece)?; // An error is a 500 and a line in the log.
        }
        self.len += piece.len() as u64;
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        format!("{} bytes\n", self.len).into()
    }

    fn lost(self: Box<Self>, _: &mut S, _: Lost) {
        if let Some(path) = self.path {
            // An incomplete upload is useless.
            let _ = fs::remove_file(path);
        }
    }
}
