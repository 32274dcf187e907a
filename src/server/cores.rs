//! One server for each core, with nothing shared: each loop has its own thread, listeners, handler,
//! limits and memory, and the kernel distributes the connections.

use std::fmt;
use std::panic;
use std::sync::{mpsc, Arc};
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::reactor::loop_group::Group;
use crate::server::event_loop::EventLoop;
use crate::server::Handle;
use crate::stats::Report;
use crate::stats::Stats;

/// Servers on several threads, started by a factory and ended together.
///
/// The factory runs on each thread and builds its loop there, so neither states nor handlers need
/// be `Send`. The values that it captures must be. It runs for one core after the other, from core
/// 0 on, so core 0 can leave something for the others, such as the port that the system chose.
///
/// ```no_run
/// use wheelhouse::runtime::{Cores, Listener};
/// use wheelhouse::{Response, Server};
///
/// let cores = Cores::start(0, |core| {
///     let server = Server::new().listen(Listener::new("127.0.0.1:8080").shared())?;
///     #[cfg(feature = "signals")]
///     let server = server.on_signals();
///     let mut served = 0; // By this core alone.
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
/// # Shared and separate
///
/// * All cores share the address. For TCP use
///   [`Listener::shared`](crate::runtime::Listener::shared). A Unix socket cannot be shared in this
///   way: let one core listen on it, or give each core a clone of one open `UnixListener`. Clones
///   of a `TcpListener` work as well.
/// * All cores end together. A signal, the [`Handle`] of one core in a handler, and these methods
///   each end all cores in the same way, and all drain within the same timeout. Set
///   [`on_signals`](crate::Server::on_signals) on every core: a core hears signals only while it
///   runs, and another one must be left to hear the second signal when the first core is done.
/// * Each core has its own [`Limits`](crate::Limits): divide the memory of the machine by the
///   number of cores. Set `connections_max`, too, because the limit of descriptors is one for the
///   process.
#[doc(alias("workers", "cluster", "GOMAXPROCS", "multi-threaded"))]
#[must_use = "`join` waits for the cores and returns their reports and errors"]
pub struct Cores {
    group: Arc<Group>,
    handle: Handle,
    stats: Stats,
    threads: Vec<JoinHandle<Result<Report, Error>>>,
}

impl Cores {
    /// Runs `factory` on `count` new threads, with the number of each from 0, and then all loops
    /// that it has built. `0` means as many threads as the process may use at once
    /// ([`thread::available_parallelism`]).
    ///
    /// # Errors
    ///
    /// The first error of a factory; [`Error::Loop`] if the system refuses a thread. No connection
    /// has been accepted by then, and no thread is left.
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
        let stats = Stats::of_group(group.numbers.clone());
        let mut cores = Cores { group, handle, stats, threads: Vec::new() };
        let mut waiting = Vec::new();
        for core in 0..count {
            match cores.start_one(core, factory.clone()) {
                Ok(go) => waiting.push(go),
                Err(refused) => {
                    // The threads that wait end when their senders are gone.
                    drop(waiting);
                    cores.join()?;
                    return Err(refused.expect("a thread that was not ready has an error"));
                }
            }
        }
        for go in waiting {
            let _ = go.send(());
        }
        Ok(cores)
    }

    /// Starts one thread and waits until its loop is built. Returns the sender that lets it run. An
    /// error of the factory is the result of its thread, so there is none here.
    fn start_one<S: 'static>(
        &mut self,
        core: usize,
        factory: Arc<impl Fn(usize) -> Result<EventLoop<S>, Error> + Send + Sync + 'static>,
    ) -> Result<mpsc::Sender<()>, Option<Error>> {
        let (ready, is_ready) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let group = self.group.clone();
        let body = move || {
            let mut events = factory(core)?;
            events.join_group(&group);
            let _ = ready.send(());
            match may_go.recv() {
                // Whatever ends this loop ends the others, an error and a panic included: its owner
                // stops it then.
                Ok(()) => events.run(),
                Err(_) => Ok(events.into_state().1),
            }
        };
        let thread = thread::Builder::new().name(format!("core {core}")).spawn(body);
        self.threads.push(thread.map_err(|error| Some(Error::Loop(error)))?);
        is_ready.recv().map_err(|_| None)?;
        Ok(go)
    }

    /// Returns the handle that ends or changes all cores.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Returns the numbers of all cores together, which any thread can read while they run. The
    /// [`stats`](crate::Server::stats) of one of the servers returns the same.
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Waits until all cores have ended, and returns the report of each in the order of their
    /// numbers.
    ///
    /// # Errors
    ///
    /// The first error of [`EventLoop::run`]. It has stopped the other cores.
    ///
    /// # Panics
    ///
    /// If a thread panicked, with its panic, once all have ended.
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
