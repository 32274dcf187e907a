//! Listeners: TCP and Unix sockets, several at once, and socket files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
#[cfg(feature = "inherit")]
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wheelhouse::runtime::{Admission, Listener, Report};
use wheelhouse::{Error, Handle, Limits, Request, Response, Server};

use super::running::{Client, Running, PATIENCE};
use crate::support::Watched;

/// A path for a socket file that is removed at the end, whether the server or the test made it.
struct SocketFile(PathBuf);

impl SocketFile {
    fn new(name: &str) -> SocketFile {
        let file = format!("wheelhouse-{}-{name}.sock", std::process::id());
        SocketFile(std::env::temp_dir().join(file))
    }

    fn address(&self) -> String {
        format!("unix:{}", self.0.display())
    }

    fn connect(&self) -> Client<UnixStream> {
        let stream = UnixStream::connect(&self.0).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::new(stream)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn transport(req: &Request<'_>) -> Response {
    Response::text(if req.local_addr().is_some() { "by TCP" } else { "by Unix socket" })
}

#[test]
fn one_server_serves_tcp_and_a_unix_socket() {
    let file = SocketFile::new("both");
    let server = Running::on(&["127.0.0.1:0", &file.address()], Limits::default(), transport);
    assert_eq!(server.addrs.len(), 1, "a Unix socket has no port");
    let (mut tcp, mut unix) = (server.connect(), file.connect());
    for _ in 0..3 {
        tcp.get("/").assert(200, "by TCP");
        unix.get("/").assert(200, "by Unix socket");
    }
    let report = server.finish();
    assert_eq!((report.totals.accepted, report.totals.requests, report.reset), (2, 6, 0));
    assert!(!file.0.exists(), "the socket file is removed at the end");
}

/// Go: TestServerContext_LocalAddrContextKey (t11).
#[test]
fn each_of_several_listeners_is_served() {
    let addresses = ["127.0.0.1:0"; 5];
    let server = Running::on(&addresses, Limits::default(), |req: &Request<'_>| {
        Response::text(req.local_addr().unwrap().to_string())
    });
    let mut clients: Vec<Client> =
        server.addrs.iter().map(|addr| Client::over(TcpStream::connect(addr).unwrap())).collect();
    // Last first: no listener waits for an earlier one.
    for (client, addr) in clients.iter_mut().zip(&server.addrs).rev() {
        client.get("/").assert(200, addr.to_string());
    }
}

/// Go: TestSetsRemoteAddr (t3).
#[test]
fn a_handler_sees_the_address_of_its_peer() {
    let server = Running::on(&["127.0.0.1:0"], Limits::default(), |req: &Request<'_>| {
        Response::text(req.peer_addr().unwrap().to_string())
    });
    let stream = TcpStream::connect(server.addrs[0]).unwrap();
    let own = stream.local_addr().unwrap();
    Client::over(stream).get("/").assert(200, own.to_string());
}

/// The system forgets the address of a socket that was reset, even if bytes are still to be read.
#[test]
fn a_client_that_resets_its_connection_after_its_request_does_not_hide_its_address() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let seen = Watched::<Vec<(&str, Option<SocketAddr>)>>::default();
    let [hook, exchange, handler] = [(); 3].map(|()| seen.clone());
    let server = Server::new()
        .listen("127.0.0.1:0")
        .unwrap()
        .on_connect(move |(), new| {
            hook.borrow_mut().push(("hook", new.peer_addr()));
            Admission::accept()
        })
        .on_exchange(move |(), ended| exchange.borrow_mut().push(("end", ended.peer_addr())));
    let mut client = TcpStream::connect(server.local_addrs()[0]).unwrap();
    let own = client.local_addr().unwrap();
    client.write_all(GET).unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    let mut event_loop = server
        .build(move |req: &Request<'_>| {
            handler.borrow_mut().push(("handler", req.peer_addr()));
            "never read"
        })
        .unwrap();
    for _ in 0..20 {
        let _ = event_loop.turn(Some(Duration::from_millis(5))).unwrap();
    }
    let seen = seen.borrow();
    assert!(seen.iter().all(|(_, addr)| *addr == Some(own)), "{own}: {seen:?}");
    // Not every system lets the request of such a client be read.
    if cfg!(target_os = "linux") {
        assert_eq!(seen.iter().map(|(by, _)| *by).collect::<Vec<_>>(), ["hook", "handler", "end"]);
    }
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let file = SocketFile::new("stale");
    drop(UnixListener::bind(&file.0).unwrap());
    assert!(file.0.exists(), "a killed process does not remove its socket file");
    let server = Running::on(&[&file.address()], Limits::default(), transport);
    file.connect().get("/").assert(200, "by Unix socket");
    server.finish();
    assert!(!file.0.exists());
}

