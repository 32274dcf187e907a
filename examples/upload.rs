//! An upload of any size in constant memory: the content is written piece by piece as it arrives.
//!
//! ```text
//! cargo run --release --example upload -- 127.0.0.1:8080 /tmp/inbox
//! curl -T bigfile http://127.0.0.1:8080/      # 1073741824 bytes, or open / in a browser
//! ```
//!
//! An incomplete upload leaves no file. A real program would check the sender, and write where a
//! slow disk does not hold up the loop: see `spool`.

use std::{fs, fs::File, io::Write, path::PathBuf, time::SystemTime};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::{Error, Failure, Reply, Request, Response, Router, Server};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let inbox = arguments.next().unwrap_or_else(|| "/tmp".to_owned());
    let routes = Router::<String>::new()
        .get("/{$}", |_, _| Response::html(include_str!("upload.html")))
        .put("/", upload)
        .post("/", upload)
        .build()?;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    Server::with_state(format!("{inbox}/{now}")).listen(&address)?.run(routes).map(drop)
}

/// The program chooses the name, not the client. Ids of requests are unique in one run of it.
fn upload(prefix: &mut String, req: &Request<'_>) -> Result<Reply<String>, Failure> {
    let path = PathBuf::from(format!("{prefix}-{}.part", req.id()));
    let file = File::create_new(&path)?; // An error is a 500 and a line in the log.
    Ok(Reply::receive(64 << 30, Upload { path, file, len: 0 })) // More than 64 GiB is a 413.
}

struct Upload {
    path: PathBuf,
    file: File,
    len: u64,
}

impl<S: 'static> Receive<S> for Upload {
    fn piece(&mut self, _: &mut S, piece: &[u8]) -> Result<Flow<S>, Failure> {
        self.file.write_all(piece)?;
        self.len += piece.len() as u64;
        Ok(Flow::Continue)
    }

    fn end(self: Box<Self>, _: &mut S) -> Reply<S> {
        let kept = fs::rename(&self.path, self.path.with_extension(""));
        kept.map(|()| format!("{} bytes\n", self.len)).into()
    }
}

/// Dropped in every case: after a failure, too. A complete part has its other name by now.
impl Drop for Upload {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
