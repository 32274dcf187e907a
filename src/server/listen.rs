//! Where a server listens: addresses that it opens, sockets that were opened elsewhere, and those
//! that a service manager hands over. Each has a name, which handlers can ask for.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{self as unix, UnixListener};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::error::Error;
use crate::reactor::mio_kernel::{Listener, SocketFile};
use crate::reactor::LISTENERS_MAX;
use crate::server::Server;

impl<S: 'static> Server<S> {
    /// Listens on one more address: `HOST:PORT` (port 0 lets the system choose), or `unix:PATH`.
    ///
    /// TCP listeners get the backlog of the system, `SO_REUSEADDR`, `TCP_NODELAY` and keep-alive
    /// (15 s, as Go). A stale socket file, to which nobody answers, is replaced; the file is
    /// removed when the server ends, unless another has taken its place.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] if the address cannot be understood or resolved, [`Error::Listen`] with
    /// the system's word if it cannot be had, [`Error::TooManyListeners`] beyond 250.
    pub fn listen(self, address: &str) -> Result<Server<S>, Error> {
        self.listen_as(address, address)
    }

    /// As [`listen`](Server::listen), with a name for what comes in there, which
    /// [`Request::listener`](crate::Request::listener) tells handlers. So one loop serves the
    /// public and those who look after it:
    ///
    /// ```no_run
    /// use wheelhouse::{Response, Server};
    ///
    /// Server::new()
    ///     .listen_as("public", "0.0.0.0:80")?
    ///     .listen_as("admin", "unix:/run/hello-admin.sock")?
    ///     .serve(|req| match (req.listener(), req.path()) {
    ///         ("admin", "/health") => Response::text("well\n"),
    ///         ("public", "/") => Response::text("hello\n"),
    ///         _ => Response::not_found(),
    ///     })?;
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`listen`](Server::listen).
    pub fn listen_as(mut self, name: &str, address: &str) -> Result<Server<S>, Error> {
        if let Some(path) = address.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(Error::Address { address: address.to_owned() });
            }
            let listener = listen_unix(Path::new(path)).map_err(failed(address))?;
            self.add(name, listener)?;
            return Ok(self);
        }
        let listener = listen_tcp(resolve(address)?, false).map_err(failed(address))?;
        self.add_tcp(name, address, listener)?;
        Ok(self)
    }

    /// As [`listen`](Server::listen) on a TCP address that other servers share (`SO_REUSEPORT`):
    /// each gets its part of the connections, which the kernel deals out. One for each of
    /// [`Cores`](crate::runtime::Cores), or the next version of a program beside the last. All of them
    /// must be of the same user. Linux deals out evenly; elsewhere one may get all.
    ///
    /// # Errors
    ///
    /// As [`listen`](Server::listen).
    pub fn listen_shared(mut self, address: &str) -> Result<Server<S>, Error> {
        if address.starts_with("unix:") {
            let what = "a Unix socket cannot be shared so: see `listen_on_unix`";
            return Err(failed(address)(io::Error::new(io::ErrorKind::Unsupported, what)));
        }
        let listener = listen_tcp(resolve(address)?, true).map_err(failed(address))?;
        self.add_tcp(address, address, listener)?;
        Ok(self)
    }

    /// Listens on a TCP socket that was opened elsewhere, as it is: its options but `TCP_NODELAY`
    /// and keep-alive are the opener's. It is made non-blocking. Its name is its local address.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] if the system refuses or the socket does not listen,
    /// [`Error::TooManyListeners`] beyond 250.
    pub fn listen_on(mut self, listener: TcpListener) -> Result<Server<S>, Error> {
        let address = listener.local_addr().map_or_else(|_| "TCP".to_owned(), |a| a.to_string());
        self.adopt_tcp(&address, listener)?;
        Ok(self)
    }

    /// Listens on a Unix socket that was opened elsewhere. It is made non-blocking; its file is
    /// not removed when the server ends. Its name is `unix:PATH`, or `unix:` if it has no path.
    ///
    /// # Errors
    ///
    /// As [`listen_on`](Server::listen_on).
    pub fn listen_on_unix(mut self, listener: UnixListener) -> Result<Server<S>, Error> {
        let address = listener.local_addr().ok();
        let path = address.as_ref().and_then(unix::SocketAddr::as_pathname);
        let name = format!("unix:{}", path.unwrap_or(Path::new("")).display());
        self.adopt_unix(&name, listener)?;
        Ok(self)
    }

    /// Listens on every socket that the parent process has handed over in the way of systemd
    /// (`LISTEN_FDS`), be they TCP or Unix. The names of `LISTEN_FDNAMES`, if there are any, become
    /// those of the listeners; else they are as for [`listen_on`](Server::listen_on).
    ///
    /// Call it once, while the program has one thread: it takes the variables from the environment.
    ///
    /// # Errors
    ///
    /// [`Error::NothingInherited`] if there is none, [`Error::Listen`] if one does not listen for
    /// streams, [`Error::TooManyListeners`] beyond 250.
    #[cfg(feature = "inherit")]
    pub fn listen_inherited(mut self) -> Result<Server<S>, Error> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut inherited = listenfd::ListenFd::from_env();
        if inherited.len() == 0 {
            return Err(Error::NothingInherited);
        }
        for n in 0..inherited.len() {
            let name = names.next().unwrap_or_default();
            let address = format!("inherited socket {n}");
            if let Ok(Some(listener)) = inherited.take_tcp_listener(n) {
                match name {
                    "" => self = self.listen_on(listener)?,
                    name => self.adopt_tcp(name, listener)?,
                }
                continue;
            }
            match inherited.take_unix_listener(n).map_err(failed(&address))? {
                Some(listener) if name.is_empty() => self = self.listen_on_unix(listener)?,
                Some(listener) => self.adopt_unix(name, listener)?,
                None => {}
            }
        }
        Ok(self)
    }

    /// The addresses of the TCP listeners, in the order of the calls of `listen`, with the ports
    /// that the system chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn adopt_tcp(&mut self, name: &str, listener: TcpListener) -> Result<(), Error> {
        check_listens(&SockRef::from(&listener)).map_err(failed(name))?;
        listener.set_nonblocking(true).map_err(failed(name))?;
        set_options(&SockRef::from(&listener));
        self.add_tcp(name, name, mio::net::TcpListener::from_std(listener))
    }

    fn adopt_unix(&mut self, name: &str, listener: UnixListener) -> Result<(), Error> {
        check_listens(&SockRef::from(&listener)).map_err(failed(name))?;
        listener.set_nonblocking(true).map_err(failed(name))?;
        self.add(name, Listener::Unix(mio::net::UnixListener::from_std(listener), None))
    }

    fn add_tcp(
        &mut self,
        name: &str,
        address: &str,
        tcp: mio::net::TcpListener,
    ) -> Result<(), Error> {
        let local = tcp.local_addr().map_err(failed(address))?;
        self.add(name, Listener::Tcp(tcp))?;
        self.addresses.push(local);
        Ok(())
    }

    fn add(&mut self, name: &str, listener: Listener) -> Result<(), Error> {
        if self.listeners.len() == LISTENERS_MAX {
            return Err(Error::TooManyListeners { max: LISTENERS_MAX });
        }
        self.listeners.push((name.into(), listener));
        Ok(())
    }
}

