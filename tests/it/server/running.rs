//! A server in a thread of its own, and a client that sends exactly the bytes it is given.

use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wheelhouse::runtime::{ConnectionState, Report};
use wheelhouse::{Handle, Handler, Limits, Server};

/// The longest time for which a test waits before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until it is shut down or dropped.
pub(crate) struct Running {
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) handle: Handle,
    states: Receiver<ConnectionState>,
    report: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Runs on one port that the system chooses, with default limits.
    pub(crate) fn new(handler: impl Handler + Send + 'static) -> Running {
        Running::with_limits(Limits::default(), handler)
    }

    pub(crate) fn with_limits(limits: Limits, handler: impl Handler + Send + 'static) -> Running {
        Running::on(&["127.0.0.1:0"], limits, handler)
    }

    /// Builds the server in its own thread, since a running one cannot move, and sends its
    /// addresses.
    pub(crate) fn on(
        addresses: &[&str],
        limits: Limits,
        handler: impl Handler + Send + 'static,
    ) -> Running {
        let addresses: Vec<String> = addresses.iter().map(|&address| address.into()).collect();
        let (started, wait_for_start) = mpsc::channel();
        let (sender, states) = mpsc::channel();
        let (done, report) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut server = Server::new().limits(limits);
            for address in &addresses {
                server = server.listen(address).unwrap();
            }
            // The receiver is gone if the test does not wait for states.
            let server = server.on_connection_state(move |_, _, state| _ = sender.send(state));
            started.send((server.local_addrs().to_vec(), server.handle())).unwrap();
            let _ = done.send(server.run(handler).unwrap());
        });
        let (addrs, handle) = wait_for_start.recv_timeout(PATIENCE).expect("the server starts");
        Running { addrs, handle, states, report, thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.addrs[0]).unwrap())
    }

    /// Waits until some connection is in `state`.
    pub(crate) fn wait_for(&self, state: ConnectionState) {
        loop {
            match self.states.recv_timeout(PATIENCE) {
                Ok(seen) if seen == state => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no connection became {state:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended before {state:?}"),
            }
        }
    }

    /// Waits for the end of the server, which the test must have requested.
    pub(crate) fn report(mut self) -> Report {
        let report = self.report.recv_timeout(PATIENCE).expect("the server ends");
        self.thread.take().unwrap().join().unwrap();
        report
    }

    /// Ends the server gracefully. Connections whose clients are still there must be idle.
    pub(crate) fn finish(self) -> Report {
        self.handle.shutdown();
        self.report()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

/// One connection to a server.
pub(crate) struct Client<S: Read = TcpStream> {
    stream: BufReader<S>,
}

/// One response, as it was received.
#[derive(Debug)]
pub(crate) struct ClientResponse {
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

impl Client {
    pub(crate) fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client::new(stream)
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub(crate) fn end(&mut self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    /// Sends `bytes` and the end of the stream in one segment.
    #[cfg(target_os = "linux")]
    pub(crate) fn send_and_end(&mut self, bytes: impl AsRef<[u8]>) {
        socket2::SockRef::from(self.stream()).set_tcp_cork(true).unwrap();
        self.send(bytes);
        self.end();
    }

    /// Closes with a reset instead of an end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Client<S> {
        Client { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Requests `path` and reads the response.
    pub(crate) fn get(&mut self, path: &str) -> ClientResponse {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"));
        self.response()
    }

    /// Reads one response, whose end is given by its length or by its last chunk.
    pub(crate) fn response(&mut self) -> ClientResponse {
        let head = self.head();
        let mut content = Vec::new();
        if let Some(length) = value(&head, "content-length") {
            content.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut content).unwrap();
        } else if value(&head, "transfer-encoding") == Some("chunked") {
            while self.chunk(&mut content) {}
        }
        ClientResponse { head, content }
    }

    /// Reads the head of a response.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = self.stream.read_until(b'\n', &mut head).unwrap();
            assert!(read > 0, "end in a head: {:?}", String::from_utf8_lossy(&head));
        }
        String::from_utf8(head).unwrap()
    }

    fn chunk(&mut self, content: &mut Vec<u8>) -> bool {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let start = content.len();
        content.resize(start + length + 2, 0);
        self.stream.read_exact(&mut content[start..]).unwrap();
        assert!(content.ends_with(b"\r\n"), "a chunk ends with its line");
        content.truncate(start + length);
        length > 0
    }

    /// Reads `len` bytes of content.
    pub(crate) fn take(&mut self, len: usize) -> Vec<u8> {
        let mut content = vec![0; len];
        self.stream.read_exact(&mut content).unwrap();
        content
    }

    /// Reads to the end of the stream, which must be a clean one.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Reads until the connection ends, cleanly or not, and returns the bytes and the kind of end.
    pub(crate) fn rest_or_error(&mut self) -> (Vec<u8>, io::Result<usize>) {
        let mut rest = Vec::new();
        let end = self.stream.read_to_end(&mut rest);
        (rest, end)
    }
}

impl ClientResponse {
    #[track_caller]
    pub(crate) fn assert(&self, status: u16, content: impl AsRef<[u8]> + Debug) {
        let line = format!("HTTP/1.1 {status} ");
        assert!(self.head.starts_with(&line), "the status is not {status}: {}", self.head);
        assert_eq!(self.content, content.as_ref());
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        value(&self.head, name)
    }
}

/// The value of the field `name` in `head`.
fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
