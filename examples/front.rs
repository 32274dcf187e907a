//! Stands before another service: limits the requests of each client, asks for a token, and forwards
//! the rest. The content of the response passes through piece by piece.
//!
//! ```text
//! cargo run --release --example front -- 127.0.0.1:8080 127.0.0.1:9000 4711
//! curl -i -H 'Authorization: Bearer 4711' http://127.0.0.1:8080/     # from the service on :9000
//! ```

use std::{io, time::Duration};
use ureq::Agent;
use wheelhouse::http::{self, header, StatusCode};
use wheelhouse::{auth::constant_time_eq, guards::RateLimit};
use wheelhouse::{Body, Error, Failure, Pool, Reply, Request, Response, Router, Server};

struct Front {
    service: String,
    agent: Agent,
    pool: Pool,
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (address, service, token) = (next("127.0.0.1:8080"), next("127.0.0.1:9000"), next("4711"));
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let time = |seconds| Some(Duration::from_secs(seconds)); // The service may take so long.
    let agent = config.timeout_recv_response(time(20)).timeout_recv_body(time(3600)).build().into();
    let mut rate = RateLimit::per_address(100, Duration::from_secs(10))?;
    Server::with_state(Front { service, agent, pool: Pool::new("front", 32, 100)? })
        .guard(move |_, req| rate.check(req))
        .guard(move |_, req| match req.bearer_token() {
            Some(given) if constant_time_eq(given.as_bytes(), token.as_bytes()) => Ok(()),
            _ => Err(Response::unauthorized_bearer("front")),
        })
        .listen(&address)?
        .run(Router::new().collect("/", 1 << 20, forward).build()?)
        .map(drop)
}

fn forward(front: &mut Front, req: &Request<'_>, content: &[u8]) -> Result<Reply<Front>, Failure> {
    let mut request = req.to_forward()?.map(|()| content.to_vec());
    *request.uri_mut() = format!("http://{}{}", front.service, request.uri()).parse()?;
    request.headers_mut().remove(header::AUTHORIZATION); // The token is for this program.
    let agent = front.agent.clone();
    Ok(front.pool.run_later(move |later| match agent.run(request) {
        Ok(response) => {
            let (head, content) = response.into_parts();
            let (mut sender, body) = match content.content_length() {
                Some(len) => Body::channel_exactly(len, 64 << 10),
                None => Body::channel(64 << 10),
            };
            later.respond(http::Response::from_parts(head, body));
            if io::copy(&mut content.into_reader(), &mut sender).is_ok() {
                sender.finish(); // Else the client notices that the content is incomplete.
            }
        }
        Err(error) => later.respond(Failure::from(error).with_response(StatusCode::BAD_GATEWAY)),
    }))
}
