//! `Reply::map_response` changes the response whenever it comes, and `Reply` may be made of
//! results.

use std::io;

use crate::support::*;
use wheelhouse::content::{Flow, Receive, Transform};
use wheelhouse::sim::Sim;
use wheelhouse::upgrade::{Connection, Protocol};
use wheelhouse::{
    body::Out, Failure, Handler, Informational, Later, Reply, Request, Response, Server, StatusCode,
};

/// The state: a deferred response, and the statuses that the change has seen.
#[derive(Default)]
struct State {
    later: Option<Later<State>>,
    seen: Vec<u16>,
}

struct Enough;

impl Receive<State> for Enough {
    fn piece(&mut self, _: &mut State, _: &[u8]) -> Result<Flow<State>, Failure> {
        Ok(Flow::Respond("enough".into()))
    }

    fn end(self: Box<Self>, _: &mut State) -> Reply<State> {
        unreachable!("it has responded")
    }
}

struct Same;

impl Transform<State> for Same {
    fn piece(&mut self, _: &mut State, piece: &[u8], out: &mut Out<'_>) -> io::Result<usize> {
        Ok(out.put(piece))
    }
}

impl Protocol<State> for Same {
    fn receive(
        &mut self,
        _: &mut State,
        input: &[u8],
        _: &mut Connection<'_>,
    ) -> io::Result<usize> {
        Ok(input.len())
    }
}

struct Site;

impl Handler<State> for Site {
    fn handle(&mut self, state: &mut State, req: &Request<'_>) -> Reply<State> {
        self.reply(state, req)
            .map_response(|state, response| {
                state.seen.push(response.status().as_u16());
                response.append_header("X-Order", "first").unwrap();
            })
            .map_response(|_, response| response.append_header("X-Order", "second").unwrap())
    }
}

impl Site {
    fn reply(&mut self, state: &mut State, req: &Request<'_>) -> Reply<State> {
        match req.path() {
            "/inform" => Reply::inform(Informational::processing(), "informed"),
            "/collect" => Reply::collect(10, |_: &mut State, _, content| match content {
                b"ab" => Ok("collected"),
                _ => Err(StatusCode::UNPROCESSABLE_ENTITY),
            }),
            "/receive" => Reply::receive(10, Count(0)),
            "/enough" => Reply::receive(10, Enough),
            "/early" => later_to(|later| later.respond("early")),
            "/forgotten" => Reply::later().1,
            "/late" => never().with_timeout_response("late").with_handler_timeout(SECOND),
            "/collect-later" => Reply::collect(10, |state: &mut State, _, _| {
                later_to(|later| state.later = Some(later))
            })
            .with_content_timeout(SECOND),
            "/respond" => {
                let later = state.later.take().expect("a request waits");
                later.respond_with(|state| {
                    state.seen.push(1);
                    StatusCode::ACCEPTED
                });
                "passed on".into()
            }
            "/transform" => Reply::transform(Response::new(StatusCode::CREATED), Same),
            "/upgrade" => Reply::upgrade("same", Same),
            "/failed" => Reply::failed(io::Error::other("no")),
            _ => "at once".into(),
        }
    }
}

fn ask(sim: &mut Sim<State>, path: &str, content: &str) -> wheelhouse::sim::Client {
    let upgrade = match path {
        "/upgrade" => "Connection: upgrade\r\nUpgrade: same\r\n",
        _ => "",
    };
    let len = content.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\n{upgrade}Content-Length: {len}\r\n\r\n{content}"
    );
    sim.connect_and_send(head)
}

#[test]
fn changes_apply_whenever_the_response_comes_and_the_first_change_runs_first() {
    let mut sim = Sim::of(Server::with_state(State::default()), Site).unwrap();
    for (path, content, expected) in [
        ("/", "", 200),
        ("/inform", "", 200),
        ("/collect", "ab", 200),
        ("/collect", "cd", 422),
        ("/receive", "ab", 200),
        ("/enough", "ab", 200),
        ("/early", "", 200),
        ("/forgotten", "", 500),
        ("/late", "", 200),
        ("/transform", "ab", 201),
        ("/upgrade", "", 101),
        ("/failed", "", 500),
    ] {
        let client = ask(&mut sim, path, content);
        sim.advance(SECOND + LATE);
        let received = text(&mut sim, client);
        assert!(received.contains(&format!("HTTP/1.1 {expected} ")), "{path}: {received}");
        let order = received.find("X-Order: first\r\nX-Order: second\r\n");
        assert!(order.is_some(), "{path}: {received}");
        assert_eq!(std::mem::take(&mut sim.state().seen), [expected], "{path}");
    }
}

/// Another handler gives the response: the plain case of long polling.
#[test]
fn another_request_may_give_the_response_of_a_later_in_the_state() {
    let mut sim = Sim::of(Server::with_state(State::default()), Site).unwrap();
    let waits = ask(&mut sim, "/collect-later", "ab");
    sim.advance(10 * SECOND);
    assert_eq!(text(&mut sim, waits), "", "the content has arrived, so its timeout does not count");
    let other = ask(&mut sim, "/respond", "");
    assert!(text(&mut sim, other).ends_with("passed on"));
    let received = text(&mut sim, waits);
    assert!(received.starts_with("HTTP/1.1 202 "), "{received}");
    assert!(received.contains("X-Order: first\r\nX-Order: second\r\n"), "{received}");
    assert_eq!(sim.state().seen, [200, 1, 202]);
}

#[test]
fn a_panic_in_a_response_change_is_a_500() {
    panics::expect_panics(&["a change of a test panics"]);
    let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
        let reply: Reply = match req.path() {
            "/later" => later_to(|later| later.respond("later")),
            _ => "at once".into(),
        };
        reply.map_response(|(), _| panic!("a change of a test panics"))
    });
    for path in ["/", "/later"] {
        let client = sim.connect_and_send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(text(&mut sim, client).starts_with("HTTP/1.1 500 "), "{path}");
    }
}

#[test]
fn a_handler_may_return_results_of_many_kinds() {
    fn number(req: &Request<'_>) -> Result<u32, Response> {
        let number = req.raw_query().and_then(|text| text.parse().ok());
        number.ok_or_else(|| Response::from(StatusCode::IM_A_TEAPOT))
    }
    let mut sim = Sim::new(|req: &Request<'_>| -> Reply {
        match req.path() {
            "/response" => number(req).map(|number| format!("{number}")).into(),
            "/reply" => number(req).map(|_| "x").map_err(Reply::from).into(),
            "/failure" => Err::<&str, _>(Failure::new(StatusCode::CONFLICT, "twice")).into(),
            "/status" => Err::<&str, _>(StatusCode::GONE).into(),
            "/form" => req.form(b"").map(|_| "a form").into(),
            "/text" => Err::<&str, _>("an error".to_owned()).into(),
            _ => Ok::<_, io::Error>("well").into(),
        }
    });
    for (path, expected) in [
        ("/", 200),
        ("/response?7", 200),
        ("/response?x", 418),
        ("/reply?7", 200),
        ("/reply", 418),
        ("/failure", 409),
        ("/status", 410),
        ("/form", 415),
        ("/text", 500),
    ] {
        let client = sim.connect_and_send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(statuses(sim.received(client)), [expected], "{path}");
    }
}
