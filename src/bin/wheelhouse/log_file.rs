//! A file that the access log is appended to, and that SIGHUP opens anew after a program such as
//! logrotate has renamed it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file of a log. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LogFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: Mutex<File>,
}

impl LogFile {
    pub(crate) fn open(path: &Path) -> io::Result<LogFile> {
        let file = Mutex::new(append(path)?);
        Ok(LogFile(Arc::new(Inner { path: path.to_owned(), file })))
    }

    /// Opens the path anew. After an error the file stays as it is.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        // Before the lock, which is held during a write.
        let file = append(&self.0.path)?;
        *self.0.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }
}

/// Opens a file to append to it. A log has addresses of clients, so a new one is not for everybody.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
