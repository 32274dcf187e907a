//! One server for each core, with nothing shared: the kernel deals the connections out, each core
//! counts its own requests, and one signal ends them all.
//!
//! ```text
//! cargo run --release --example cores -- 127.0.0.1:8080 4
//! for n in 1 2 3 4 5 6 7 8; do curl -s http://127.0.0.1:8080/; done   # request 1 of core 3, ..
//! ```
//!
//! Without a number there are as many as the machine has.

use wheelhouse::runtime::{Cores, Listener};
use wheelhouse::{Error, Limits, Request, Server};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(0);
    let cores = Cores::start(count, move |core| {
        // Limits are of each core; descriptors are of the process.
        let limits = Limits { connections_max: 128, ..Limits::sidecar() };
        let server = Server::new().limits(limits).on_signals();
        let mut served = 0;
        server.listen(Listener::new(&address).shared())?.build(move |_: &Request<'_>| {
            served += 1;
            format!("request {served} of core {core}\n")
        })
    })?;
    for (core, report) in cores.join()?.iter().enumerate() {
        println!("core {core}: {} requests", report.totals.requests);
    }
    Ok(())
}
