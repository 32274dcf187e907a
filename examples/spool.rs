//! An upload that a thread writes to disk. While the disk is behind, the receiver pauses and the
//! peer's own TCP window holds it back: neither the loop nor memory waits for the disk.
//!
//! ```text
//! cargo run --release --example spool -- 127.0.0.1:8080 /tmp/spooled
//! curl -T bigfile http://127.0.0.1:8080/
//! ```

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{mpsc, Arc};
use std::{fs::File, thread};

use wheelhouse::{Error, Flow, Later, Receive, Reply, Waker};

/// How many bytes may be on their way to the disk.
const BEHIND_MAX: usize = 1 << 20;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let path = arguments.next().unwrap_or_else(|| "spooled".to_owned());
    wheelhouse::serve(&address, move |_| {
        Reply::receive(Spool { path: path.clone(), disk: None, behind: Arc::default() })
    })?;
    Ok(())
}

struct Spool {
    path: String,
    disk: Option<mpsc::Sender<Job>>,
    behind: Arc<AtomicUsize>,
}

enum Job {
    Write(Vec<u8>),
    Answer(Later),
}

impl Spool {
    fn give(&self, job: Job) {
        // If the thread has ended, `Later` is dropped with the job: that is a 500.
        let _ = self.disk.as_ref().map(|disk| disk.send(job));
    }
}

impl Receive<()> for Spool {
    fn start(&mut self, (): &mut (), waker: Waker) {
        let (disk, jobs) = mpsc::channel();
        self.disk = Some(disk);
        let (path, behind) = (self.path.clone(), self.behind.clone());
        thread::spawn(move || write(&path, jobs, &behind, &waker));
    }

    fn piece(&mut self, (): &mut (), piece: &[u8]) -> Flow {
        self.behind.fetch_add(piece.len(), SeqCst);
        self.give(Job::Write(piece.to_vec()));
        self.resume(&mut ())
    }

    fn resume(&mut self, (): &mut ()) -> Flow {
        let is_behind = self.behind.load(SeqCst) > BEHIND_MAX;
        if is_behind {
            Flow::Pause
        } else {
            Flow::Continue
        }
    }

    fn end(self: Box<Self>, (): &mut ()) -> Reply {
        Reply::later(move |later| self.give(Job::Answer(later)))
    }
}

fn write(
    path: &str,
    jobs: mpsc::Receiver<Job>,
    behind: &AtomicUsize,
    waker: &Waker,
) -> io::Result<()> {
    let (mut file, mut len) = (File::create(path)?, 0);
    for job in jobs {
        match job {
            Job::Write(piece) => {
                file.write_all(&piece)?;
                len += piece.len();
                behind.fetch_sub(piece.len(), SeqCst);
                waker.wake();
            }
            Job::Answer(later) => later.answer(move |()| format!("{len} bytes on disk\n")),
        }
    }
    Ok(())
}
