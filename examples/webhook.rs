//! Takes webhooks that are signed as in <https://www.standardwebhooks.com>: each message once, with a
//! response before the work is done. The key is in `WEBHOOK_SECRET`, here `whsec_SmVmZQ==`.
//!
//! ```text
//! cargo run --release --example webhook -- 127.0.0.1:8080 /tmp
//! now=$(date +%s); sum=$(printf "a1.$now.paid" | openssl dgst -sha256 -hmac Jefe -binary | base64)
//! curl -i http://127.0.0.1:8080/hook -d paid -H webhook-id:a1 -H webhook-timestamp:$now \
//!     -H "webhook-signature: v1,$sum"     # 202
//! ```

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use std::{collections::HashMap, fs, time::Duration, time::SystemTime};
use wheelhouse::{Error, Failure, Pool, Request, Router, Server, StatusCode};

struct Hooks {
    key: Hmac<sha2::Sha256>,
    /// The times of the messages of the last minutes. Only the owner of the key can add to them.
    seen: HashMap<String, u64>,
    folder: String,
    pool: Pool,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = std::env::args().nth(2).unwrap_or_else(|| "/tmp".to_owned());
    let secret = std::env::var("WEBHOOK_SECRET").expect("WEBHOOK_SECRET: the key that we share");
    let key = BASE64.decode(secret.trim_start_matches("whsec_").as_bytes()).expect("base64");
    let key = Hmac::new_from_slice(&key).expect("a key of any length");
    let hooks = Hooks { key, seen: HashMap::new(), folder, pool: Pool::new("hooks", 2, 100)? };
    let routes = Router::<Hooks>::new().collect("POST /hook", 64 << 10, receive).build()?;
    Server::with_state(hooks)
        .every(Duration::from_secs(60), |hooks| hooks.seen.retain(|_, time| is_recent(*time)))
        .listen(&address)?
        .run(routes)
        .map(drop)
}

fn is_recent(time: u64) -> bool {
    SystemTime::UNIX_EPOCH.elapsed().is_ok_and(|now| now.as_secs().abs_diff(time) < 300)
}

fn receive(hooks: &mut Hooks, req: &Request<'_>, content: &[u8]) -> Result<StatusCode, Failure> {
    let field = |name| req.header(name).unwrap_or_default();
    let (id, time) = (field("webhook-id"), field("webhook-timestamp"));
    let mac = hooks.key.clone().chain_update(format!("{id}.{time}.")).chain_update(content);
    let sums = field("webhook-signature").split(' ').filter_map(|sum| sum.strip_prefix("v1,"));
    let mut sums = sums.flat_map(|sum| BASE64.decode(sum.as_bytes()));
    let is_signed = sums.any(|sum| mac.clone().verify_slice(&sum).is_ok()); // In constant time.
    let time = time.parse().ok().filter(|&time| is_signed && is_recent(time));
    let time = time.ok_or_else(|| Failure::new(StatusCode::UNAUTHORIZED, "not signed, or old"))?;
    if !hooks.seen.contains_key(id) {
        let (path, text) = (format!("{}/{time}-{}.hook", hooks.folder, req.id()), content.to_vec());
        let job = || fs::write(path, text).expect("the folder can be written");
        hooks.pool.execute(job)?; // If the queue is full: a 503, and the message comes again.
        hooks.seen.insert(id.to_owned(), time);
    }
    Ok(StatusCode::ACCEPTED) // Also for a repetition: the sender has missed the first response.
}
