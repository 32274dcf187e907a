//! Output that never holds up the loop.
//!
//! The reader of a pipe can stop, a disk can stall, and Ctrl-S halts a terminal. A `write` then lasts
//! until that is over. So the loop puts its lines into a bounded queue, and a thread writes them. If
//! the queue is full, there is no memory for it, or a write fails, lines are lost. They are counted,
//! and a line says how many they were as soon as there is room again, and at the latest at the end.
//!
//! The lines of one output stay in their order. A line after a silence is written at once, those that
//! follow it within 10 ms are written together. At rest the thread sleeps and makes no system call.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags};

/// The most bytes of lines that wait in one output: 256 KiB, or about 2,000 lines of the access log.
/// A reader that pauses for a moment under load misses none of them, and a small board can spare
/// the memory, which is taken only when lines wait.
pub(crate) const QUEUE_BYTES_MAX: usize = 256 << 10;

/// The most bytes of one write, unless one line is longer: 4 KiB. A pipe of Linux takes so many
/// bytes whole or not at all (`PIPE_BUF`), so two outputs, or two processes, can share a pipe
/// without mixing their lines.
const WRITE_BYTES_MAX: usize = 4096;

/// The time after a write in which lines are collected for the next one, 10 ms: to wake the thread
/// costs the loop a system call of some microseconds, more than the line itself. A reader of
/// the output does not notice the delay.
const PAUSE: Duration = Duration::from_millis(10);

/// The bytes of lines that end a pause, 64 KiB, so that the queue does not fill meanwhile.
const PAUSE_BYTES_MAX: usize = QUEUE_BYTES_MAX / 4;

/// The stack of a thread that writes: 64 KiB, more than it needs.
const STACK_BYTES: usize = 64 << 10;

/// The reason for a loss if no write failed.
const TOO_SLOW: &str = "the reader or the disk is too slow";

/// A queue of lines, and the thread that writes them. Clones share both.
#[derive(Clone)]
pub(crate) struct Output(Arc<Shared>);

struct Shared {
    /// The name of the output in reports of lost lines.
    name: &'static str,
    /// The output to which lost lines are reported. `None` stands for this one.
    reports: Option<Output>,
    queue: Mutex<Queue>,
    /// Notified when lines come for a thread that sleeps, and when a pause must end.
    has_lines: Condvar,
    /// Notified when the last line is written, once the output is being finished.
    is_drained: Condvar,
}