#[test]
fn a_socket_with_a_listener_is_left_alone() {
    let file = SocketFile::new("live");
    let _owner = UnixListener::bind(&file.0).unwrap();
    let refused = Server::new().listen(file.address()).unwrap_err();
    assert!(matches!(refused, Error::Listen { .. }), "{refused}");
    assert!(UnixStream::connect(&file.0).is_ok(), "its owner can still be reached");
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let file = SocketFile::new("precious");
    fs::write(&file.0, "precious").unwrap();
    assert!(Server::new().listen(file.address()).is_err());
    assert_eq!(fs::read_to_string(&file.0).unwrap(), "precious");
}

#[test]
fn the_error_for_an_address_that_is_in_use_or_malformed_names_the_address() {
    let server = Running::new(transport);
    let address = server.addrs[0].to_string();
    let refused = Server::new().listen(&address).unwrap_err();
    assert!(matches!(refused, Error::Listen { .. }), "{refused}");
    assert!(refused.to_string().contains(&address), "{refused}");
    let refused = Server::new().listen("no port").unwrap_err();
    assert!(refused.to_string().contains("no port"), "{refused}");
}

#[test]
fn a_server_without_a_listener_does_not_run() {
    assert!(matches!(Server::new().run(transport), Err(Error::NoListener)));
}

/// Whether this machine has the address of a host.
fn has(address: &SocketAddr) -> bool {
    TcpListener::bind(SocketAddr::new(address.ip(), 0)).is_ok()
}

#[test]
fn a_name_is_served_on_all_its_addresses_on_the_same_port() {
    let found = ("localhost", 0).to_socket_addrs().unwrap().filter(has);
    let found: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
    let server = Running::on(&["localhost:0"], Limits::default(), |req: &Request<'_>| {
        Response::text(req.listener().to_owned())
    });
    let opened: BTreeSet<IpAddr> = server.addrs.iter().map(SocketAddr::ip).collect();
    assert_eq!(opened, found);
    for address in &server.addrs {
        assert_eq!(address.port(), server.addrs[0].port());
        let mut client = Client::over(TcpStream::connect(address).unwrap());
        client.get("/").assert(200, "localhost:0");
    }
}

#[test]
fn a_port_alone_is_served_on_every_address_of_ipv4_and_ipv6() {
    let server = Running::on(&[":0"], Limits::default(), |req: &Request<'_>| {
        Response::text(req.peer_addr().unwrap().ip().to_string())
    });
    let port = server.addrs[0].port();
    for ip in ["127.0.0.1", "127.0.0.2", "::1"] {
        let address = SocketAddr::new(ip.parse().unwrap(), port);
        if has(&address) {
            let mut client = Client::over(TcpStream::connect(address).unwrap());
            client.get("/").assert(200, if address.is_ipv4() { "127.0.0.1" } else { "::1" });
        }
    }
}

