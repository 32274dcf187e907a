//! One path for each behaviour, for protocol probes and load generators.
//!
//! ```text
//! cargo run --release --example probe -- 127.0.0.1:8080 --header-timeout 2
//! curl -i http://127.0.0.1:8080/stream
//! curl -T bigfile http://127.0.0.1:8080/echo -o copy
//! ```
//!
//! With the feature `websocket`, `/ws` sends each message of a WebSocket back.

use std::io;
use std::time::Duration;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::content::Transform;
use wheelhouse::{Body, Error, Limits, Method, Reply, Request, Response, Server, StatusCode};

const USAGE: &str = "usage: probe ADDRESS [--header-timeout SECONDS] [--idle-timeout SECONDS] \
[--content-timeout SECONDS] [--max-connections N] [--memory BYTES] [--limits PRESET]

--limits replaces all limits, so give it before the others.";

fn main() -> Result<(), Error> {
    env_logger::init();
    let (address, limits) = arguments().unwrap_or_else(|error| {
        eprintln!("probe: {error}\n{USAGE}");
        std::process::exit(2)
    });
    Server::new().limits(limits).listen(&address)?.run(probe)?;
    Ok(())
}

fn probe(req: &Request<'_>) -> Reply {
    let (method, path) = (req.method(), req.path());
    #[cfg(feature = "websocket")]
    if path == "/ws" {
        return web_socket(req);
    }
    let allow = match path {
        "/" | "/204" | "/304" | "/stream" | "/big" => "GET, HEAD",
        "/echo" => "POST, PUT",
        "/noread" | "/collect" => "POST",
        _ => return Response::not_found().into(),
    };
    if !allow.split(", ").any(|allowed| allowed == method.as_str()) {
        return Response::method_not_allowed(allow).into();
    }
    match (method, path) {
        (_, "/204") => StatusCode::NO_CONTENT.into(),
        (_, "/304") => StatusCode::NOT_MODIFIED.into(),
        (_, "/stream") => Response::ok("text/plain", Body::produce(Lines(1000))).into(),
        (_, "/big") => Response::ok("application/octet-stream", &BIG[..]).into(),
        (&Method::POST | &Method::PUT, "/echo") => echo(req),
        (_, "/collect") => Reply::collect(1 << 20, |(), _, content| format!("{}\n", content.len())),
        (_, "/noread") => "not read\n".into(),
        _ => "Hello, World!".into(),
    }
}

static BIG: [u8; 8 << 20] = [b'.'; 8 << 20];

/// Sends the content back as it arrives.
fn echo(req: &Request<'_>) -> Reply {
    let kind = req.header("content-type").unwrap_or("application/octet-stream");
    let echo = Echo { len: req.content_length() };
    Reply::transform(Response::new(StatusCode::OK).with_header("Content-Type", kind), echo)
}

struct Echo {
    len: Option<u64>,
}

impl<S> Transform<S> for Echo {
    fn piece(&mut self, _: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        Ok(out.put(piece))
    }

    fn content_length(&self) -> Option<u64> {
        self.len
    }
}

/// Sends each message back.
#[cfg(feature = "websocket")]
fn web_socket(req: &Request<'_>) -> Reply {
    use wheelhouse::websocket::{accept, on_message, Message, Options, Socket};
    let echo = |_: &mut (), message: Message<'_>, socket: &mut Socket<'_>| {
        socket.send(message);
    };
    accept(req, &Options::new(), on_message(echo))
}

/// So many lines, of a length that is not known beforehand.
struct Lines(u32);

impl Produce for Lines {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        while self.0 > 0 && out.room() >= 16 {
            out.put(format!("line {}\n", self.0).as_bytes());
            self.0 -= 1;
        }
        Ok(if self.0 == 0 { Produced::End } else { Produced::More })
    }
}

fn arguments() -> Result<(String, Limits), lexopt::Error> {
    use lexopt::prelude::*;
    let mut address = "127.0.0.1:8080".to_owned();
    let mut limits = Limits::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) => address = value.string()?,
            Long("header-timeout") => limits.head_timeout = seconds(&mut parser)?,
            Long("idle-timeout") => {
                limits.idle_timeout = seconds(&mut parser)?;
                limits.idle_timeout_min = limits.idle_timeout_min.min(limits.idle_timeout);
            }
            Long("content-timeout") => limits.content_window = seconds(&mut parser)?,
            Long("max-connections") => limits.connections_max = parser.value()?.parse()?,
            Long("memory") => limits.memory_bytes_max = parser.value()?.parse()?,
            Long("limits") => {
                let preset = parser.value()?.string()?;
                limits = Limits::preset(&preset).ok_or("no preset has this name")?;
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok((address, limits))
}

fn seconds(parser: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    use lexopt::prelude::*;
    parser.value()?.parse_with(|text| {
        Duration::try_from_secs_f64(text.parse().map_err(|_| "not a number")?)
            .map_err(|_| "no time")
    })
}
