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

mod threads;

use std::fmt;
use std::io;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use self::threads::Threads;
use crate::error::Error;
use crate::handler::{Later, Reply};
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
///
/// **Values.** Each thread may own a value, such as a connection to a database: see
/// [`with_values`](Pool::with_values).
#[doc(alias("spawn_blocking", "thread pool", "worker"))]
pub struct Pool<T = ()>(Arc<Threads<T>>);

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
        Pool::with_values(name, iter::repeat_n((), threads), queue_max)
    }
}

impl<T: Send + 'static> Pool<T> {
    /// Starts a thread for each of `values`, which owns the value and lends it to its jobs: see
    /// [`run_with`](Pool::run_with). Everything else is as for [`new`](Pool::new).
    ///
    /// A pool of connections to a database is made like this. After a job that panics, its thread goes
    /// on with the same value.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use wheelhouse::{sim::Sim, Pool, Request, Response};
    ///
    /// // In place of a database with one connection.
    /// let table = BTreeMap::from([("/milk", 2), ("/eggs", 10)]);
    /// let pool = Pool::with_values("database", [table], 100)?;
    /// let mut sim = Sim::new(move |req: &Request<'_>| {
    ///     let path = req.path().to_owned();
    ///     pool.run_with::<(), _>(move |table| match table.get(&*path) {
    ///         Some(count) => Response::text(format!("{count}\n")),
    ///         None => Response::not_found(),
    ///     })
    /// });
    /// assert_eq!(sim.get("/eggs").text(), "10\n");
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Pool`] if there is no value, if the name has a NUL, or if the system refuses a thread.
    #[doc(alias("connection pool", "r2d2"))]
    pub fn with_values(
        name: &str,
        values: impl IntoIterator<Item = T>,
        queue_max: usize,
    ) -> Result<Pool<T>, Error> {
        let refusal = |source| Error::Pool { name: name.to_owned(), source };
        let values: Vec<T> = values.into_iter().collect();
        if values.is_empty() || name.contains('\0') {
            let text = "it needs at least one thread, and a name without NUL";
            return Err(refusal(io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        let threads = Threads::start(name, values, queue_max).map_err(refusal)?;
        Ok(Pool(Arc::new(threads)))
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

    /// Replies with the result of `job`, which runs in a thread of the pool with the value of that
    /// thread: see [`with_values`](Pool::with_values). Otherwise as [`run`](Pool::run).
    pub fn run_with<S, R>(&self, job: impl FnOnce(&mut T) -> R + Send + 'static) -> Reply<S>
    where
        S: 'static,
        R: Into<Response>,
    {
        self.reply(|value, later| later.respond(job(value)))
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
    pub fn run_then<S, V, R>(
        &self,
        job: impl FnOnce() -> V + Send + 'static,
        then: impl FnOnce(&mut S, V) -> R + Send + 'static,
    ) -> Reply<S>
    where
        S: 'static,
        V: Send + 'static,
        R: Into<Reply<S>>,
    {
        self.run_with_then(|_| job(), then)
    }

    /// Runs `job` in a thread of the pool with the value of that thread, then `then` on the loop, with
    /// the state of the server: [`run_with`](Pool::run_with) and [`run_then`](Pool::run_then) in one.
    pub fn run_with_then<S, V, R>(
        &self,
        job: impl FnOnce(&mut T) -> V + Send + 'static,
        then: impl FnOnce(&mut S, V) -> R + Send + 'static,
    ) -> Reply<S>
    where
        S: 'static,
        V: Send + 'static,
        R: Into<Reply<S>>,
    {
        self.reply(|value, later| {
            let result = job(value);
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
        self.reply(|_, later| job(later))
    }

    /// Puts a job into the queue that is skipped if nobody waits for its response.
    fn reply<S: 'static>(&self, job: impl FnOnce(&mut T, Later<S>) + Send + 'static) -> Reply<S> {
        let (later, reply) = Reply::later();
        let queued = self.0.queue(Box::new(move |value| {
            if let Some(later) = awaited(later) {
                job(value, later);
            }
        }));
        match queued {
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
        self.0.queue(Box::new(|_| job()))
    }

    /// Takes no more jobs, waits for at most `within` until all jobs have ended, and returns the
    /// number of jobs that have not. Those in the queue are dropped then, and those that run go on.
    /// It also waits until the threads have dropped their [values](Pool::with_values).
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
        self.0.finish(within)
    }
}

impl<T> Pool<T> {
    /// Returns the number of jobs that wait for a thread.
    pub fn queued(&self) -> usize {
        self.0.counts().queued
    }

    /// Returns the number of jobs that run now.
    pub fn running(&self) -> usize {
        self.0.counts().running
    }

    /// Returns the number of jobs that have panicked.
    pub fn panics(&self) -> u64 {
        self.0.counts().panics
    }
}

/// The same pool.
impl<T> Clone for Pool<T> {
    fn clone(&self) -> Pool<T> {
        Pool(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.counts();
        f.debug_struct("Pool")
            .field("name", &self.0.name())
            .field("threads", &counts.threads)
            .field("running", &counts.running)
            .field("queued", &counts.queued)
            .finish_non_exhaustive()
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