/// Loopback has no such address, so the system refuses it after the zone was understood.
#[cfg(target_os = "linux")]
#[test]
fn an_address_of_ipv6_may_have_a_zone() {
    let refused = Server::new().listen("[fe80::1%lo]:0").unwrap_err();
    assert!(matches!(refused, Error::Listen { .. }), "{refused:?}");
    let refused = Server::new().listen("[fe80::1%no-such-zone]:0").unwrap_err();
    assert!(matches!(refused, Error::Address { .. }), "{refused:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_socket_is_served_under_its_name_and_has_no_file() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = format!("wheelhouse-{}-abstract", std::process::id());
    let address = format!("unix:@{name}");
    let of_client = SocketAddr::from_abstract_name(&name).unwrap();
    let server = Running::on(&["127.0.0.1:0", &address], Limits::default(), transport);
    let mut client = Client::new(UnixStream::connect_addr(&of_client).unwrap());
    client.get("/").assert(200, "by Unix socket");
    assert!(Server::new().listen(&address).is_err(), "the name is in use");
    server.finish();
    assert!(!std::path::Path::new(&format!("@{name}")).exists());
    let open = UnixListener::bind_addr(&of_client).unwrap();
    let (_, handle, thread) =
        named(move |server| server.listen(open).unwrap().listen("127.0.0.1:0").unwrap());
    let mut client = Client::new(UnixStream::connect_addr(&of_client).unwrap());
    client.get("/").assert(200, address);
    handle.shutdown();
    thread.join().unwrap();
}

#[test]
fn the_file_of_a_unix_socket_gets_the_owner_that_was_set() {
    let file = SocketFile::new("owner");
    let own = fs::metadata(std::env::current_exe().unwrap()).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    // Only root may give a file to another user.
    let (user, group) = if is_root { (65_533, 65_532) } else { (own.uid(), own.gid()) };
    let listener = Listener::new(file.address()).owner(Some(user), Some(group)).mode(0o660);
    let _server = Server::new().listen(listener).unwrap();
    let found = fs::metadata(&file.0).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (user, group, 0o660));
}

/// A server on the listener that `open` adds, whose handler responds with the listener's name.
fn named(open: impl FnOnce(Server) -> Server + Send + 'static) -> (SocketAddr, Handle, Thread) {
    let (started, wait_for_start) = mpsc::channel();
    let thread = thread::spawn(move || {
        let server = open(Server::new());
        started.send((server.local_addrs()[0], server.handle())).unwrap();
        server.serve(|req| Response::text(req.listener().to_owned())).unwrap()
    });
    let (address, handle) = wait_for_start.recv_timeout(PATIENCE).expect("the server starts");
    (address, handle, thread)
}

type Thread = thread::JoinHandle<Report>;

#[test]
fn sockets_that_the_program_opened_are_served_and_their_files_stay() {
    let file = SocketFile::new("elsewhere");
    let unix = UnixListener::bind(&file.0).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let kept = tcp.try_clone().unwrap();
    let (address, handle, thread) =
        named(|server| server.listen(tcp).unwrap().listen(unix).unwrap());
    assert_eq!(address, kept.local_addr().unwrap());
    Client::over(TcpStream::connect(address).unwrap()).get("/").assert(200, address.to_string());
    file.connect().get("/").assert(200, file.address());
    handle.shutdown();
    assert_eq!(thread.join().unwrap().totals.requests, 2);
    assert!(file.0.exists(), "the owner of the file removes it");
    assert!(TcpStream::connect(address).is_ok(), "the other owner still listens");
}

