//! A graceful shutdown, by a signal or by a request, with a hook and a report.
//!
//! ```text
//! cargo run --release --example shutdown -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/
//! curl -i -X POST http://127.0.0.1:8080/lame              # from now on no connection is kept
//! curl -i http://127.0.0.1:8080/                          # Connection: close
//! curl -i -X POST http://127.0.0.1:8080/quit              # or Ctrl-C
//! ```

use wheelhouse::{Error, Response, Server};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = Server::new().listen(&address)?;
    #[cfg(feature = "signals")]
    let server = server.on_signals();
    let server = server.on_shutdown(|_| println!("finishing what was begun"));
    let handle = server.handle();
    let report = server.serve(|req| match (req.method().as_str(), req.path()) {
        ("GET", "/") => Response::text("here\n"),
        ("POST", "/lame") => {
            // Clients go elsewhere, one after the other, and no request is cut off.
            handle.set_keep_alive(false);
            Response::text("keeping nobody\n")
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
