//! The places where a server listens: addresses that it opens, sockets that were opened elsewhere,
//! and those that a service manager hands over. Each has a name, which handlers can ask for.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{self as unix, UnixListener};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use crate::error::Error;
use crate::reactor::mio_kernel::{self, SocketFile};
use crate::reactor::LISTENERS_MAX;
use crate::server::Server;

/// The system takes the smaller one of this and its own limit (`somaxconn`).
const BACKLOG: i32 = 65_535;

/// An address or a socket to listen on, with its options.
///
/// [`Server::listen`] opens it. An address or a socket without options need not be wrapped:
///
/// ```no_run
/// use wheelhouse::{runtime::Listener, Response, Server};
///
/// Server::new()
///     .listen("0.0.0.0:80")?
///     .listen(Listener::new("unix:/run/hello-admin.sock").named("admin").mode(0o660))?
///     .serve(|req| match (req.listener(), req.path()) {
///         ("admin", "/health") => Response::text("well\n"),
///         ("0.0.0.0:80", "/") => Response::text("hello\n"),
///         _ => Response::not_found(),
///     })?;
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// # Addresses
///
/// * `HOST:PORT`: a TCP address. Port 0 lets the system choose a port, which
///   [`Server::local_addrs`] returns. If the host has several addresses, the first one is used.
///   The socket gets `SO_REUSEADDR`, `TCP_NODELAY`, keep-alive (15 s, as in Go) and the greatest
///   backlog that the system allows.
/// * `unix:PATH`: a Unix socket. A stale file, on which no process listens, is replaced. The
///   server removes the file when it ends, unless another file has taken its place.
/// * A socket that was opened elsewhere stays as it is: its other options are those of its opener,
///   and a socket file is not removed. It is made non-blocking, and a TCP socket gets `TCP_NODELAY`
///   and keep-alive.
#[derive(Debug)]
#[must_use = "a listener does nothing until it is given to `Server::listen`"]
pub struct Listener {
    place: Place,
    name: Option<String>,
    is_shared: bool,
    mode: Option<u32>,
}

/// The place where a listener listens.
#[derive(Debug)]
enum Place {
    Address(String),
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Creates a listener for an address: `HOST:PORT` or `unix:PATH`.
    pub fn new(address: impl Into<String>) -> Listener {
        Listener::at(Place::Address(address.into()))
    }

    fn at(place: Place) -> Listener {
        Listener { place, name: None, is_shared: false, mode: None }
    }

    /// Sets the name, which [`Request::listener`](crate::Request::listener) returns to handlers.
    ///
    /// The default is the address as given. For an open socket it is the local address,
    /// `unix:PATH`, or `unix:` without a path. Several listeners may have the same name.
    pub fn named(mut self, name: impl Into<String>) -> Listener {
        self.name = Some(name.into());
        self
    }

    /// Shares a TCP address with other servers that share it as well (`SO_REUSEPORT`).
    ///
    /// The kernel distributes the connections: over the loops of [`Cores`](crate::runtime::Cores),
    /// or over two versions of a program during an update. All servers must run as the same user.
    /// Linux distributes evenly; on other systems one server may get all connections.
    ///
    /// A Unix socket cannot be shared in this way, and an open socket is shared by its opener:
    /// [`Server::listen`] refuses both.
    pub fn shared(mut self) -> Listener {
        self.is_shared = true;
        self
    }

    /// Sets the permissions of the file of a Unix socket, such as `0o660`.
    ///
    /// A client needs the permission to write to the file. The mode is exact: the umask of the
    /// process does not count, and no client can connect before the mode is set. Without this
    /// option the mode is `0o777` less the umask.
    ///
    /// [`Server::listen`] refuses a mode for a TCP address and for an open socket, and a mode above
    /// `0o777`, such as a decimal `660`.
    pub fn mode(mut self, mode: u32) -> Listener {
        self.mode = Some(mode);
        self
    }

