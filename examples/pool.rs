//! Work that blocks, in a pool of threads: notes in files.
//!
//! ```text
//! cargo run --release --example pool -- 127.0.0.1:8080 notes
//! curl -X PUT --data 'buy milk' http://127.0.0.1:8080/notes/today     # stored in notes/today
//! curl http://127.0.0.1:8080/notes/today
//! curl -X POST http://127.0.0.1:8080/count                      # 1 notes, 0 before
//! ```

use std::{fs, io, path::Path, time::Duration};
use wheelhouse::{Error, Failure, Pool, Reply, Response, Router, Server, StatusCode};

struct Site {
    /// The number of notes at the last count.
    count: usize,
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = arguments.next().unwrap_or_else(|| "notes".to_owned());
    // Two threads, since a disk serves few calls at once. At most 100 clients wait for them.
    let pool = Pool::new("disk", 2, 100)?;
    let (reads, writes, counts) = (pool.clone(), pool.clone(), pool);
    let (from, into) = (folder.clone(), folder.clone());
    let routes = Router::<Site>::new()
        // The thread makes the whole response.
        .get("/notes/{name}", move |_, req| {
            let path = Path::new(&from).join(&*req.param("name").unwrap_or_default());
            reads.run(move || match fs::read_to_string(path) {
                Ok(text) => Ok(Response::text(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Response::not_found()),
                Err(error) => Err(Failure::from(error)), // A 500, and a line in the log.
            })
        })
        .collect("PUT /notes/{name}", 4096, move |_, req, note| {
            let path = Path::new(&into).join(&*req.param("name").unwrap_or_default());
            let note = note.to_vec();
            let job = move || fs::write(path, note).map(|()| StatusCode::CREATED);
            writes.run(job).with_handler_timeout(Duration::from_secs(5))
        })
        // The thread works, then the loop goes on with the state.
        .post("/count", move |_, _| -> Reply<Site> {
            let folder = folder.clone();
            let count = move || fs::read_dir(folder).map(Iterator::count);
            counts.run_then(count, |site: &mut Site, count| -> Result<String, Failure> {
                let before = std::mem::replace(&mut site.count, count?);
                Ok(format!("{} notes, {before} before\n", site.count))
            })
        })
        .build()?;
    Server::with_state(Site { count: 0 }).listen(&address)?.run(routes)?;
    Ok(())
}
