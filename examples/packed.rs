//! A program with its pages inside: one file to copy, nothing to install beside it.
//!
//! ```text
//! cargo run --release --example packed -- 127.0.0.1:8080            # open / in a browser
//! curl -i http://127.0.0.1:8080/album.html -r 0-14                  # the first bytes of a page
//! curl -i http://127.0.0.1:8080/api/started                         # content made at the start
//! ```

use std::time::SystemTime;
use wheelhouse::files::{Asset, Content, Files};
use wheelhouse::{Error, Router, Server, StatusCode};

/// A real program would have `index.html` among them, and `site.css.gz` beside `site.css`.
const ASSETS: [Asset; 4] = [
    Asset::new("index.html", include_bytes!("events.html")),
    Asset::new("album.html", include_bytes!("album.html")),
    Asset::new("upload.html", include_bytes!("upload.html")),
    Asset::new("404.html", b"<!doctype html><title>Nothing here</title><p>Nothing here."),
];

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let files = Files::packed(ASSETS)
        .error_page(StatusCode::NOT_FOUND, "404.html")?
        .cache_control("no-cache")?; // Browsers ask again each time, and get a 304.
                                     // Made once. Clients that have it get a 304, and parts of it are sent, as for a file.
    let now = SystemTime::now();
    let text = format!("{:?}\n", now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let started = Content::new("text/plain", text).modified(now);
    let routes = Router::<()>::new()
        .get("/api/started", move |_, req| started.respond(req))
        .handle("/", files)
        .build()?;
    Server::new().listen(&address)?.run(routes).map(drop)
}
