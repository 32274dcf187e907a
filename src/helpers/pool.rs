//! [`Pool`]: threads for work that blocks, with a bounded queue.
//!
//! ```text
//!   handler, loop                          thread of the pool
//!   ─────────────                          ──────────────────
//!   run: puts a job into the queue ──────►  takes the job
//!        (full: 503 at once)                skips it if nobody waits for its result
//!   the connection waits with a deadline    runs it, and catches its panic
//!   sends the response         ◄──────────  gives the result to its `Later`
//! ```
//!
//! The pool knows nothing of connections: a [`Later`] in the job is the only way back to the loop.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::handler::guard::{guard, let_go, Panic};
use crate::handler::{Later, Reply};
use crate::logging::error;
use crate::message::request_error::PoolFull;
use crate::message::response::Response;

/// Threads for work that blocks: a database, a slow disk, a long calculation.
///
/// A handler runs on the loop, so it must not block. It gives such work to a pool as a *job*: a
/// closure that owns its data. The queue of a pool is bounded. When it is full, the client gets a
/// 503 with `Retry-After` at once instead of a response that comes too late.
///
/// ```
/// use std::fs;
/// use wheelhouse::{sim::Sim, Failure, Pool, Router};
///
/// let pool = Pool::new("disk", 2, 100)?;
/// let routes = Router::<()>::new()
///     .get("/size/{name}", move |_, req| {
///         let name = req.param("name").unwrap_or_default().into_owned();
///         pool.run(move || -> Result<String, Failure> {
///             Ok(format!("{} bytes\n", fs::metadata(name)?.len()))
///         })
///     })
///     .build()?;
///
/// let mut sim = Sim::new(routes);
/// let expected = format!("{} bytes\n", fs::metadata("Cargo.toml")?.len());
/// assert_eq!(sim.get("/size/Cargo.toml").text(), expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **Deadlines.** A job has the time of [`Limits::handler_timeout`](crate::Limits::handler_timeout),
/// the time in the queue included; [`Reply::with_handler_timeout`] sets another one. Then the client
/// gets a 504. A job that has not begun by then, or whose client has left, is skipped. A job that has
/// begun runs to its end, since a thread cannot be interrupted, and its result is dropped.
///
/// **Panics.** A job that panics is a 500 and a line in the log. Its thread takes the next job.
///
/// **Shutdown.** A graceful shutdown waits for the responses of jobs, as for any other response.
/// [`finish`](Pool::finish) waits for the jobs without a response ([`execute`](Pool::execute)), too.
///
/// Clones are the same pool. When the last one is dropped, the threads end after the jobs in the
/// queue, and nobody waits for them.
///
/// **Memory.** The data that a job owns is not counted against
/// [`Limits::memory_bytes_max`](crate::Limits::memory_bytes_max): the greatest length of the queue is
/// its bound.
#[derive(Clone)]
#[doc(alias("spawn_blocking", "thread pool", "worker"))]
pub struct Pool(Arc<Owner>);

/// Ends the threads when the last clone of the pool is dropped.
struct Owner(Arc<Shared>);

