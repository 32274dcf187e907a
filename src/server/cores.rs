//! One server for each core, with nothing shared: each loop has its own thread, listeners,
//! handler, limits and memory, and the kernel deals the connections out.

use std::fmt;
use std::panic;
use std::sync::{mpsc, Arc};
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::reactor::loop_group::Group;
use crate::report::Report;
use crate::server::event_loop::EventLoop;
use crate::server::Handle;

/// Servers on several threads, started by a factory and ended together.
///
/// The factory runs on each thread and builds its loop there, so neither states nor handlers need be
/// `Send`. The values that it captures must be. It runs for one core after the other, the first one first: what core 0 finds
/// out, such as the port that the system chose, it can leave for the others.
///
/// ```no_run
/// use wheelhouse::runtime::Cores;
/// use wheelhouse::{Response, Server};
///
/// let cores = Cores::start(0, |core| {
///     let server = Server::new().listen_shared("127.0.0.1:8080")?;
///     #[cfg(feature = "signals")]
///     let server = server.on_signals();
///     let mut served = 0; // of this core alone
///     server.build(move |_: &wheelhouse::Request<'_>| {
///         served += 1;
///         Response::text(format!("number {served} of core {core}\n"))
///     })
/// })?;
/// for report in cores.join()? {
///     println!("{report:?}");
/// }
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// # What is one for all, and what is one for each
///
/// * The address: [`listen_shared`](crate::Server::listen_shared) for TCP. A Unix socket cannot be
///   shared so: let one core listen on it, or give each core a clone of one socket with
///   [`listen_on_unix`](crate::Server::listen_on_unix), as also works for TCP.
/// * The end: whatever ends one core ends all of them in the same way, whether a signal, the
///   [`Handle`] of a core in a handler, or these methods. All drain within the same
///   time-out. Set [`on_signals`](crate::Server::on_signals) on every core: each hears signals only as
///   long as it runs, and the first to be done should not be the only one to hear the second.
/// * [`Limits`](crate::Limits) are of each core: divide what the machine has by the number of
///   cores. That the limit of descriptors is one for the process must be seen to as well:
///   set `connections_max`.
pub struct Cores {
    group: Arc<Group>,
    handle: Handle,
    threads: Vec<JoinHandle<Result<Report, Error>>>,
}

/// Sees to it that no core goes on alone when the loop of another panics.
struct Watch<'a>(&'a Group);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

impl Cores {
    /// Runs `factory` on `count` new threads, with the number of each from 0, and then all that it
    /// has made. `0` means as many as the process may use at once
    /// ([`thread::available_parallelism`]).
    ///
    /// # Errors
    ///
    /// The first error of a factory; [`Error::Loop`] if the system gives no thread. Nothing has been accepted by then,
    /// and no thread is left.
    ///
    /// # Panics
    ///
    /// If a factory panics, with its panic.
    pub fn start<S: 'static>(
        count: usize,
        factory: impl Fn(usize) -> Result<EventLoop<S>, Error> + Send + Sync + 'static,
    ) -> Result<Cores, Error> {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let factory = Arc::new(factory);
        let group = Arc::<Group>::default();
        let handle = Handle::of_group(group.clone());
        let mut cores = Cores { group, handle, threads: Vec::new() };
        let mut waiting = Vec::new();
        for core in 0..count {
            match cores.start_one(core, factory.clone()) {
                Ok(go) => waiting.push(go),
                Err(error) => {
                    // Without their word the others go home.
                    drop(waiting);
                    return Err(cores.join().err().unwrap_or(error));
                }
            }
        }
        for go in waiting {
            let _ = go.send(());
        }
        Ok(cores)
    }

    /// Starts one thread and waits until its server is made: how it is told to run. The error of a
    /// factory comes out of its thread.
    fn start_one<S: 'static>(
        &mut self,
        core: usize,
        factory: Arc<impl Fn(usize) -> Result<EventLoop<S>, Error> + Send + Sync + 'static>,
    ) -> Result<mpsc::Sender<()>, Error> {
        let (say_ready, is_ready) = mpsc::channel();
        let (go, wait_for_go) = mpsc::channel();
        let group = self.group.clone();
        let body = move || {
            let _watch = Watch(&group);
            let mut events = factory(core)?;
            events.join_group(&group);
            let _ = say_ready.send(());
            if wait_for_go.recv().is_err() {
                return Ok(Report::default());
            }
            let result = events.run();
            if result.is_err() {
                group.stop();
            }
            result
        };
        let thread = thread::Builder::new().name(format!("core {core}")).spawn(body);
        self.threads.push(thread.map_err(Error::Loop)?);
        match is_ready.recv() {
            Ok(()) => Ok(go),
            // It has ended: `join` tells why.
            Err(_) => Err(Error::NoListener),
        }
    }

    /// Returns the handle that ends or changes all cores.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits until all have ended, and gives the report of each in the order of their numbers.
    ///
    /// # Errors
    ///
    /// The first error of [`EventLoop::run`], after which all others were stopped.
    ///
    /// # Panics
    ///
    /// If a thread panicked, with its panic, when all have ended.
    pub fn join(self) -> Result<Vec<Report>, Error> {
        let ends: Vec<_> = self.threads.into_iter().map(JoinHandle::join).collect();
        let ends = ends.into_iter().map(|end| end.unwrap_or_else(|why| panic::resume_unwind(why)));
        ends.collect()
    }
}

impl fmt::Debug for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cores").field("count", &self.threads.len()).finish_non_exhaustive()
    }
}
