//! Content that is larger than any socket buffer, in both directions; `100 Continue`; files; and
//! the response that must survive an upload which no handler reads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

use socket2::{Domain, Socket, Type};
use wheelhouse::body::Out;
use wheelhouse::content::Transform;
use wheelhouse::{Body, Method, Reply, Request, Response, StatusCode, Version};

use super::running::{Client, Running, PATIENCE};

static BIG: [u8; 8 << 20] = [b'.'; 8 << 20];

/// A client whose socket takes only a few KiB, so that the server has to wait for it.
fn connect_with_small_window(server: &Running) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&server.addrs[0].into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

#[test]
fn eight_mebibytes_reach_a_slow_reader_while_others_are_served() {
    let server = Running::new(|req: &Request<'_>| match req.path() {
        "/big" => Response::ok("application/octet-stream", &BIG[..]),
        _ => Response::text("hello"),
    });
    let mut slow = connect_with_small_window(&server);
    slow.write_all(b"GET /big HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
    let mut other = server.connect();
    let (mut total, mut piece) = (0, [0; 8 << 10]);
    loop {
        let read = slow.read(&mut piece).unwrap();
        if total / (1 << 20) != (total + read) / (1 << 20) {
            other.get("/").assert(200, "hello");
        }
        total += read;
        if read == 0 {
            break;
        }
    }
    assert!(total > BIG.len() && total < BIG.len() + 500, "{total} bytes with the head");
}

/// Sends the content back as it arrives.
struct Echo(Option<u64>);

impl<S> Transform<S> for Echo {
    fn piece(&mut self, _: &mut S, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        Ok(out.put(piece))
    }

    fn content_length(&self) -> Option<u64> {
        self.0
    }
}

fn echo(req: &Request<'_>) -> Reply {
    assert_eq!((req.method(), req.version()), (&Method::PUT, Version::HTTP_11));
    Reply::transform(Response::new(StatusCode::OK), Echo(req.content_length()))
}

/// Bytes in which neighbouring pieces differ.
fn pattern(len: usize) -> Vec<u8> {
    (0..len / 4).flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// Go: TestResponseControllerEnableFullDuplex (t138).
#[test]
fn sixty_four_mebibytes_are_echoed_to_a_client_that_reads_while_it_sends() {
    const ROUNDS: usize = 64;
    let server = Running::new(echo);
    let mut client = server.connect();
    client
        .send(format!("PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n", ROUNDS << 20));
    let piece = pattern(1 << 20);
    let (mut upload, sent) = (client.stream().try_clone().unwrap(), piece.clone());
    let sender = thread::spawn(move || (0..ROUNDS).for_each(|_| upload.write_all(&sent).unwrap()));
    assert!(client.head().starts_with("HTTP/1.1 200 "));
    for round in 0..ROUNDS {
        assert!(client.take(piece.len()) == piece, "MiB {round} comes back as it was sent");
    }
    sender.join().unwrap();
    // The connection still works.
    client.send("PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nhi");
    client.response().assert(200, "hi");
}

#[test]
fn chunks_are_echoed_in_chunks() {
    const ROUNDS: usize = 64;
    let server = Running::new(echo);
    let mut client = server.connect();
    client.send("PUT / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n");
    let piece = pattern(64 << 10);
    let (mut upload, sent) = (client.stream().try_clone().unwrap(), piece.clone());
    let sender = thread::spawn(move || {
        for _ in 0..ROUNDS {
            write!(upload, "{:x}\r\n", sent.len()).unwrap();
            upload.write_all(&sent).unwrap();
            upload.write_all(b"\r\n").unwrap();
        }
        upload.write_all(b"0\r\n\r\n").unwrap();
    });
    let response = client.response();
    sender.join().unwrap();
    assert_eq!(response.field("transfer-encoding"), Some("chunked"));
    assert!(response.content == piece.repeat(ROUNDS));
}

#[test]
fn continue_is_sent_only_if_the_handler_reads_the_content() {
    let server = Running::new(|req: &Request<'_>| match req.path() {
        "/wanted" => Reply::collect(10, |(), _, content: &[u8]| format!("{}", content.len())),
        _ => Response::status_page(StatusCode::UNAUTHORIZED).into(),
    });
    let head = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\
             Expect: 100-continue\r\n\r\n"
        )
    };
    let mut client = server.connect();
    client.send(head("/wanted"));
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("four");
    client.response().assert(200, "4");
    client.send(head("/other"));
    client.response().assert(401, "401 Unauthorized\n");
}

/// Go: TestServerGracefulClose. Without a lingering close the unread upload would make the kernel
/// reset the connection and discard the response (t149).
#[test]
fn a_response_survives_an_upload_of_twenty_megabytes_that_no_handler_reads() {
    let server = Running::new(|_: &Request<'_>| Response::status_page(StatusCode::UNAUTHORIZED));
    for _ in 0..5 {
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 20971520\r\n\r\n");
        // Many clients write everything before they read, and take an error for the end.
        for _ in 0..4 {
            client.stream().write_all(&BIG[..5 << 20]).unwrap();
        }
        let response = client.response();
        response.assert(401, "401 Unauthorized\n");
        assert_eq!(response.field("connection"), Some("close"));
    }
}

/// Go: TestLinuxSendfile (t227).
#[test]
fn a_part_of_a_file_is_sent_and_the_connection_is_kept() {
    let path = std::env::temp_dir().join(format!("wheelhouse-{}-file", std::process::id()));
    let bytes = pattern(3 << 20);
    std::fs::write(&path, &bytes).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let server = Running::new(move |_: &Request<'_>| {
        let part = Body::file_range(file.try_clone().unwrap(), 1000..1000 + (2 << 20));
        Response::ok("application/octet-stream", part)
    });
    let mut client = Client::over(connect_with_small_window(&server));
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!(response.field("content-length"), Some("2097152"));
        assert!(response.content == bytes[1000..1000 + (2 << 20)]);
    }
}

#[test]
fn a_file_that_has_shrunk_ends_in_a_reset_and_not_in_a_short_response() {
    let path = std::env::temp_dir().join(format!("wheelhouse-{}-shrunk", std::process::id()));
    std::fs::write(&path, "short").unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let server = Running::new(move |_: &Request<'_>| {
        Response::ok("text/plain", Body::file_range(file.try_clone().unwrap(), 0..100))
    });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    let (_, end) = client.rest_or_error();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