    /// The address as given, or the local address of an open socket.
    fn address(&self) -> String {
        match &self.place {
            Place::Address(address) => address.clone(),
            Place::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "TCP".to_owned(), |addr| addr.to_string())
            }
            Place::Unix(listener) => {
                let addr = listener.local_addr().ok();
                let path = addr.as_ref().and_then(unix::SocketAddr::as_pathname);
                format!("unix:{}", path.unwrap_or(Path::new("")).display())
            }
        }
    }

    /// Opens the listener, whose address is `address`.
    fn open(self, address: &str) -> Result<mio_kernel::Listener, Error> {
        self.check(address)?;
        match self.place {
            Place::Tcp(listener) => adopt_tcp(listener).map_err(failed(address)),
            Place::Unix(listener) => adopt_unix(listener).map_err(failed(address)),
            Place::Address(_) => match address.strip_prefix("unix:") {
                Some("") => Err(Error::Address { address: address.to_owned() }),
                Some(path) => listen_unix(Path::new(path), self.mode).map_err(failed(address)),
                None => {
                    let resolved = resolve(address)?;
                    listen_tcp(resolved, self.is_shared).map_err(failed(address))
                }
            },
        }
    }

    /// Checks that the options fit the address.
    fn check(&self, address: &str) -> Result<(), Error> {
        let misfit = |option, expected| {
            Err(Error::ListenerOption { address: address.to_owned(), option, expected })
        };
        let is_open = !matches!(self.place, Place::Address(_));
        let is_unix = address.starts_with("unix:");
        match self.mode {
            Some(_) if !is_unix => {
                return misfit("mode", "only the file of a Unix socket has a mode")
            }
            Some(_) if is_open => return misfit("mode", "set the mode where the socket is opened"),
            Some(mode) if mode > 0o777 => {
                return misfit("mode", "a mode is at most 0o777, written in octal, such as 0o660");
            }
            _ => {}
        }
        match self.is_shared {
            true if is_unix => misfit("shared", "listen on clones of one open `UnixListener`"),
            true if is_open => misfit("shared", "set SO_REUSEPORT where the socket is opened"),
            _ => Ok(()),
        }
    }
}

impl From<&str> for Listener {
    fn from(address: &str) -> Listener {
        Listener::new(address)
    }
}

impl From<&String> for Listener {
    fn from(address: &String) -> Listener {
        Listener::new(address)
    }
}

impl From<String> for Listener {
    fn from(address: String) -> Listener {
        Listener::new(address)
    }
}

impl From<SocketAddr> for Listener {
    fn from(address: SocketAddr) -> Listener {
        Listener::new(address.to_string())
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Listener {
        Listener::at(Place::Tcp(listener))
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Listener {
        Listener::at(Place::Unix(listener))
    }
}

impl<S: 'static> Server<S> {
    /// Listens on one more address: `HOST:PORT`, `unix:PATH`, an open socket, or a [`Listener`]
    /// with options.
    ///
    /// The socket is opened at once, so clients can connect from now on; they are served when the
    /// server runs.
    ///
    /// ```no_run
    /// use std::net::{Ipv6Addr, SocketAddr, TcpListener};
    /// use wheelhouse::{runtime::Listener, Server};
    ///
    /// let server = Server::new()
    ///     .listen("127.0.0.1:8080")?
    ///     .listen(SocketAddr::from((Ipv6Addr::LOCALHOST, 8080)))?
    ///     .listen(TcpListener::bind("127.0.0.1:0")?)?
    ///     .listen(Listener::new("unix:/run/hello.sock").named("local"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Address`] if the address is malformed or its host is not found, [`Error::Listen`]
    /// with the error of the system if the socket cannot be opened or is not a listener,
    /// [`Error::ListenerOption`] for an option that the address cannot have,
    /// [`Error::TooManyListeners`] beyond 250.
    #[doc(alias("bind", "ListenAndServe", "Serve", "Addr", "SO_REUSEPORT"))]
    pub fn listen(mut self, listener: impl Into<Listener>) -> Result<Server<S>, Error> {
        if self.listeners.len() == LISTENERS_MAX {
            return Err(Error::TooManyListeners { max: LISTENERS_MAX });
        }
        let mut listener = listener.into();
        let address = listener.address();
        let name = listener.name.take().unwrap_or_else(|| address.clone());
        let listener = listener.open(&address)?;
        if let mio_kernel::Listener::Tcp(tcp) = &listener {
            self.addresses.push(tcp.local_addr().map_err(failed(&address))?);
        }
        self.listeners.push((name.into(), listener));
        Ok(self)
    }

    /// Listens on every socket that the service manager has handed over in the way of systemd
    /// (`LISTEN_FDS`), TCP and Unix.
    ///
    /// The names of `LISTEN_FDNAMES` become those of the listeners. A socket without one is named
    /// as any open socket is ([`Listener::named`]).
    ///
    /// Call it once, while the program has one thread, because it removes the variables from the
    /// environment.
    ///
    /// # Errors
    ///
    /// [`Error::NothingInherited`] if there is no socket, [`Error::Listen`] if one does not listen
    /// for streams, [`Error::TooManyListeners`] beyond 250.
    #[cfg(feature = "inherit")]
    #[doc(alias("LISTEN_FDS", "systemd", "socket activation"))]
    pub fn listen_inherited(mut self) -> Result<Server<S>, Error> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut inherited = listenfd::ListenFd::from_env();
        if inherited.len() == 0 {
            return Err(Error::NothingInherited);
        }
        for n in 0..inherited.len() {
            let name = names.next().filter(|name| !name.is_empty()).map(str::to_owned);
            if let Some(listener) = take_inherited(&mut inherited, n)? {
                self = self.listen(Listener { name, ..listener })?;
            }
        }
        Ok(self)
    }