impl Output {
    /// Starts the thread that writes to `to`. Lost lines are reported to `reports`, or in this
    /// output if that is `None`.
    ///
    /// # Errors
    ///
    /// The error of the system if it refuses the thread.
    pub(crate) fn start(
        name: &'static str,
        to: impl Write + Send + 'static,
        reports: Option<Output>,
    ) -> io::Result<Output> {
        let queue = Mutex::new(Queue::new(reports.is_some()));
        let (has_lines, is_drained) = (Condvar::new(), Condvar::new());
        let output = Output(Arc::new(Shared { name, reports, queue, has_lines, is_drained }));
        let of_thread = output.clone();
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
        // It ends with the process: it may be in a write that never returns.
        thread.spawn(move || of_thread.write_lines(to)).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start the thread for {name}: {error}"))
        })?;
        Ok(output)
    }

    /// Adds whole lines, or drops and counts them if the queue is full. Never waits for a write.
    pub(crate) fn push(&self, lines: &[u8]) {
        let wakes_the_thread = self.lock().push(lines);
        // Only then, because it is a system call.
        if wakes_the_thread {
            self.0.has_lines.notify_one();
        }
    }

    /// Adds one line without its end.
    pub(crate) fn say(&self, line: &str) {
        self.push(format!("{line}\n").as_bytes());
    }

    /// Waits until all lines are written, but not longer than until `deadline`. Then gives up the
    /// lines that are left, and reports those that were lost.
    pub(crate) fn finish(&self, deadline: Instant) {
        let mut queue = self.lock();
        queue.is_finishing = true;
        self.0.has_lines.notify_one();
        while queue.held() > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.0.is_drained.wait_timeout(queue, left);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let loss = queue.give_up();
        drop(queue);
        // An output that is finished cannot report its own loss.
        if let (Some(loss), Some(reports)) = (loss, &self.0.reports) {
            reports.say(&loss.in_words(self.0.name));
        }
    }

    /// The life of the thread.
    fn write_lines(&self, to: impl Write) {
        let mut lines = Vec::with_capacity(WRITE_BYTES_MAX);
        let mut writer = Writer { to, is_torn: false };
        loop {
            self.take(&mut lines);
            let result = writer.write_lines(&lines);
            self.conclude(result);
            self.pause();
        }
    }

    /// Takes the next lines out of the queue, and sleeps until there are some.
    fn take(&self, lines: &mut Vec<u8>) {
        let mut queue = self.lock();
        while queue.bytes.is_empty() {
            queue.writing = Writing::Asleep;
            queue = self.0.has_lines.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.take(lines);
    }

    /// Notes the result of a write, and reports lost lines if there is room again.
    fn conclude(&self, result: Result<(), Failed>) {
        let mut queue = self.lock();
        let loss = queue.conclude(result);
        let report = loss.map(|loss| loss.in_words(self.0.name));
        if let (Some(report), None) = (&report, &self.0.reports) {
            queue.bytes.extend(report.as_bytes());
            queue.bytes.extend(b"\n");
        }
        let is_drained = queue.is_finishing && queue.held() == 0;
        drop(queue);
        if is_drained {
            self.0.is_drained.notify_all();
        }
        if let (Some(report), Some(reports)) = (&report, &self.0.reports) {
            reports.say(report);
        }
    }

    /// Collects lines for a moment, unless there are enough for a write, or they are the last.
    fn pause(&self) {
        let mut queue = self.lock();
        if !queue.is_finishing && queue.bytes.len() < WRITE_BYTES_MAX {
            queue.writing = Writing::Pausing;
            drop(self.0.has_lines.wait_timeout(queue, PAUSE));
        }
    }

    /// Never waits for long: the lock is held while bytes are copied, and not during a write.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a logger, which writes each of its records with one call.
impl Write for Output {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.push(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.0.name).finish()
    }
}

/// The lines that wait: at most [`QUEUE_BYTES_MAX`], with those that are being written, and one
/// report.
struct Queue {
    bytes: VecDeque<u8>,
    writing: Writing,
    intake: Intake,
    /// Whether losses are reported to another output, which does not fail with this one.
    reports_elsewhere: bool,
    /// Whether a call of [`Output::finish`] waits for the last line.
    is_finishing: bool,
}

/// The thread that writes.
enum Writing {
    /// It sleeps until it is notified.
    Asleep,
    /// It sleeps for a moment. Lines need not wake it, unless they are many.
    Pausing,
    /// It has so many bytes with so many lines, or is about to look for some.
    Awake { bytes: usize, lines: u64 },
}

/// The fate of new lines. `lost` counts the lines that no report has counted so far.
enum Intake {
    Open,
    /// The queue was full. It takes lines again when half of it is empty, so that one report counts
    /// many lines.
    Full {
        lost: u64,
    },
    /// The last write failed, or there was no memory for a line. The next lines are tried again.
    Failing {
        lost: u64,
        error: io::Error,
    },
}

/// Lost lines to report.
#[derive(Debug, PartialEq)]
struct Loss {
    lines: u64,
    reason: String,
}

impl Loss {
    fn new(lines: u64, reason: &(impl ToString + ?Sized)) -> Option<Loss> {
        (lines > 0).then(|| Loss { lines, reason: reason.to_string() })
    }

    fn in_words(&self, name: &str) -> String {
        let Loss { lines, reason } = self;
        let ending = if *lines == 1 { "" } else { "s" };
        format!("wheelhouse: {name}: {lines} line{ending} lost: {reason}")
    }
}

impl Queue {
    fn new(reports_elsewhere: bool) -> Queue {
        Queue {
            bytes: VecDeque::new(),
            writing: Writing::Awake { bytes: 0, lines: 0 },
            intake: Intake::Open,
            reports_elsewhere,
            is_finishing: false,
        }
    }

    /// The bytes in the queue and with the thread.
    fn held(&self) -> usize {
        match self.writing {
            Writing::Asleep | Writing::Pausing => self.bytes.len(),
            Writing::Awake { bytes, .. } => self.bytes.len() + bytes,
        }
    }