fn failed(address: &str) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Listen { address: address.to_owned(), source }
}

fn resolve(address: &str) -> Result<SocketAddr, Error> {
    let first = address.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    first.ok_or_else(|| Error::Address { address: address.to_owned() })
}

fn listen_tcp(address: SocketAddr, is_shared: bool) -> io::Result<mio::net::TcpListener> {
    /// The system takes the smaller one of this and its own limit (`somaxconn`).
    const BACKLOG: i32 = 65_535;

    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    set_options(&SockRef::from(&socket));
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// A connection may be handed over in place of a listener; to accept from it would fail for ever.
fn check_listens(socket: &SockRef<'_>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if !socket.is_listener()? {
        let what = "it does not listen; if systemd hands it over, set Accept=no";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let _ = socket;
    Ok(())
}

/// Accepted sockets inherit these on Linux; where they cannot be had, we do without.
fn set_options(socket: &SockRef<'_>) {
    const KEEP_ALIVE: Duration = Duration::from_secs(15);
    /// Bytes that the kernel takes beyond what is on its way: bounds what a slow reader pins.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const NOT_SENT_LOWAT: u32 = 64 << 10;

    let _ = socket.set_tcp_nodelay(true);
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    let _ = socket.set_tcp_keepalive(&keep_alive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_LOWAT);
}

fn listen_unix(path: &Path) -> io::Result<Listener> {
    let bind = || mio::net::UnixListener::bind(path);
    let listener = match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            bind()?
        }
        result => result?,
    };
    Ok(Listener::Unix(listener, Some(SocketFile::at(path))))
}

/// Whether `path` is a socket that nobody listens to: what a killed process leaves behind.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = io::ErrorKind::ConnectionRefused;
    // Without waiting: the queue of one that is busy may be full.
    is_socket && mio::net::UnixStream::connect(path).is_err_and(|error| error.kind() == refused)
}
