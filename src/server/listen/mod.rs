//! The places where a server listens: addresses that it opens, sockets that were opened elsewhere,
//! and those that a service manager hands over. Each has a name, which handlers can ask for.

mod tcp;
mod unix;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use crate::error::Error;
use crate::reactor::mio_kernel;
use crate::reactor::LISTENERS_MAX;
use crate::server::Server;

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
///   [`Server::local_addrs`] returns. If the host is a name with several addresses, such as
///   `localhost` with `127.0.0.1` and `::1`, the server listens on all of them, on the same port.
///   Those that this machine does not have are left out, with a line in the log, if at least one is
///   left. An address of IPv6 stands in brackets and may have a zone: `[::1]:80`,
///   `[fe80::1%eth0]:80`. The socket gets `SO_REUSEADDR`, `TCP_NODELAY`, keep-alive (15 s, as in
///   Go) and the greatest backlog that the system allows.
/// * `:PORT`: this port of every address of the machine, of IPv6 and of IPv4 (as in Go).
/// * `unix:PATH`: a Unix socket. A stale file, on which no process listens, is replaced. The
///   server removes the file when it ends, unless another file has taken its place.
/// * `unix:@NAME`: a Unix socket in the abstract namespace of Linux, without a file. Every process
///   in the same network namespace can connect to it. A file whose name begins with `@` is
///   `unix:./@NAME`.
/// * A socket that was opened elsewhere stays as it is: its other options are those of its opener,
///   and a socket file is not removed. It is made non-blocking, and a TCP socket gets `TCP_NODELAY`
///   and keep-alive.
#[derive(Debug)]
#[must_use = "a listener does nothing until it is given to `Server::listen`"]
pub struct Listener {
    place: Place,
    name: Option<String>,
    is_shared: bool,
    file: FileOptions,
}

/// The options for the file of a Unix socket.
#[derive(Clone, Copy, Debug, Default)]
struct FileOptions {
    mode: Option<u32>,
    user: Option<u32>,
    group: Option<u32>,
}

/// The place where a listener listens.
#[derive(Debug)]
enum Place {
    Address(String),
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Creates a listener for an address: `HOST:PORT`, `:PORT`, `unix:PATH` or `unix:@NAME`.
    pub fn new(address: impl Into<String>) -> Listener {
        Listener::at(Place::Address(address.into()))
    }

    fn at(place: Place) -> Listener {
        Listener { place, name: None, is_shared: false, file: FileOptions::default() }
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
        self.file.mode = Some(mode);
        self
    }

    /// Sets the owner of the file of a Unix socket: the ids of its user, its group, or both.
    ///
    /// No client can connect before the owner is set. To set another user, the process needs the
    /// privilege for that (`CAP_CHOWN`); every process may choose among its own groups. Without
    /// this option the file has the user and the group of the process.
    ///
    /// [`Server::listen`] refuses an owner for a TCP address, for an abstract socket and for an
    /// open socket.
    #[doc(alias = "chown")]
    pub fn owner(mut self, user: Option<u32>, group: Option<u32>) -> Listener {
        (self.file.user, self.file.group) = (user, group);
        self
    }

    /// The address as given, or the local address of an open socket.
    fn address(&self) -> String {
        match &self.place {
            Place::Address(address) => address.clone(),
            Place::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "TCP".to_owned(), |addr| addr.to_string())
            }
            Place::Unix(listener) => unix::address_of(listener),
        }
    }

    /// Opens the listener, whose address is `address`: one socket, or one for each address of a
    /// host.
    fn open(self, address: &str) -> Result<Vec<mio_kernel::Listener>, Error> {
        self.check(address)?;
        match self.place {
            Place::Tcp(listener) => Ok(vec![tcp::adopt(listener).map_err(failed(address))?]),
            Place::Unix(listener) => Ok(vec![unix::adopt(listener).map_err(failed(address))?]),
            Place::Address(_) => match address.strip_prefix("unix:") {
                Some("" | "@") => Err(Error::Address { address: address.to_owned() }),
                Some(name) => Ok(vec![unix::open(name, self.file).map_err(failed(address))?]),
                None => tcp::open(address, self.is_shared),
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
        let FileOptions { mode, user, group } = self.file;
        let of_file = match mode {
            Some(_) => Some("mode"),
            None => user.or(group).map(|_| "owner"),
        };
        match of_file {
            Some(option) if !is_unix => {
                return misfit(option, "it is for the file of a Unix socket")
            }
            Some(option) if is_open => return misfit(option, "set it where the socket is opened"),
            Some(option) if address.starts_with("unix:@") => {
                return misfit(option, "an abstract socket has no file")
            }
            _ => {}
        }
        if mode.is_some_and(|mode| mode > 0o777) {
            return misfit("mode", "a mode is at most 0o777, written in octal, such as 0o660");
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
    /// Listens on one more address: `HOST:PORT`, `:PORT`, `unix:PATH`, an open socket, or a
    /// [`Listener`] with options. [`Listener`] describes the addresses.
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
        let mut listener = listener.into();
        let address = listener.address();
        let name = listener.name.take().unwrap_or_else(|| address.clone());
        for listener in listener.open(&address)? {
            if self.listeners.len() == LISTENERS_MAX {
                return Err(Error::TooManyListeners { max: LISTENERS_MAX });
            }
            if let mio_kernel::Listener::Tcp(tcp) = &listener {
                self.addresses.push(tcp.local_addr().map_err(failed(&address))?);
            }
            self.listeners.push((name.as_str().into(), listener));
        }
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
    /// ports that the system chose. A host with several addresses has all of them, one after the
    /// other.
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
