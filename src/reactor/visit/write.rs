//! Writing to the socket. Only bytes that it does not take are kept, and then the socket is watched
//! for room.

use std::io;

use bytes::Buf;

use super::{
    Break, Continue, Flags, Handler, Kernel, Lost, Progress, Shared, Stop, Task, Visit, WRITTEN_MAX,
};
use crate::http1::Farewell;
use crate::logging::debug;
use crate::message::body::FilePart;
use crate::reactor::kernel::is_of_socket;

/// The most that one `sendfile` is asked for.
const FILE_PIECE: u64 = 256 << 10;

impl<K: Kernel, S: 'static, H: Handler<S>> Visit<'_, K, S, H> {
    /// [`flush`](Visit::flush) with one call, where nothing waits before the encoded bytes. Bytes
    /// that do not leave stay. Saves 110 of 1,090 instructions per GET.
    #[inline(always)]
    pub(super) fn write_fast(&mut self) -> bool {
        let len = self.shared.out.len();
        let is_all = self.write_last_fast();
        if is_all {
            self.count(len);
        }
        is_all
    }

    /// [`write_fast`](Visit::write_fast) at the end of a visit after which the connection rests: if
    /// all bytes leave, they need not be counted. Saves 8 of 1,006 instructions per GET.
    #[inline(always)]
    pub(super) fn write_last_fast(&mut self) -> bool {
        // An error comes again in the next write, which handles it.
        let Ok(len) = self.kernel.write(self.stream, &self.shared.out, &[]) else { return false };
        self.shared.counters.sent += len as u64;
        let is_all = len == self.shared.out.len();
        if is_all {
            self.shared.out.clear();
        } else {
            self.use_up_encoded(len);
        }
        is_all
    }

    /// Drops the encoded bytes that have left.
    #[inline(never)]
    fn use_up_encoded(&mut self, len: usize) {
        self.count(len);
        self.shared.out.drain(..len);
    }

    /// Writes the backlog, the encoded bytes, and the task's shared bytes after them. Returns
    /// whether all of it was written. If not, the rest is held and the socket is watched for room.
    pub(super) fn flush(&mut self) -> Progress<bool> {
        while let Some(block) = &mut self.work.backlog {
            let written = write(self.kernel, self.stream, block.bytes(), &[]);
            let Some(len) = self.judge_write(written)? else { return Continue(false) };
            self.use_up_backlog(len);
        }
        let flushed = self.flush_encoded();
        self.shared.out.clear();
        flushed
    }

    fn use_up_backlog(&mut self, len: usize) {
        if let Some(mut block) = self.work.backlog.take() {
            if block.consume(len) {
                self.shared.pool.take_back(block, &mut self.shared.ledger);
            } else {
                self.work.backlog = Some(block);
            }
        }
    }

    fn flush_encoded(&mut self) -> Progress<bool> {
        let mut sent = 0;
        loop {
            let encoded = &self.shared.out[sent..];
            // One write of a large content would move as much as the socket has room for.
            let bytes = self.work.task.shared_bytes();
            let most = WRITTEN_MAX.saturating_sub(self.spent.written);
            let bytes = &bytes[..bytes.len().min(most)];
            if encoded.is_empty() && bytes.is_empty() {
                return Continue(true);
            }
            let encoded_len = encoded.len();
            let written = write(self.kernel, self.stream, encoded, bytes);
            let Some(len) = self.judge_write(written)? else {
                self.keep_output(sent)?;
                return Continue(false);
            };
            let of_encoded = len.min(encoded_len);
            sent += of_encoded;
            if let Task::Bytes(bytes) = &mut self.work.task {
                bytes.advance(len - of_encoded);
                self.work.conn.count_sent((len - of_encoded) as u64);
            }
        }
    }

    /// Holds the encoded bytes from `sent` on, if memory allows.
    fn keep_output(&mut self, sent: usize) -> Progress {
        let Shared { out, pool, ledger, .. } = &mut *self.shared;
        let rest = &out[sent..];
        if rest.is_empty() {
            return Continue(());
        }
        if !pool.can_lend(rest.len(), ledger) {
            return Break(self.no_memory("its output"));
        }
        self.work.backlog = Some(pool.keep(rest, ledger));
        self.work.full_since = self.shared.now;
        Continue(())
    }

    /// Sends a piece of a file, whose position moves on.
    pub(super) fn send_file(&mut self, mut body: FilePart) -> Progress {
        let most = body.len.min(FILE_PIECE) as usize;
        let sent = self.kernel.send_file(self.stream, &body.file, body.offset, most);
        match sent {
            Ok(0) => return Break(self.broken("the file is shorter than it was")),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let is_of_the_file =
                    error.kind() != io::ErrorKind::WouldBlock && !is_of_socket(&error);
                if is_of_the_file {
                    return Break(self.broken(&format!("its file cannot be read: {error}")));
                }
                self.put_back(Task::File(body));
                return match self.judge_write(Err(error))? {
                    Some(_) => Continue(()),
                    None => Break(Stop::Blocked),
                };
            }
            Err(_) => {}
            Ok(len) => {
                body.offset += len as u64;
                body.len -= len as u64;
                self.work.conn.count_sent(len as u64);
                self.shared.counters.sent += len as u64;
                self.count(len);
            }
        }
        if body.len > 0 {
            self.put_back(Task::File(body));
        }
        Continue(())
    }

    /// Judges the result of a write. Returns the number of bytes written, or `None` if the socket
    /// is full.
    fn judge_write(&mut self, written: io::Result<usize>) -> Progress<Option<usize>> {
        match written {
            Ok(len) => {
                self.shared.counters.sent += len as u64;
                self.count(len);
                Continue(Some(len))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Continue(Some(0)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.watch_writing()?;
                Continue(None)
            }
            Err(error) => Break(self.write_failed(&error)),
        }
    }

    fn count(&mut self, written: usize) {
        self.spent.written += written;
        self.work.written += written as u64;
        if let Some(record) = &mut self.work.record {
            record.written += written as u64;
        }
    }

    /// Watches the socket for room, once in the life of a connection. The kernel then reports the
    /// present readiness anew, so no edge is lost.
    fn watch_writing(&mut self) -> Progress {
        if self.facts.flags.has(Flags::WATCHES_WRITING) {
            return Continue(());
        }
        match self.kernel.watch_writing(self.stream, self.token) {
            Ok(()) => {
                self.facts.flags.set(Flags::WATCHES_WRITING);
                Continue(())
            }
            Err(error) => Break(self.write_failed(&error)),
        }
    }

    fn write_failed(&mut self, error: &io::Error) -> Stop {
        debug!("{}: write failed: {error}", self.log_name());
        self.over(Farewell::Close, Lost::PeerLeft)
    }
}

/// Writes outside of the fast path. One function, so that the compiler inlines the call on that
/// path.
#[inline(never)]
fn write<K: Kernel>(
    kernel: &mut K,
    stream: &mut K::Stream,
    first: &[u8],
    second: &[u8],
) -> io::Result<usize> {
    kernel.write(stream, first, second)
}
