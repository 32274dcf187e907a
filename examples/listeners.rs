//! One loop, several listeners: a public one for every client, and others for the operators of the
//! server. All of them share the state of the loop, here a count.
//!
//! ```text
//! cargo run --release --example listeners -- 127.0.0.1:8080 127.0.0.1:8081 unix:/tmp/admin.sock
//! curl -i http://127.0.0.1:8080/
//! curl -i http://127.0.0.1:8081/stats
//! curl -i --unix-socket /tmp/admin.sock http://localhost/stats
//! curl -i http://127.0.0.1:8080/stats                     # 404: not on the public one
//! ```

use wheelhouse::runtime::Listener;
use wheelhouse::{Error, Request, Response, Server};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let public = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let mut server = Server::new().listen(Listener::new(public).named("public"))?;
    for address in arguments {
        // Several listeners may have the same name, here that of their purpose.
        server = server.listen(Listener::new(address).named("admin"))?;
    }
    let mut served = 0;
    server.serve(|req| match req.listener() {
        "public" => {
            served += 1;
            welcome(req)
        }
        _ => look_after(req, served),
    })?;
    Ok(())
}

fn welcome(req: &Request<'_>) -> Response {
    match req.path() {
        "/" => Response::text("welcome\n"),
        _ => Response::not_found(),
    }
}

fn look_after(req: &Request<'_>, served: u64) -> Response {
    match req.path() {
        "/health" => Response::text("well\n"),
        "/stats" => Response::text(format!("{served} public requests\n")),
        _ => Response::not_found(),
    }
}