    /// Returns whether the thread must be woken.
    fn push(&mut self, lines: &[u8]) -> bool {
        let has_room = self.held() + lines.len() <= QUEUE_BYTES_MAX;
        match &mut self.intake {
            Intake::Open | Intake::Failing { .. } if has_room => {}
            Intake::Open => {
                self.intake = Intake::Full { lost: count(lines) };
                return false;
            }
            Intake::Full { lost } | Intake::Failing { lost, .. } => {
                *lost += count(lines);
                return false;
            }
        }
        if !self.reserve(lines.len()) {
            self.lose(lines);
            return false;
        }
        self.bytes.extend(lines);
        let wakes_the_thread = match self.writing {
            Writing::Asleep => true,
            Writing::Pausing => self.bytes.len() >= PAUSE_BYTES_MAX,
            Writing::Awake { .. } => false,
        };
        if wakes_the_thread {
            self.writing = Writing::Awake { bytes: 0, lines: 0 };
        }
        wakes_the_thread
    }

    /// Makes room for `more` bytes. The capacity is a power of two, so that it does not pass the
    /// limit. Returns false if the system has no memory for it.
    fn reserve(&mut self, more: usize) -> bool {
        let len = self.bytes.len();
        if len + more <= self.bytes.capacity() {
            return true;
        }
        let capacity = (len + more).next_power_of_two().max(WRITE_BYTES_MAX);
        self.bytes.try_reserve_exact(capacity - len).is_ok()
    }

    /// Counts lines that are lost, because there is no memory for them. The next ones are tried again.
    fn lose(&mut self, lines: &[u8]) {
        match &mut self.intake {
            Intake::Full { lost } | Intake::Failing { lost, .. } => *lost += count(lines),
            Intake::Open => {
                let error = ErrorKind::OutOfMemory.into();
                self.intake = Intake::Failing { lost: count(lines), error };
            }
        }
    }

    /// Moves lines for one write to `out`: as many as fit, but at least one.
    fn take(&mut self, out: &mut Vec<u8>) {
        let fits = self.bytes.len().min(WRITE_BYTES_MAX);
        let is_end = |&byte: &u8| byte == b'\n';
        let last = self.bytes.range(..fits).rposition(is_end);
        let last = last.or_else(|| self.bytes.iter().position(is_end));
        let len = last.map_or(self.bytes.len(), |last| last + 1);
        out.clear();
        // The memory of a long line is given back, and below that of a burst.
        out.shrink_to(WRITE_BYTES_MAX);
        out.resize(len, 0);
        self.bytes.read_exact(out).expect("the queue has so many bytes");
        self.writing = Writing::Awake { bytes: len, lines: count(out) };
        if self.bytes.is_empty() && self.bytes.capacity() > WRITE_BYTES_MAX {
            self.bytes = VecDeque::new();
        }
    }

    /// Notes the end of a write. Returns the loss to report, if there is one and room for it.
    fn conclude(&mut self, result: Result<(), Failed>) -> Option<Loss> {
        self.writing = Writing::Awake { bytes: 0, lines: 0 };
        let intake = mem::replace(&mut self.intake, Intake::Open);
        match (intake, result) {
            (Intake::Open, Ok(())) => None,
            (Intake::Full { lost }, Ok(())) if self.held() > QUEUE_BYTES_MAX / 2 => {
                self.intake = Intake::Full { lost };
                None
            }
            (Intake::Full { lost }, Ok(())) => Loss::new(lost, TOO_SLOW),
            (Intake::Failing { lost, error }, Ok(())) => Loss::new(lost, &error),
            (Intake::Failing { lost, .. }, Err(Failed { lines, error })) => {
                self.intake = Intake::Failing { lost: lost + lines, error };
                None
            }
            (intake, Err(Failed { lines, error })) => {
                let before = if let Intake::Full { lost } = intake { lost } else { 0 };
                let lost = before + lines;
                // The first failure is news. Later ones are counted until a write succeeds.
                let loss = Loss::new(lost, &error).filter(|_| self.reports_elsewhere);
                let lost = if loss.is_some() { 0 } else { lost };
                self.intake = Intake::Failing { lost, error };
                loss
            }
        }
    }

