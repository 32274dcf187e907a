//! Trailers that cannot be sent, which are logged.

use std::io;

use wheelhouse::body::{Out, Produce, Produced};
use wheelhouse::sim::Sim;
use wheelhouse::{Body, FieldError, Request, Response, Trailers};

use crate::lines;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Produces this many bytes and then these trailers.
struct Signed {
    left: usize,
    trailers: fn(&mut Trailers) -> Result<(), FieldError>,
}

impl Produce for Signed {
    fn produce(&mut self, out: &mut Out<'_>) -> io::Result<Produced> {
        self.left -= out.put(&vec![b's'; self.left.min(4)]);
        Ok(if self.left == 0 { Produced::End } else { Produced::More })
    }

    fn put_trailers(&mut self, trailers: &mut Trailers) -> io::Result<()> {
        Ok((self.trailers)(trailers)?)
    }
}

fn signed(trailers: fn(&mut Trailers) -> Result<(), FieldError>) -> Response {
    Response::ok("text/plain", Body::produce(Signed { left: 6, trailers }))
}

fn response_to(request: &[u8], site: impl FnMut(&Request<'_>) -> Response + 'static) -> String {
    let mut sim = Sim::new(site);
    let client = sim.connect_and_send(request);
    String::from_utf8(sim.take_received(client)).unwrap()
}

/// Without chunks trailers are neither announced nor sent.
#[test]
fn trailers_that_cannot_be_sent_are_left_out_and_logged() {
    let lines = lines();
    let put: fn(&mut Trailers) -> Result<(), FieldError> = |trailers| trailers.append("A", "1");
    let known = move |_: &Request<'_>| {
        let signed = Signed { left: 6, trailers: put };
        Response::ok("text/plain", Body::produce_exactly(6, signed)).with_trailer("A")
    };
    let unknown = move |_: &Request<'_>| signed(put).with_trailer("A");
    let silent = move |_: &Request<'_>| signed(put);
    let head = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let old = b"GET / HTTP/1.0\r\n\r\n";
    for response in [
        response_to(GET, known),
        response_to(old, unknown),
        response_to(old, silent),
        response_to(head, unknown),
        response_to(GET, |_| Response::text("ssssss").with_trailer("A")),
    ] {
        assert!(
            response.ends_with("\r\n\r\n") || response.ends_with("\r\n\r\nssssss"),
            "{response}"
        );
        assert!(!response.contains("Trailer") && !response.contains("A: 1"), "{response}");
    }
    let lines = lines.take();
    let about: Vec<_> = lines.iter().filter(|line| line.contains("trailers")).collect();
    assert_eq!(about.len(), 2 + 2 + 1 + 1 + 1, "{about:?}");
    assert!(about.iter().all(|line| line.starts_with("DEBUG connection ")), "{about:?}");
}

/// The head has been sent, so only a reset can show that the response is wrong.
#[test]
fn a_trailer_that_cannot_be_sent_resets_the_connection() {
    let lines = lines();
    for trailers in [
        (|t| t.append("A b", "1")) as fn(&mut Trailers) -> Result<(), FieldError>,
        |t| t.append("A", "1\r\nB: 2"),
        |t| t.append("Content-Length", "6"),
        |t| t.append("A", "x".repeat(5000)),
        |_| panic!("trailers of a test panic"),
    ] {
        let mut sim = Sim::new(move |_: &Request<'_>| signed(trailers));
        let client = sim.connect_and_send(GET);
        assert!(sim.was_reset(client));
        assert!(!String::from_utf8_lossy(sim.received(client)).contains("\r\n0\r\n"));
    }
    let lines = lines.take();
    let errors = lines.iter().filter(|line| line.contains("cut off: ") && line.contains("field"));
    assert_eq!(errors.count(), 4);
}
