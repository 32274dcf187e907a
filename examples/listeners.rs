//! One loop, several listeners: a public one for every client, and others for the operators of the
//! server. All of them share the state of the loop, here a count.
//!
//! ```text
//! cargo run --release --example listeners -- 127.0.0.1:8080 127.0.0.1:8081 unix:/tmp/admin.sock
//! curl http://127.0.0.1:8080/                                     # welcome
//! curl http://127.0.0.1:8081/stats                                # 1 public requests
//! curl --unix-socket /tmp/admin.sock http://localhost/stats       # 1 public requests
//! curl -i http://127.0.0.1:8080/stats                             # 404 Not Found
//! ```

use wheelhouse::runtime::Listener;
use wheelhouse::{Error, Limits, Request, Response, Server};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let public = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    // The presets are for usual places, and each limit can be changed.
    let limits = Limits { memory_bytes_max: 16 << 20, ..Limits::open_internet() };
    let mut server = Server::new().limits(limits).listen(Listener::new(public).named("public"))?;
    for address in arguments {
        let is_file = address.starts_with("unix:");
        // Several listeners may have the same name, here that of their purpose.
        let admin = Listener::new(address).named("admin");
        // Only the user of the server and its group may connect to the file.
        server = server.listen(if is_file { admin.mode(0o660) } else { admin })?;
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
