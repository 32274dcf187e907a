//! A small client for tests: it puts a request together, sends it on a connection of its own, and
//! reads the response.

use std::net::SocketAddr;
use std::time::Duration;

use crate::sim::response::Response;
use crate::sim::{Client, Sim};

/// The real time of one nap of a test that waits for other threads.
const NAP: Duration = Duration::from_millis(100);
/// The number of naps without a wake after which a test gives up: ten seconds.
const NAPS_MAX: u32 = 100;

impl<S: 'static> Sim<S> {
    /// Sends `GET target` on a connection of its own and returns the response, as
    /// [`send`](RequestBuilder::send) does.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Request, StatusCode};
    ///
    /// let mut sim = Sim::new(|req: &Request<'_>| format!("hello {}", req.path()));
    /// let response = sim.get("/you");
    /// assert_eq!(response.status(), StatusCode::OK);
    /// assert_eq!(response.header("Content-Type"), Some("text/plain; charset=utf-8"));
    /// assert_eq!(response.text(), "hello /you");
    /// ```
    ///
    /// # Panics
    ///
    /// As for [`send`](RequestBuilder::send).
    pub fn get(&mut self, target: &str) -> Response {
        self.request("GET", target).send()
    }

    /// Creates a request, which is sent on a connection of its own.
    ///
    /// ```
    /// use wheelhouse::{sim::Sim, Reply, Request};
    ///
    /// let mut sim = Sim::new(|_: &Request<'_>| -> Reply {
    ///     Reply::collect(100, |_, req, content| {
    ///         format!("{} bytes of {}", content.len(), req.header("Content-Type").unwrap_or("-"))
    ///     })
    /// });
    /// let request = sim.request("POST", "/").header("Content-Type", "text/plain").body("abc");
    /// assert_eq!(request.send().text(), "3 bytes of text/plain");
    /// ```
    pub fn request(&mut self, method: &str, target: &str) -> RequestBuilder<'_> {
        RequestBuilder {
            sim: self,
            is_head: method == "HEAD",
            head: format!("{method} {target} HTTP/1.1\r\n").into_bytes(),
            has_host: false,
            body: None,
            peer: None,
        }
    }

    /// Returns the next complete response that the client has read; `None` if there is none yet.
    /// Informational responses are left out.
    ///
    /// The client does not remember its requests and takes every response for one to `GET`. Use
    /// [`request`](Sim::request) for `HEAD`, whose responses have no content.
    pub fn response(&mut self, client: Client) -> Option<Response> {
        self.next_response(client, false)
    }

    /// Waits, in real time, until the program has used or dropped every [`Later`](crate::Later).
    /// Virtual time stands still. Returns after ten seconds without a wake from another thread, so
    /// a `Later` that waits for another request does not block the test.
    pub fn settle(&mut self) {
        self.wait_until(|sim| !sim.reactor.has_laters());
    }

    /// Runs the server until `is_done`, or until no thread has woken it for ten seconds.
    fn wait_until(&mut self, mut is_done: impl FnMut(&mut Sim<S>) -> bool) {
        let mut naps = 0;
        while naps < NAPS_MAX {
            self.run();
            if is_done(self) {
                return;
            }
            naps = match self.kernel().wait_for_bell(NAP) {
                true => 0,
                false => naps + 1,
            };
        }
    }

    fn next_response(&mut self, client: Client, is_head: bool) -> Option<Response> {
        let has_ended = self.has_ended(client);
        let wire = self.kernel().wire(client);
        let (response, used) = Response::parse(&wire.received[wire.parsed..], is_head, has_ended)?;
        wire.parsed += used;
        Some(response)
    }
}

/// A builder of a request, which [`send`](RequestBuilder::send) sends.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<'a> {
    sim: &'a mut dyn Exchange,
    is_head: bool,
    /// The request line and the fields so far.
    head: Vec<u8>,
    has_host: bool,
    body: Option<Vec<u8>>,
    peer: Option<SocketAddr>,
}

impl RequestBuilder<'_> {
    /// Adds a header field, unchecked. A request without a `Host` gets `Host: localhost`.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.has_host |= name.eq_ignore_ascii_case("host");
        self.head.extend([name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat());
        self
    }

    /// Sets the content, and its `Content-Length`.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// Sets the content to `value` as JSON, with the fields `Content-Type` and `Content-Length`.
    ///
    /// # Panics
    ///
    /// If `value` cannot be written as JSON.
    #[cfg(feature = "json")]
    pub fn json(self, value: &impl serde::Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("the value can be written as JSON");
        self.header("Content-Type", "application/json").body(json)
    }

    /// Sets the address of the client. By default, each client has one of its own: `192.0.2.1` and the
    /// following.
    pub fn from(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Sends the request and returns the response.
    ///
    /// If other threads of the program make the response, this waits for them in real time. Virtual
    /// time stands still. The connection is reset afterwards. For responses that do not end (event
    /// streams) or that need virtual time, use [`connect`](Sim::connect), [`send`](Sim::send) and
    /// [`received`](Sim::received).
    ///
    /// # Panics
    ///
    /// If the server closes the connection without a complete response, or if the response is not
    /// complete and no thread wakes the server for ten seconds.
    pub fn send(mut self) -> Response {
        if !self.has_host {
            self = self.header("Host", "localhost");
        }
        let body = self.body.take();
        if let Some(body) = &body {
            self = self.header("Content-Length", body.len().to_string());
        }
        self.head.extend(b"\r\n");
        self.head.extend(body.unwrap_or_default());
        self.sim.exchange(&self.head, self.is_head, self.peer)
    }
}

impl std::fmt::Debug for RequestBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RequestBuilder").field(&String::from_utf8_lossy(&self.head)).finish()
    }
}

/// A simulation with any state.
trait Exchange {
    fn exchange(&mut self, request: &[u8], is_head: bool, peer: Option<SocketAddr>) -> Response;
}

impl<S: 'static> Exchange for Sim<S> {
    fn exchange(&mut self, request: &[u8], is_head: bool, peer: Option<SocketAddr>) -> Response {
        let client = self.connect_to_number(0, peer);
        self.send(client, request);
        let mut response = None;
        self.wait_until(|sim| {
            response = sim.next_response(client, is_head);
            response.is_some() || sim.has_ended(client)
        });
        let response = response.unwrap_or_else(|| {
            let line = String::from_utf8_lossy(request);
            let received = String::from_utf8_lossy(self.received(client)).into_owned();
            panic!("{:?}: no complete response, only {received:?}", line.lines().next());
        });
        self.reset(client);
        response
    }
}