    /// Drops everything. Returns all lines that were not reported as lost, those that are being
    /// written among them.
    fn give_up(&mut self) -> Option<Loss> {
        let written = match self.writing {
            Writing::Asleep | Writing::Pausing => 0,
            Writing::Awake { lines, .. } => lines,
        };
        let left = written + self.bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.bytes = VecDeque::new();
        match mem::replace(&mut self.intake, Intake::Open) {
            Intake::Open => Loss::new(left, TOO_SLOW),
            Intake::Full { lost } => Loss::new(lost + left, TOO_SLOW),
            Intake::Failing { lost, error } => Loss::new(lost + left, &error),
        }
    }
}

/// The number of lines that end in `bytes`.
fn count(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// The destination of an output, for the thread that writes.
struct Writer<W> {
    to: W,
    /// Whether the last write failed in the middle of a line. That line is lost and must be ended
    /// before the next one.
    is_torn: bool,
}

/// A write that failed.
#[derive(Debug)]
struct Failed {
    /// The lines that were not written, or not whole.
    lines: u64,
    error: io::Error,
}

impl<W: Write> Writer<W> {
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), Failed> {
        if self.is_torn {
            let ended = self.write(b"\n");
            ended.map_err(|(_, error)| Failed { lines: count(lines), error })?;
            self.is_torn = false;
        }
        self.write(lines).map_err(|(rest, error)| {
            let written = &lines[..lines.len() - rest];
            self.is_torn = written.last().is_some_and(|&byte| byte != b'\n');
            Failed { lines: count(&lines[written.len()..]), error }
        })
    }

    /// Writes all bytes. An error has the number of those that are left.
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        while !bytes.is_empty() {
            match self.to.write(bytes) {
                Ok(0) => return Err((bytes.len(), ErrorKind::WriteZero.into())),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err((bytes.len(), error)),
            }
        }
        Ok(())
    }
}

/// Standard output or standard error, without the lock and the buffer that the standard library
/// puts around them: a write that never returns would hold them for ever.
pub(crate) struct Descriptor<D>(pub(crate) D);

