//! Timers on the loop: each upload is forgotten after ten seconds, by a timer that has the state as
//! handlers have it, without a lock or a second thread.
//!
//! ```text
//! cargo run --release --example timers -- 127.0.0.1:8080 10
//! curl -X PUT -d milk http://127.0.0.1:8080/      # kept
//! curl http://127.0.0.1:8080/                     # 1 kept, 0 forgotten
//! sleep 12; curl http://127.0.0.1:8080/           # 0 kept, 1 forgotten
//! ```

use std::time::{Duration, Instant};

use wheelhouse::{Router, Server};

#[derive(Default)]
struct Notes {
    kept: Vec<(Instant, Vec<u8>)>,
    forgotten: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let seconds = arguments.next().unwrap_or_else(|| "10".to_owned());
    let lifetime = match seconds.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(lifetime)) if lifetime <= Duration::from_secs(86_400) => lifetime,
        _ => return Err("write the seconds as a number from 0 to 86400".into()),
    };
    let routes = Router::<Notes>::new()
        .get("/{$}", |notes, _| {
            format!("{} kept, {} forgotten\n", notes.kept.len(), notes.forgotten)
        })
        .collect("PUT /", 4096, |notes, _, content| {
            notes.kept.push((Instant::now(), content.to_vec()));
            "kept\n"
        })
        .build()?;
    Server::with_state(Notes::default())
        .every(lifetime / 10, move |notes| {
            let before = notes.kept.len();
            notes.kept.retain(|(since, _)| since.elapsed() < lifetime);
            notes.forgotten += before - notes.kept.len();
        })
        .after(lifetime * 6, |_| eprintln!("still here"))
        .listen(&address)?
        .run(routes)?;
    Ok(())
}
