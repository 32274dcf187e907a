//! A form with files, as browsers send it: files of any size arrive in flat memory.
//!
//! ```text
//! cargo run --release --example album -- 127.0.0.1:8080 /tmp      # open / in a browser
//! curl -F title=Holidays -F photo=@a.jpg -F photo=@b.jpg http://127.0.0.1:8080/
//! ```

use std::{fs, fs::File, mem, path::PathBuf, time::SystemTime};
use wheelhouse::multipart::{self, Form, Part, Sink};
use wheelhouse::{Error, Failure, Reply, Response, Router, Server};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = arguments.next().unwrap_or_else(|| "/tmp".to_owned());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let routes = Router::<()>::new()
        .get("/{$}", |_, _| Response::html(include_str!("album.html")))
        .post("/{$}", move |_, req| {
            let prefix = format!("{folder}/{now}-{}", req.id());
            let album = Album { prefix, files: Vec::new(), title: String::new() };
            multipart::receive(req, 4 << 30, album) // More than 4 GiB is a 413.
        });
    Server::new().listen(&address)?.run(routes.build()?).map(drop)
}

struct Album {
    prefix: String,
    files: Vec<PathBuf>,
    title: String,
}

impl Form for Album {
    fn part(&mut self, _: &mut (), part: &Part<'_>) -> Result<Sink, Failure> {
        match (part.name(), part.file_name()) {
            ("title", None) => return Ok(Sink::Memory(400)), // A longer title is a 413.
            ("photo", Some(name)) if !name.is_empty() => {}  // Empty: the user has chosen none.
            _ => return Ok(Sink::Discard),
        }
        // The program chooses the name, not the client.
        self.files.push(format!("{}-{}.photo", self.prefix, self.files.len()).into());
        Ok(Sink::File(File::create_new(&self.files[self.files.len() - 1])?)) // An error is a 500.
    }

    fn end_of_part(&mut self, _: &mut (), content: Vec<u8>) -> Result<(), Failure> {
        self.title.push_str(&String::from_utf8_lossy(&content)); // Empty for files.
        Ok(())
    }

    fn end(mut self: Box<Self>, _: &mut ()) -> Reply {
        format!("{:?} has {} photos\n", self.title, mem::take(&mut self.files).len()).into()
    }
}

impl Drop for Album {
    fn drop(&mut self) {
        self.files.iter().for_each(|path| drop(fs::remove_file(path))); // Of a broken form.
    }
}