#[test]
fn the_name_of_a_listener_is_the_given_one_or_its_address() {
    let file = SocketFile::new("named");
    let unix = file.address();
    let (address, handle, thread) = named(move |server| {
        server.listen("127.0.0.1:0").unwrap().listen(Listener::new(unix).named("admin")).unwrap()
    });
    let mut client = Client::over(TcpStream::connect(address).unwrap());
    client.get("/").assert(200, "127.0.0.1:0");
    file.connect().get("/").assert(200, "admin");
    handle.shutdown();
    assert_eq!(thread.join().unwrap().totals.requests, 2);
    assert!(!file.0.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn only_a_shared_address_can_be_bound_twice() {
    let first = Server::new().listen(Listener::new("127.0.0.1:0").shared()).unwrap();
    let address = first.local_addrs()[0];
    let second = Server::new().listen(Listener::from(address).shared()).unwrap();
    assert_eq!(first.local_addrs(), second.local_addrs());
    assert!(matches!(Server::new().listen(address), Err(Error::Listen { .. })));
}

#[test]
fn one_listener_too_many_is_an_error_and_not_a_panic() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let full = (0..250)
        .fold(Server::new(), |server, _| server.listen(listener.try_clone().unwrap()).unwrap());
    let refused = full.listen(listener).unwrap_err();
    assert!(matches!(refused, Error::TooManyListeners { max: 250 }), "{refused}");
}

/// The test starts itself as a child that inherits its socket.
#[cfg(feature = "inherit")]
#[test]
fn inherited_sockets_are_served_under_their_given_names() {
    if std::env::var_os("LISTEN_FDS").is_some() {
        let (address, handle, thread) = named(|server| server.listen_inherited().unwrap());
        Client::over(TcpStream::connect(address).unwrap()).get("/").assert(200, "front");
        handle.shutdown();
        assert_eq!(thread.join().unwrap().totals.requests, 1);
        let again = Server::new().listen_inherited().unwrap_err();
        assert!(matches!(again, Error::NothingInherited), "{again}");
        return;
    }
    let none = Server::new().listen_inherited().unwrap_err();
    assert!(matches!(none, Error::NothingInherited), "{none}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let inherits = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--test-threads=1"])
        .arg("server::listeners::inherited_sockets_are_served_under_their_given_names")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", "0")
        .env("LISTEN_FDNAMES", "front")
        .stdin(std::os::fd::OwnedFd::from(listener))
        .output()
        .unwrap();
    assert!(inherits.status.success(), "{}", String::from_utf8_lossy(&inherits.stdout));
}

#[test]
fn a_socket_file_that_another_process_has_replaced_is_not_removed() {
    let file = SocketFile::new("taken-over");
    let server = Running::on(&["127.0.0.1:0", &file.address()], Limits::default(), transport);
    fs::remove_file(&file.0).unwrap();
    let _next = UnixListener::bind(&file.0).unwrap();
    server.finish();
    assert!(UnixStream::connect(&file.0).is_ok(), "the new owner can still be reached");
}

/// The owner of such a socket is busy or stopped, and connecting to it would wait for ever.
#[cfg(target_os = "linux")]
#[test]
fn a_socket_with_a_full_queue_is_in_use() {
    let file = SocketFile::new("full");
    let owner = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let address = socket2::SockAddr::unix(&file.0).unwrap();
    owner.bind(&address).unwrap();
    owner.listen(0).unwrap();
    let _waiting = UnixStream::connect(&file.0).unwrap();
    let (done, is_done) = mpsc::channel();
    let asked = file.address();
    thread::spawn(move || done.send(Server::new().listen(&asked).is_err()));
    assert_eq!(is_done.recv_timeout(PATIENCE), Ok(true));
}

#[cfg(target_os = "linux")]
#[test]
fn a_connection_in_place_of_a_listener_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let wrong = TcpListener::from(std::os::fd::OwnedFd::from(connection));
    let refused = Server::new().listen(wrong).unwrap_err();
    assert!(format!("{refused:?}").contains("Accept=no"), "{refused:?}");
    let (one, _other) = UnixStream::pair().unwrap();
    let wrong = UnixListener::from(std::os::fd::OwnedFd::from(one));
    assert!(Server::new().listen(wrong).is_err());
}