    /// Returns the addresses of the TCP listeners, in the order of the calls of `listen`, with the
    /// ports that the system chose.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Takes the inherited socket of number `n`, unless it was taken before.
#[cfg(feature = "inherit")]
fn take_inherited(sockets: &mut listenfd::ListenFd, n: usize) -> Result<Option<Listener>, Error> {
    if let Ok(Some(listener)) = sockets.take_tcp_listener(n) {
        return Ok(Some(listener.into()));
    }
    let listener = sockets.take_unix_listener(n);
    Ok(listener.map_err(failed(&format!("inherited socket {n}")))?.map(Listener::from))
}

fn failed(address: &str) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Listen { address: address.to_owned(), source }
}

fn resolve(address: &str) -> Result<SocketAddr, Error> {
    let first = address.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    first.ok_or_else(|| Error::Address { address: address.to_owned() })
}

fn adopt_tcp(listener: TcpListener) -> io::Result<mio_kernel::Listener> {
    check_listens(&SockRef::from(&listener))?;
    listener.set_nonblocking(true)?;
    set_options(&SockRef::from(&listener));
    Ok(mio_kernel::Listener::Tcp(mio::net::TcpListener::from_std(listener)))
}

fn adopt_unix(listener: UnixListener) -> io::Result<mio_kernel::Listener> {
    check_listens(&SockRef::from(&listener))?;
    listener.set_nonblocking(true)?;
    Ok(mio_kernel::Listener::Unix(mio::net::UnixListener::from_std(listener), None))
}

fn listen_tcp(address: SocketAddr, is_shared: bool) -> io::Result<mio_kernel::Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    set_options(&SockRef::from(&socket));
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(mio_kernel::Listener::Tcp(mio::net::TcpListener::from_std(socket.into())))
}

/// Refuses a connection in place of a listener: every `accept` on it would fail.
fn check_listens(socket: &SockRef<'_>) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if !socket.is_listener()? {
        let problem = "the socket does not listen: if systemd hands it over, set Accept=no";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let _ = socket;
    Ok(())
}

/// Sets the options that accepted sockets inherit on Linux. A missing option is not an error.
fn set_options(socket: &SockRef<'_>) {
    const KEEP_ALIVE: Duration = Duration::from_secs(15);
    /// Bytes that the kernel takes beyond those on their way: bounds the memory of a slow reader.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const NOT_SENT_LOWAT: u32 = 64 << 10;

    let _ = socket.set_tcp_nodelay(true);
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
    let _ = socket.set_tcp_keepalive(&keep_alive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_LOWAT);
}

fn listen_unix(path: &Path, mode: Option<u32>) -> io::Result<mio_kernel::Listener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    bind_unix(&socket, path)?;
    // Noted at once: until the socket listens, its file looks stale to another server that starts.
    let file = SocketFile::at(path);
    let result = set_mode(path, mode).and_then(|()| socket.listen(BACKLOG));
    let socket = mio::net::UnixListener::from_std(socket.into());
    // After an error the listener is dropped, which removes its file.
    let listener = mio_kernel::Listener::Unix(socket, Some(file));
    result.map(|()| listener)
}

/// Binds the socket, and replaces a stale file.
fn bind_unix(socket: &Socket, path: &Path) -> io::Result<()> {
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            socket.bind(&address)
        }
        result => result,
    }
}

/// Sets the permissions of a socket file. The system refuses every connection to a socket that does
/// not listen yet, so the permissions that the file had before let no client in.
fn set_mode(path: &Path, mode: Option<u32>) -> io::Result<()> {
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
