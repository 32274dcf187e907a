//! The threads of a [`Pool`](super::Pool), and the queue from which they take jobs.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::handler::guard::{guard, let_go, Panic};
use crate::logging::error;
use crate::message::request_error::PoolFull;

/// The threads of a pool and their queue. When this is dropped, the threads end after the queue.
pub(super) struct Threads<T>(Arc<Shared<T>>);

/// A job gets the value of its thread.
pub(super) type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

struct Shared<T> {
    name: String,
    threads: usize,
    /// The greatest number of jobs that wait while all threads are busy.
    queue_max: usize,
    inner: Mutex<Inner<T>>,
    /// Notified when a job or the end of the pool is there for a thread.
    has_work: Condvar,
    /// Notified when a thread has ended.
    has_ended: Condvar,
}

struct Inner<T> {
    queue: VecDeque<Job<T>>,
    running: usize,
    /// The threads that have not dropped their values.
    alive: usize,
    panics: u64,
    /// Whether the pool takes no more jobs, and its threads end after the queue.
    is_closed: bool,
}

/// The numbers of threads and jobs.
pub(super) struct Counts {
    pub(super) threads: usize,
    pub(super) queued: usize,
    pub(super) running: usize,
    pub(super) panics: u64,
}

impl<T: Send + 'static> Threads<T> {
    /// Starts a thread for each value.
    pub(super) fn start(name: &str, values: Vec<T>, queue_max: usize) -> io::Result<Threads<T>> {
        let alive = values.len();
        let inner =
            Inner { queue: VecDeque::new(), running: 0, alive, panics: 0, is_closed: false };
        let shared = Shared {
            name: name.to_owned(),
            threads: values.len(),
            queue_max,
            inner: Mutex::new(inner),
            has_work: Condvar::new(),
            has_ended: Condvar::new(),
        };
        // If a thread cannot be started, dropping this ends the threads before it.
        let threads = Threads(Arc::new(shared));
        for (n, value) in values.into_iter().enumerate() {
            let shared = Arc::clone(&threads.0);
            let thread = thread::Builder::new().name(format!("{name}-{n}"));
            thread.spawn(move || work(&shared, value))?;
        }
        Ok(threads)
    }
}

impl<T> Threads<T> {
    /// Puts a job into the queue, if there is room.
    pub(super) fn queue(&self, job: Job<T>) -> Result<(), PoolFull> {
        let mut inner = self.0.lock();
        // A job for which a thread is free does not wait, so it needs no room in the queue.
        let room = self.0.queue_max.saturating_add(self.0.threads - inner.running);
        if inner.is_closed || inner.queue.len() >= room {
            return Err(PoolFull);
        }
        inner.queue.push_back(job);
        drop(inner);
        self.0.has_work.notify_one();
        Ok(())
    }

    /// Closes the queue, and waits until all threads have ended, after the jobs and the destructors of
    /// their values. Returns the number of jobs that have not ended.
    pub(super) fn finish(&self, within: Duration) -> usize {
        let mut inner = self.0.lock();
        inner.is_closed = true;
        self.0.has_work.notify_all();
        let has_threads = |inner: &mut Inner<T>| inner.alive > 0;
        let waited = self.0.has_ended.wait_timeout_while(inner, within, has_threads);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let dropped = mem::take(&mut inner.queue);
        let left = inner.running + dropped.len();
        // The destructors of jobs are code of the program, so they run after the lock is released.
        drop(inner);
        dropped.into_iter().for_each(let_go);
        left
    }

    pub(super) fn counts(&self) -> Counts {
        let inner = self.0.lock();
        let threads = self.0.threads;
        Counts { threads, queued: inner.queue.len(), running: inner.running, panics: inner.panics }
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }
}

impl<T> Drop for Threads<T> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.has_work.notify_all();
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // No code of the program runs under the lock, so the value is whole even if it is poisoned.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; `None` when the pool is closed and the queue is empty.
    fn next_job(&self) -> Option<Job<T>> {
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
    }

    fn note_end_of_thread(&self) {
        self.lock().alive -= 1;
        self.has_ended.notify_all();
    }
}

/// The life of a thread of the pool.
fn work<T>(shared: &Shared<T>, mut value: T) {
    while let Some(job) = shared.next_job() {
        let end = guard(|| job(&mut value)).map_err(Panic::into_message);
        if let Err(message) = &end {
            error!("pool {}: a job panicked: {message}", shared.name);
        }
        shared.note_end(end.is_err());
    }
    let_go(value);
    shared.note_end_of_thread();
}
