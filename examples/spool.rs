//! An upload that a thread writes to disk. The receiver pauses until a piece is written, and TCP
//! holds the client back: the loop never waits. Incomplete files stay; `upload` removes them.
//!
//! ```text
//! cargo run --release --example spool -- 127.0.0.1:8080 /tmp/spooled
//! curl -iT bigfile http://127.0.0.1:8080/     # 201 Created: /tmp/spooled-1-0 is complete
//! ```

use std::{fs::File, io, io::Write, sync::mpsc, sync::Arc, sync::OnceLock, thread};
use wheelhouse::content::{Flow, Receive};
use wheelhouse::{Error, Failure, Reply, Router, Server, StatusCode, Waker};

type Disk = mpsc::Sender<Box<dyn FnOnce() + Send>>;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let prefix = arguments.next().unwrap_or_else(|| "spooled".to_owned());
    let routes = Router::<Disk>::new().put("/", move |_, req| -> io::Result<_> {
        let file = Arc::new(File::create(format!("{prefix}-{}", req.id()))?);
        Ok(Reply::receive(1 << 30, Spool { file, waker: None, written: Arc::default() }))
    });
    let (disk, jobs): (Disk, _) = mpsc::channel();
    thread::spawn(move || jobs.into_iter().for_each(|write| write()));
    Server::with_state(disk).listen(&address)?.run(routes.build()?).map(drop)
}

struct Spool {
    file: Arc<File>,
    waker: Option<Waker>,
    written: Arc<OnceLock<io::Result<()>>>,
}

impl Receive<Disk> for Spool {
    fn start(&mut self, _: &mut Disk, waker: Waker) -> Result<(), Failure> {
        self.waker = Some(waker);
        Ok(())
    }

    fn piece(&mut self, disk: &mut Disk, piece: &[u8]) -> Result<Flow<Disk>, Failure> {
        self.written = Arc::default();
        let (file, piece) = (self.file.clone(), piece.to_vec());
        let (written, waker) = (self.written.clone(), self.waker.clone());
        disk.send(Box::new(move || {
            let _ = written.set((&*file).write_all(&piece));
            waker.iter().for_each(Waker::wake);
        }))?;
        Ok(Flow::Pause)
    }

    fn wake(&mut self, _: &mut Disk) -> Result<Flow<Disk>, Failure> {
        let Some(result) = self.written.get() else { return Ok(Flow::Pause) };
        result.as_ref().map(|()| Flow::Continue).map_err(Failure::internal)
    }

    fn end(self: Box<Self>, _: &mut Disk) -> Reply<Disk> {
        StatusCode::CREATED.into()
    }
}
