//! Opens Unix sockets: with a file, or in the abstract namespace of Linux.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::tcp::{check_listens, BACKLOG};
use super::FileOptions;
use crate::reactor::mio_kernel::{self, SocketFile};

/// Opens the socket with this name: `@NAME` in the abstract namespace, or the path of a file.
pub(super) fn open(name: &str, options: FileOptions) -> io::Result<mio_kernel::Listener> {
    match name.strip_prefix('@') {
        Some(name) => open_abstract(name),
        None => open_file(Path::new(name), options),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_abstract(name: &str) -> io::Result<mio_kernel::Listener> {
    let socket = new_socket()?;
    // A zero byte in the place of the `@`.
    socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
    socket.listen(BACKLOG)?;
    Ok(mio_kernel::Listener::Unix(mio::net::UnixListener::from_std(socket.into()), None))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_abstract(_: &str) -> io::Result<mio_kernel::Listener> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract sockets"))
}

fn new_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn open_file(path: &Path, options: FileOptions) -> io::Result<mio_kernel::Listener> {
    let socket = new_socket()?;
    bind(&socket, path)?;
    // Noted at once: until the socket listens, its file looks stale to another server that starts.
    let file = SocketFile::at(path);
    let result = set_permissions(path, options).and_then(|()| socket.listen(BACKLOG));
    let socket = mio::net::UnixListener::from_std(socket.into());
    // After an error the listener is dropped, which removes its file.
    let listener = mio_kernel::Listener::Unix(socket, Some(file));
    result.map(|()| listener)
}

/// Binds the socket, and replaces a stale file.
fn bind(socket: &Socket, path: &Path) -> io::Result<()> {
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            socket.bind(&address)
        }
        result => result,
    }
}

/// Sets the owner and the mode of a socket file. The system refuses every connection to a socket
/// that does not listen yet, so the permissions that the file had before let no client in.
fn set_permissions(path: &Path, options: FileOptions) -> io::Result<()> {
    let FileOptions { mode, user, group } = options;
    if user.or(group).is_some() {
        std::os::unix::fs::lchown(path, user, group)?;
    }
    match mode {
        Some(mode) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        None => Ok(()),
    }
}

/// Whether `path` is a socket on which no process listens, such as a killed process leaves.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = io::ErrorKind::ConnectionRefused;
    // Without waiting: the queue of a busy process may be full.
    is_socket && mio::net::UnixStream::connect(path).is_err_and(|error| error.kind() == refused)
}

/// Takes a listener that was opened elsewhere.
pub(super) fn adopt(listener: UnixListener) -> io::Result<mio_kernel::Listener> {
    check_listens(&SockRef::from(&listener))?;
    listener.set_nonblocking(true)?;
    Ok(mio_kernel::Listener::Unix(mio::net::UnixListener::from_std(listener), None))
}

/// Returns the address of an open listener in the form in which one is given.
pub(super) fn address_of(listener: &UnixListener) -> String {
    let address = SockRef::from(listener).local_addr().ok();
    let path = address.as_ref().and_then(SockAddr::as_pathname);
    let name = match address.as_ref().and_then(SockAddr::as_abstract_namespace) {
        Some(name) => OsString::from_vec([b"@", name].concat()),
        None => path.map_or_else(OsString::new, |path| path.as_os_str().to_owned()),
    };
    format!("unix:{}", String::from_utf8_lossy(name.as_bytes()))
}