struct Shared {
    name: String,
    threads: usize,
    /// The greatest number of jobs that wait while all threads are busy.
    queue_max: usize,
    inner: Mutex<Inner>,
    /// Notified when a job or the end of the pool is there for a thread.
    has_work: Condvar,
    /// Notified when a job has ended.
    has_ended: Condvar,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Job>,
    running: usize,
    panics: u64,
    /// Whether the pool takes no more jobs, and its threads end after the queue.
    is_closed: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl Pool {
    /// Starts `threads` threads, with room for `queue_max` jobs that wait for a thread. The threads
    /// have the names `name-0`, `name-1` and so on, of which Linux keeps 15 bytes.
    ///
    /// For work that waits (a database, a disk), `threads` is the number of calls that the other
    /// side serves well at once. For work that calculates, it is the number of cores that the loop
    /// can spare. `queue_max` should be no more than the threads can do within the patience of a
    /// client.
    ///
    /// # Errors
    ///
    /// [`Error::Pool`] if `threads` is 0, if the name has a NUL, or if the system refuses a thread.
    pub fn new(name: &str, threads: usize, queue_max: usize) -> Result<Pool, Error> {
        let refusal = |source| Error::Pool { name: name.to_owned(), source };
        if threads == 0 || name.contains('\0') {
            let text = "it needs at least one thread, and a name without NUL";
            return Err(refusal(io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        let shared = Shared {
            name: name.to_owned(),
            threads,
            queue_max,
            inner: Mutex::default(),
            has_work: Condvar::new(),
            has_ended: Condvar::new(),
        };
        // If a thread cannot be started, dropping this ends the threads before it.
        let pool = Pool(Arc::new(Owner(Arc::new(shared))));
        for n in 0..threads {
            let shared = Arc::clone(&pool.0 .0);
            let thread = thread::Builder::new().name(format!("{name}-{n}"));
            thread.spawn(move || work(&shared)).map_err(refusal)?;
        }
        Ok(pool)
    }

    /// Replies with the result of `job`, which runs in a thread of the pool. An error is a
    /// response, too: see [`Failure`](crate::Failure).
    ///
    /// If the queue is full, the client gets a 503 with `Retry-After`, and `job` is dropped.
    pub fn run<S, R>(&self, job: impl FnOnce() -> R + Send + 'static) -> Reply<S>
    where
        S: 'static,
        R: Into<Response>,
    {
        self.run_then(move || job().into(), |_, response: Response| response)
    }

    /// Runs `job` in a thread of the pool, then `then` on the loop, with the state of the server.
    /// The client gets the reply that `then` returns.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Pool, Router};
    ///
    /// let pool = Pool::new("sums", 1, 10)?;
    /// let routes = Router::<u64>::new()
    ///     .post("/add/{n}", move |_, req| {
    ///         let n = req.parse_param::<u64>("n").unwrap_or(0);
    ///         let sum = move || (1..=n).sum::<u64>();
    ///         pool.run_then(sum, |total: &mut u64, sum| {
    ///             *total += sum;
    ///             format!("{total}\n")
    ///         })
    ///     })
    ///     .build()?;
    ///
    /// let mut sim = Sim::with_state(0, routes);
    /// assert_eq!(sim.request("POST", "/add/4").send().text(), "10\n");
    /// assert_eq!(sim.request("POST", "/add/2").send().text(), "13\n");
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn run_then<S, T, R>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut S, T) -> R + Send + 'static,
    ) -> Reply<S>
    where
        S: 'static,
        T: Send + 'static,
        R: Into<Reply<S>>,
    {
        self.run_later(|later| {
            let result = job();
            later.respond_with(move |state| then(state, result));
        })
    }

    /// Runs a job that responds by itself, and may go on after that: to send content that is too
    /// large for the memory, or to do work for which the client does not wait.
    ///
    /// The thread is occupied while it sends, as long as the client reads. So this pool needs a thread
    /// for each client that is served at once.
    ///
    /// ```
    /// use std::{fs::File, io};
    /// use wheelhouse::{sim::Sim, Body, Failure, Pool, Reply, Request, Response};
    ///
    /// let pool = Pool::new("slow disk", 8, 100)?;
    /// let mut sim = Sim::new(move |_: &Request<'_>| -> Reply {
    ///     pool.run_later(|later| match File::open("Cargo.toml") {
    ///         Ok(mut file) => {
    ///             let (mut sender, body) = Body::channel(64 << 10);
    ///             later.respond(Response::ok("text/plain", body));
    ///             if io::copy(&mut file, &mut sender).is_ok() {
    ///                 sender.finish(); // Else the client sees that the content is incomplete.
    ///             }
    ///         }
    ///         Err(error) => later.respond(Failure::from(error)),
    ///     })
    /// });
    /// assert!(sim.get("/").text().starts_with("[workspace]"));
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn run_later<S: 'static>(&self, job: impl FnOnce(Later<S>) + Send + 'static) -> Reply<S> {
        let (later, reply) = Reply::later();
        let job = move || {
            if let Some(later) = awaited(later) {
                job(later);
            }
        };
        match self.execute(job) {
            Ok(()) => reply,
            Err(full) => Response::from(full).into(),
        }
    }

    /// Runs a job that has no response, such as writing to a log of the program.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if the queue is full or after [`finish`](Pool::finish). `job` is dropped. In a
    /// handler, `?` makes a 503 with `Retry-After` of it.
    pub fn execute(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolFull> {
        let shared = self.shared();
        let mut inner = shared.lock();
        // A job for which a thread is free does not wait, so it needs no room in the queue.
        let room = shared.queue_max.saturating_add(shared.threads - inner.running);
        if inner.is_closed || inner.queue.len() >= room {
            return Err(PoolFull);
        }
        inner.queue.push_back(Box::new(job));
        drop(inner);
        shared.has_work.notify_one();
        Ok(())
    }

    /// Takes no more jobs, waits for at most `within` until all jobs have ended, and returns the
    /// number of jobs that have not. Those in the queue are dropped then, and those that run go on.
    ///
    /// Call it after the server has ended, for the jobs that have no response:
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use wheelhouse::{Pool, Reply, Request, Server};
    /// # fn main() -> Result<(), wheelhouse::Error> {
    /// let pool = Pool::new("writer", 1, 1000)?;
    /// let jobs = pool.clone();
    /// Server::new().listen("127.0.0.1:8080")?.serve(move |_| {
    ///     match jobs.execute(|| { /* writes a file */ }) {
    ///         Ok(()) => "will be written\n",
    ///         Err(_) => "try again\n",
    ///     }
    /// })?;
    /// let left = pool.finish(Duration::from_secs(10));
    /// assert_eq!(left, 0, "all is written");
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish(&self, within: Duration) -> usize {
        let shared = self.shared();
        let mut inner = shared.lock();
        inner.is_closed = true;
        shared.has_work.notify_all();
        let has_jobs = |inner: &mut Inner| inner.running + inner.queue.len() > 0;
        let waited = shared.has_ended.wait_timeout_while(inner, within, has_jobs);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let dropped = mem::take(&mut inner.queue);
        let left = inner.running + dropped.len();
        // The destructors of jobs are code of the program, so they run after the lock is released.
        drop(inner);
        dropped.into_iter().for_each(let_go);
        left
    }

    /// Returns the number of jobs that wait for a thread.
    pub fn queued(&self) -> usize {
        self.shared().lock().queue.len()
    }

    /// Returns the number of jobs that run now.
    pub fn running(&self) -> usize {
        self.shared().lock().running
    }

    /// Returns the number of jobs that have panicked.
    pub fn panics(&self) -> u64 {
        self.shared().lock().panics
    }

    fn shared(&self) -> &Shared {
        &self.0 .0
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code of the program runs under the lock, so the value is whole even if it is poisoned.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; `None` when the pool is closed and the queue is empty.
    fn next_job(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if let Some(job) = inner.queue.pop_front() {
                inner.running += 1;
                return Some(job);
            }
            if inner.is_closed {
                return None;
            }
            inner = self.has_work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn note_end(&self, panicked: bool) {
        let mut inner = self.lock();
        inner.running -= 1;
        inner.panics += u64::from(panicked);
        drop(inner);
        self.has_ended.notify_all();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.has_work.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared();
        let inner = shared.lock();
        f.debug_struct("Pool")
            .field("name", &shared.name)
            .field("threads", &shared.threads)
            .field("running", &inner.running)
            .field("queued", &inner.queue.len())
            .finish_non_exhaustive()
    }
}

/// The life of a thread of the pool.
fn work(shared: &Shared) {
    while let Some(job) = shared.next_job() {
        let end = guard(job).map_err(Panic::into_message);
        if let Err(message) = &end {
            error!("pool {}: a job panicked: {message}", shared.name);
        }
        shared.note_end(end.is_err());
    }
}

/// Returns `later` if a client waits for its response. A client that has ended its side may still
/// read, so it gets a response, but not the result: Go cancels the context of its request, too.
fn awaited<S: 'static>(later: Later<S>) -> Option<Later<S>> {
    if later.is_over() {
        return None;
    }
    if later.peer_has_left() {
        later.respond(Response::busy());
        return None;
    }
    Some(later)
}
