//! A server in a thread of a program that exists: the program does its work, and other threads
//! change the state of the server without a lock.
//!
//! ```text
//! cargo run --release --example thread -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/status               # 42 jobs done, 0 requests served
//! curl -X POST http://127.0.0.1:8080/stop         # stopping; the program prints its report
//! ```

use std::thread;
use std::time::Duration;

use wheelhouse::{Error, Router, Server};

#[derive(Default)]
struct Status {
    jobs: u64,
    served: u64,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = Server::with_state(Status::default())
        .on_exchange(|status, _| status.served += 1)
        .listen(&address)?;
    let (remote, handle) = (server.remote(), server.handle());
    // The function runs in the new thread, because only the state must be `Send`.
    let thread = server.spawn(move || {
        Router::<Status>::new()
            .get("/status", |status, _| {
                format!("{} jobs done, {} requests served\n", status.jobs, status.served)
            })
            .post("/stop", move |_, _| {
                handle.shutdown();
                "stopping\n"
            })
            .build()
    })?;
    println!("serving on http://{}/", thread.local_addrs()[0]);

    // The work of the program. It ends when the server has ended.
    while remote.run(|status| status.jobs += 1).is_ok() {
        thread::sleep(Duration::from_millis(100));
    }
    println!("{:?}", thread.join()?);
    Ok(())
}
