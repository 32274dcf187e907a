//! Checks before the handlers: a password for one part of a site, a ban for addresses that guess
//! it, and no orders from the pages of other sites.
//!
//! ```text
//! cargo run --release --example guards -- 127.0.0.1:8080 secret
//! curl -X POST http://127.0.0.1:8080/order        # thank you
//! curl -i -X POST http://127.0.0.1:8080/order -H 'Origin: https://evil.example'       # 403
//! curl -i -u admin:secret http://127.0.0.1:8080/admin/guesses     # 200, addresses that guessed
//! curl -i -u admin:guess http://127.0.0.1:8080/%61dmin/guesses    # 401
//! ```
//!
//! After three wrong passwords from an address in a minute, its next password is refused and its
//! new connections are closed. Behind a proxy all clients have one address: then the proxy counts.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use wheelhouse::guards::OriginGuard;
use wheelhouse::runtime::Admission;
use wheelhouse::{Error, Request, Response, Router, Server};

struct Site {
    password: String,
    /// The wrong passwords from each address in this minute. Clients of a Unix socket have none.
    guesses: HashMap<Option<IpAddr>, u32>,
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let password = arguments.next().unwrap_or_else(|| "secret".to_owned());
    let origins = OriginGuard::new().trust("https://shop.example")?;
    let routes = Router::<Site>::new()
        .post("/order", |_, _| "thank you\n")
        .nest("/admin", |admin| {
            admin.guard(is_admin).get("/guesses", |site, _| format!("{}\n", site.guesses.len()))
        })
        .build()?;
    Server::with_state(Site { password, guesses: HashMap::new() })
        .guard(move |_, req| origins.check(req))
        .every(Duration::from_secs(60), |site| site.guesses.clear())
        .on_connect(|site, new| match site.guesses.get(&new.peer_addr().map(|peer| peer.ip())) {
            Some(3..) => Admission::refuse(),
            _ => Admission::accept(),
        })
        .listen(&address)?
        .run(routes)?;
    Ok(())
}

fn is_admin(site: &mut Site, req: &Request<'_>) -> Result<(), Response> {
    let Some(auth) = req.basic_auth() else { return Err(Response::unauthorized_basic("admin")) };
    let ip = req.peer_addr().map(|peer| peer.ip());
    let guesses = site.guesses.get(&ip).copied().unwrap_or(0);
    if guesses < 3 && auth.matches("admin", &site.password) {
        return Ok(());
    }
    site.guesses.insert(ip, guesses + 1);
    Err(Response::unauthorized_basic("admin"))
}