#[test]
fn the_error_for_an_impossible_address_says_how_to_write_it() {
    for address in
        ["unix:", "unix:@", "no-such-host.invalid:80", "[127.0.0.1]:80", ":", ":x", "1.2.3.4", ""]
    {
        let refused = Server::new().listen(address).unwrap_err();
        assert!(matches!(refused, Error::Address { .. }), "{address}: {refused}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_shared_listener_may_have_a_name() {
    let first = Server::new().listen(Listener::new("127.0.0.1:0").shared()).unwrap();
    let shared = first.local_addrs()[0];
    let (address, handle, thread) =
        named(move |server| server.listen(Listener::from(shared).named("front").shared()).unwrap());
    drop(first); // From now on all connections go to the other one.
    assert_eq!(address, shared);
    Client::over(TcpStream::connect(address).unwrap()).get("/").assert(200, "front");
    handle.shutdown();
    assert_eq!(thread.join().unwrap().totals.requests, 1);
}

#[test]
fn the_file_of_a_unix_socket_gets_exactly_the_mode_that_was_set() {
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let file = SocketFile::new(&format!("mode-{mode:o}"));
        let listener = Listener::new(file.address()).mode(mode).named("admin");
        let server = Server::new().listen(listener).unwrap();
        let permissions = fs::metadata(&file.0).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o7777, mode, "{mode:o}");
        drop(server);
        assert!(!file.0.exists());
    }
}

#[test]
fn a_stale_socket_file_is_replaced_by_one_with_the_mode_that_was_set() {
    let file = SocketFile::new("stale-mode");
    drop(UnixListener::bind(&file.0).unwrap());
    fs::set_permissions(&file.0, fs::Permissions::from_mode(0o777)).unwrap();
    let _server = Server::new().listen(Listener::new(file.address()).mode(0o600)).unwrap();
    let permissions = fs::metadata(&file.0).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o7777, 0o600);
    assert!(UnixStream::connect(&file.0).is_ok());
}

#[test]
fn an_option_that_the_address_cannot_have_is_an_error_that_names_both() {
    let file = SocketFile::new("options");
    let first = UnixListener::bind(&file.0).unwrap();
    let unix = || first.try_clone().unwrap();
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = [
        (Listener::new("127.0.0.1:0").mode(0o600), "127.0.0.1:0", "mode"),
        (Listener::from(tcp()).mode(0o600), "127.0.0.1:", "mode"),
        (Listener::from(unix()).mode(0o600), "unix:", "mode"),
        (Listener::new("unix:/never.sock").mode(660), "unix:/never.sock", "mode"),
        (Listener::new("127.0.0.1:0").owner(Some(1), None), "127.0.0.1:0", "owner"),
        (Listener::from(unix()).owner(None, Some(1)), "unix:", "owner"),
        (Listener::new("unix:@never").mode(0o600), "unix:@never", "mode"),
        (Listener::new("unix:@never").owner(Some(1), None), "unix:@never", "owner"),
        (Listener::new("unix:/never.sock").shared(), "unix:/never.sock", "shared"),
        (Listener::from(tcp()).shared(), "127.0.0.1:", "shared"),
    ];
    for (listener, address, option) in refused {
        let refused = Server::new().listen(listener).unwrap_err();
        let Error::ListenerOption { address: named, option: wrong, .. } = &refused else {
            panic!("{refused}");
        };
        assert!(named.starts_with(address) && *wrong == option, "{refused}");
        assert!(refused.to_string().contains(&format!("{named} cannot have")), "{refused}");
    }
    assert!(file.0.exists(), "the file of an open socket is not touched");
}

#[test]
fn an_address_may_be_any_kind_of_text_or_a_socket_address() {
    let text = "127.0.0.1:0".to_owned();
    let parsed: SocketAddr = text.parse().unwrap();
    let server = Server::new().listen("127.0.0.1:0").unwrap().listen(&text).unwrap();
    let server = server.listen(text).unwrap().listen(parsed).unwrap();
    let ports: BTreeSet<u16> = server.local_addrs().iter().map(SocketAddr::port).collect();
    assert_eq!(ports.len(), 4);
}
