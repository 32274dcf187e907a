//! An upload that a thread writes to disk. While the disk is too slow, the receiver pauses and TCP
//! holds the client back: the loop does not wait for the disk, and memory does not grow.
//!
//! ```text
//! cargo run --release --example spool -- 127.0.0.1:8080 /tmp/spooled
//! curl -T bigfile http://127.0.0.1:8080/
//! ```

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{mpsc, Arc};
use std::{fs::File, io, io::Write, thread};

use wheelhouse::content::{Flow, Receive};
use wheelhouse::{Error, Failure, Later, Reply, StatusCode, Waker};

/// The longest upload, in bytes.
const UPLOAD_MAX: u64 = 1 << 30;
/// The most bytes on their way to the disk.
const BEHIND_MAX: usize = 1 << 20;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let path = arguments.next().unwrap_or_else(|| "spooled".to_owned());
    wheelhouse::serve(&address, move |_| {
        let (disk, jobs) = mpsc::channel();
        let (path, jobs) = (path.clone(), Some(jobs));
        Reply::receive(UPLOAD_MAX, Spool { path, disk, jobs, behind: Arc::default() })
    })?;
    Ok(())
}

/// A piece to write; or none, and the right to respond when all is written.
type Job = (Vec<u8>, Option<Later>);

struct Spool {
    path: String,
    disk: mpsc::Sender<Job>,
    /// The thread's end, until there is a thread.
    jobs: Option<mpsc::Receiver<Job>>,
    behind: Arc<AtomicUsize>,
}

impl Receive<()> for Spool {
    fn start(&mut self, (): &mut (), waker: Waker) -> Result<(), Failure> {
        let (path, behind) = (self.path.clone(), self.behind.clone());
        let jobs = self.jobs.take();
        thread::spawn(move || {
            let Some(jobs) = jobs else { return };
            if let Err(error) = write(&path, jobs, &behind, &waker) {
                eprintln!("{path}: {error}");
                // A receiver that waits for the disk is to learn that there is none.
                behind.store(0, SeqCst);
                waker.wake();
            }
        });
        Ok(())
    }

    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Result<Flow, Failure> {
        self.behind.fetch_add(piece.len(), SeqCst);
        if self.disk.send((piece.to_vec(), None)).is_err() {
            // The thread has failed, and has written why.
            return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the disk failed"));
        }
        self.wake(&mut ())
    }

    fn wake(&mut self, (): &mut ()) -> Result<Flow, Failure> {
        let is_behind = self.behind.load(SeqCst) > BEHIND_MAX;
        if is_behind {
            Ok(Flow::Pause)
        } else {
            Ok(Flow::Continue)
        }
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        let (later, reply) = Reply::later();
        // If the thread has ended, the `Later` is dropped, which is a 500.
        let _ = self.disk.send((Vec::new(), Some(later)));
        reply
    }
}

fn write(
    path: &str,
    jobs: mpsc::Receiver<Job>,
    behind: &AtomicUsize,
    waker: &Waker,
) -> io::Result<()> {
    let (mut file, mut len) = (File::create(path)?, 0);
    for (piece, later) in jobs {
        file.write_all(&piece)?;
        len += piece.len();
        behind.fetch_sub(piece.len(), SeqCst);
        waker.wake();
        if let Some(later) = later {
            later.respond(format!("{len} bytes on disk\n"));
        }
    }
    Ok(())
}
