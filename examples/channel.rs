//! Content from another thread, as fast as the client takes it.
//!
//! ```text
//! cargo run --release --example channel -- 127.0.0.1:8080
//! curl -N http://127.0.0.1:8080/countdown/5           # 5, 4, 3, 2, 1, lift-off
//! curl -s http://127.0.0.1:8080/flood | head -c 1G | wc -c        # 1073741824
//! ```
//!
//! The program starts one thread for each response, which is the simplest way. Only the limit on
//! connections bounds the number of threads.

use std::thread;
use std::time::Duration;

use wheelhouse::body::{SendError, Sender};
use wheelhouse::{Body, Error, Failure, Response, Router, Server};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<()>::new()
        .get("/countdown/{from}", |_, req| -> Result<Response, Failure> {
            let from: u32 = req.parse_param("from")?;
            Ok(produced(move |sender| countdown(from, sender)))
        })
        .get("/flood", |_, _| produced(|sender| flood(&sender)))
        .build()?;
    Server::new().listen(&address)?.run(routes)?;
    Ok(())
}

fn produced(make: impl FnOnce(Sender) -> Result<(), SendError> + Send + 'static) -> Response {
    let (sender, body) = Body::channel(64 << 10);
    thread::spawn(move || {
        if let Err(SendError::Closed(_)) = make(sender) {
            eprintln!("the client has left: the thread ends");
        }
    });
    Response::ok("text/plain", body)
}

fn countdown(from: u32, sender: Sender) -> Result<(), SendError> {
    for n in (1..=from).rev() {
        sender.send(format!("{n}\n"))?;
        thread::sleep(Duration::from_millis(500));
    }
    sender.send("lift-off\n")?;
    sender.finish();
    Ok(())
}

fn flood(sender: &Sender) -> Result<(), SendError> {
    loop {
        // Waits whenever the channel is full.
        sender.send(vec![b'.'; 16 << 10])?;
    }
}
