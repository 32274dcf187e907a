//! A graceful shutdown, by a signal or by a request, with a hook and a report.
//!
//! ```text
//! cargo run --release --example shutdown -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/                  # here
//! curl -i -X POST http://127.0.0.1:8080/lame      # no connection is kept, from now on
//! curl -i http://127.0.0.1:8080/                  # here, with Connection: close
//! curl -i -X POST http://127.0.0.1:8080/quit      # good-bye, as with Ctrl-C
//! ```
//!
//! It prints `finishing the requests under way`, and then its report.

use wheelhouse::{Error, Response, Server};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = Server::new()
        .on_signals()
        .on_shutdown(|_| println!("finishing the requests under way"))
        .listen(&address)?;
    let handle = server.handle();
    let report = server.serve(|req| match (req.method().as_str(), req.path()) {
        ("GET", "/") => Response::text("here\n"),
        ("POST", "/lame") => {
            // Clients go elsewhere, one after the other, and no request is cut off.
            handle.set_keep_alive(false);
            Response::text("no connection is kept\n")
        }
        ("POST", "/quit") => {
            // It begins after this handler has returned, and the response still arrives.
            handle.shutdown();
            Response::text("good-bye\n")
        }
        _ => Response::not_found(),
    })?;
    println!("{report:#?}");
    Ok(())
}