impl<D: AsFd> Write for Descriptor<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.0, bytes) {
                // Another process has made the file non-blocking, such as a shared terminal.
                Err(rustix::io::Errno::AGAIN) => wait_for_room(&self.0)?,
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait_for_room(descriptor: &impl AsFd) -> io::Result<()> {
    let mut wanted = [PollFd::new(descriptor, PollFlags::OUT)];
    rustix::io::retry_on_intr(|| poll(&mut wanted, None))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn line(n: usize) -> Vec<u8> {
        format!("{n:0>99}\n").into_bytes()
    }

    fn full() -> Result<(), Failed> {
        Err(Failed { lines: 1, error: ErrorKind::StorageFull.into() })
    }

    /// Fills a queue with lines of 100 bytes. Returns their number.
    fn fill(queue: &mut Queue) -> usize {
        let fit = QUEUE_BYTES_MAX / 100;
        for n in 0..fit {
            queue.push(&line(n));
        }
        fit
    }

    #[test]
    fn a_write_has_as_many_whole_lines_as_fit_or_one_long_line() {
        let mut queue = Queue::new(false);
        for n in 0..45 {
            queue.push(&line(n));
        }
        let long = [vec![b'x'; 5000], vec![b'\n']].concat();
        queue.push(&long);
        queue.push(b"short\n");
        let (mut out, mut all) = (Vec::new(), Vec::new());
        let lens = [(); 4].map(|()| {
            queue.take(&mut out);
            all.extend_from_slice(&out);
            out.len()
        });
        assert_eq!(lens, [4000, 500, 5001, 6]);
        let expected: Vec<u8> = (0..45).flat_map(line).chain(long).chain(*b"short\n").collect();
        assert!(all == expected, "the lines are in their order");
    }

    #[test]
    fn a_full_queue_drops_lines_until_half_of_it_is_empty_and_reports_them_once() {
        let mut queue = Queue::new(false);
        let fit = fill(&mut queue);
        assert!(!queue.push(&line(0)) && !queue.push(b"x\n"), "a line that would fit is lost, too");
        let mut out = Vec::new();
        let mut written = 0;
        let loss = loop {
            queue.take(&mut out);
            assert!(queue.held() > QUEUE_BYTES_MAX / 2, "dropped too long");
            queue.push(b"y\n");
            written += count(&out);
            if let Some(loss) = queue.conclude(Ok(())) {
                break loss;
            }
        };
        assert!(queue.held() <= QUEUE_BYTES_MAX / 2);
        assert_eq!(loss.lines, 2 + written.div_ceil(40));
        assert_eq!(queue.give_up().unwrap().lines, fit as u64 - written);
    }

    #[test]
    fn the_queue_holds_no_more_than_its_limit_with_the_lines_that_are_being_written() {
        let mut queue = Queue::new(false);
        let fit = fill(&mut queue);
        let mut out = Vec::new();
        queue.take(&mut out);
        queue.push(&line(0));
        assert_eq!(queue.held(), fit * 100);
        assert!(queue.bytes.capacity() <= QUEUE_BYTES_MAX);
        while !queue.bytes.is_empty() {
            queue.take(&mut out);
        }
        assert!(queue.bytes.capacity() <= WRITE_BYTES_MAX, "the memory is given back");
    }

    #[test]
    fn a_sleeping_thread_is_woken_once_and_a_pausing_one_only_for_many_lines() {
        let mut queue = Queue::new(false);
        queue.writing = Writing::Asleep;
        assert_eq!([(); 3].map(|()| queue.push(b"x\n")), [true, false, false]);
        queue.take(&mut Vec::new());
        queue.writing = Writing::Pausing;
        let pushed = (0..=PAUSE_BYTES_MAX / 100).filter(|&n| queue.push(&line(n)));
        assert_eq!(pushed.collect::<Vec<_>>(), [PAUSE_BYTES_MAX / 100]);
    }

    #[test]
    fn a_line_above_the_limit_is_lost_and_the_next_one_is_not() {
        let mut queue = Queue::new(false);
        queue.push(&[vec![b'x'; QUEUE_BYTES_MAX], vec![b'\n']].concat());
        queue.push(b"next\n");
        assert_eq!(queue.give_up(), Loss::new(2, TOO_SLOW));
    }

    #[test]
    fn lines_for_which_there_is_no_memory_are_counted_and_the_next_ones_are_written() {
        let mut queue = Queue::new(false);
        assert!(!queue.reserve(usize::MAX / 2 + 1));
        queue.lose(b"a\nb\n");
        queue.lose(b"c\n");
        queue.push(b"d\n");
        let mut out = Vec::new();
        queue.take(&mut out);
        assert_eq!(out, b"d\n");
        let reason = io::Error::from(ErrorKind::OutOfMemory);
        assert_eq!(queue.conclude(Ok(())), Loss::new(3, &reason));
    }

    #[test]
    fn a_failure_is_reported_elsewhere_at_once_and_later_ones_when_a_write_succeeds() {
        let reason = full().unwrap_err().error.to_string();
        for elsewhere in [true, false] {
            let mut queue = Queue::new(elsewhere);
            assert_eq!(queue.conclude(full()), Loss::new(elsewhere.into(), &reason));
            assert_eq!(queue.conclude(full()), None);
            assert_eq!(queue.conclude(full()), None);
            assert_eq!(queue.conclude(Ok(())), Loss::new(3 - u64::from(elsewhere), &reason));
            assert_eq!(queue.conclude(Ok(())), None);
        }
    }

    /// A destination that takes as many bytes with each call as it is told, or fails at 0.
    struct Script {
        takes: Vec<usize>,
        got: Vec<u8>,
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let takes = match self.takes.is_empty() {
                true => bytes.len(),
                false => self.takes.remove(0).min(bytes.len()),
            };
            self.got.extend_from_slice(&bytes[..takes]);
            match takes {
                0 => Err(ErrorKind::StorageFull.into()),
                takes => Ok(takes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_a_full_disk_cuts_is_ended_before_the_next_one() {
        let to = Script { takes: vec![2, 3, 0, 0], got: Vec::new() };
        let mut writer = Writer { to, is_torn: false };
        let mut lost = |lines: &[u8]| writer.write_lines(lines).err().map_or(0, |it| it.lines);
        assert_eq!(lost(b"one\ntwo\nthree\n"), 2);
        assert_eq!(lost(b"four\n"), 1);
        assert_eq!(lost(b"five\n"), 0);
        assert_eq!(lost(b"six\n"), 0);
        assert_eq!(writer.to.got, b"one\nt\nfive\nsix\n");
    }

    /// A destination whose writes last until the test lets them go on.
    struct Gate {
        begun: mpsc::Sender<Vec<u8>>,
        may_end: mpsc::Receiver<()>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(bytes.to_vec());
            match self.may_end.recv() {
                Ok(()) => Ok(bytes.len()),
                Err(_) => Err(ErrorKind::BrokenPipe.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (Gate, mpsc::Receiver<Vec<u8>>, mpsc::Sender<()>) {
        let (begun, has_begun) = mpsc::channel();
        let (end, may_end) = mpsc::channel();
        (Gate { begun, may_end }, has_begun, end)
    }

    #[test]
    fn a_write_that_never_returns_costs_its_lines_and_neither_a_push_nor_the_end_waits() {
        let (of_reports, reported, report) = gate();
        let reports = Output::start("reports", of_reports, None).unwrap();
        let (to, begun, _end) = gate();
        let output = Output::start("access log", to, Some(reports)).unwrap();
        output.say("first");
        assert_eq!(begun.recv_timeout(PATIENCE).unwrap(), b"first\n");
        let pushed = 2 * QUEUE_BYTES_MAX / 100;
        for n in 0..pushed {
            output.push(&line(n));
        }
        output.finish(Instant::now());
        let expected = format!("wheelhouse: access log: {} lines lost: {TOO_SLOW}\n", pushed + 1);
        assert_eq!(reported.recv_timeout(PATIENCE).unwrap(), expected.as_bytes());
        report.send(()).unwrap();
    }

    #[test]
    fn lost_messages_are_reported_between_the_lines_before_and_after_them() {
        let (to, begun, end) = gate();
        let output = Output::start("standard error", to, None).unwrap();
        output.say("first");
        let mut all = begun.recv_timeout(PATIENCE).unwrap();
        // The first line waits for the end of its write.
        let fit = (QUEUE_BYTES_MAX - all.len()) / 100;
        for n in 0..fit + 7 {
            output.push(&line(n));
        }
        let report = format!("wheelhouse: standard error: 7 lines lost: {TOO_SLOW}\n");
        let mut is_reported = false;
        while !all.ends_with(b"last\n") {
            end.send(()).unwrap();
            all.extend(begun.recv_timeout(PATIENCE).unwrap());
            if !is_reported && output.lock().held() <= QUEUE_BYTES_MAX / 2 {
                is_reported = true;
                output.say("last");
            }
        }
        end.send(()).unwrap();
        output.finish(Instant::now() + PATIENCE);
        let lines = [&b"first\n"[..], &(0..fit).flat_map(line).collect::<Vec<_>>()].concat();
        let expected = [&lines, report.as_bytes(), b"last\n"].concat();
        assert!(all == expected, "{}", String::from_utf8_lossy(&all[lines.len()..]));
    }

    #[test]
    fn the_end_waits_for_the_last_line() {
        let (to, begun, end) = gate();
        let output = Output::start("standard error", to, None).unwrap();
        output.say("one");
        output.say("two");
        // The writes may end as soon as they like: the messages are there before they begin.
        end.send(()).unwrap();
        end.send(()).unwrap();
        output.finish(Instant::now() + PATIENCE);
        let all: Vec<u8> = begun.try_iter().flatten().collect();
        assert_eq!(all, b"one\ntwo\n");
    }

    #[test]
    fn a_descriptor_that_another_process_has_made_non_blocking_gets_every_line() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.set_read_timeout(Some(PATIENCE)).unwrap();
        there.set_nonblocking(true).unwrap();
        // It takes one write, and the next one has to wait for the reader.
        rustix::net::sockopt::set_socket_send_buffer_size(&there, WRITE_BYTES_MAX).unwrap();
        let output = Output::start("standard error", Descriptor(there), None).unwrap();
        let expected: Vec<u8> = (0..QUEUE_BYTES_MAX / 100).flat_map(line).collect();
        for n in 0..QUEUE_BYTES_MAX / 100 {
            output.push(&line(n));
        }
        let mut got = vec![0; expected.len()];
        here.read_exact(&mut got).unwrap();
        assert!(got == expected);
    }
}
