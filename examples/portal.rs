//! The web pages of a device: a password, a form, a new firmware, and files in the program.
//!
//! ```text
//! cargo run --release --example portal -- 127.0.0.1:8080 secret /tmp     # open / in a browser
//! curl -u admin:secret http://127.0.0.1:8080/name -d name=garage
//! curl -u admin:secret -T firmware.bin http://127.0.0.1:8080/firmware
//! ```

use std::path::PathBuf;
use tempfile::NamedTempFile;
use wheelhouse::files::{Asset, Files};
use wheelhouse::forms::{escape_html, FormError};
use wheelhouse::guards::OriginGuard;
use wheelhouse::{Error, Failure, Limits, Reply, Request, Response, Router, Server, StatusCode};

const PAGE: &str = include_str!("portal.html");
const ASSETS: [Asset; 2] = [
    Asset::new("portal.css", include_bytes!("portal.css")),
    Asset::new("portal.js", include_bytes!("portal.js")),
];

struct Device {
    name: String,
    password: String,
    folder: PathBuf,
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (address, password, folder) = (next("127.0.0.1:8080"), next("secret"), next("/tmp").into());
    let origins = OriginGuard::new(); // Pages of other sites cannot send forms to the device.
    let routes = Router::<Device>::new()
        .get("/{$}", |device, _| Response::html(PAGE.replace("NAME", &escape_html(&device.name))))
        .collect("POST /name", 4096, |device, req, content| {
            device.name = req.form(content)?.get("name").unwrap_or_default().into_owned();
            Ok::<_, FormError>(Response::redirect(req, StatusCode::SEE_OTHER, "/"))
        })
        .put("/firmware", firmware)
        .mount("/assets", Files::packed(ASSETS))
        .guard(|device, req| match req.basic_auth() {
            Some(auth) if auth.matches("admin", &device.password) => Ok(()),
            _ => Err(Response::unauthorized_basic("the device")),
        })
        .guard(move |_, req| origins.check(req))
        .build()?;
    let device = Device { name: "device".to_owned(), password, folder };
    Server::with_state(device).limits(Limits::small()).listen(&address)?.run(routes)?;
    Ok(())
}

/// Takes a new firmware of at most 64 MiB. One that is incomplete leaves no file.
fn firmware(device: &mut Device, _: &Request<'_>) -> Result<Reply<Device>, Failure> {
    let part = NamedTempFile::new_in(&device.folder)?;
    Ok(Reply::receive_into(64 << 20, part, |device: &mut Device, part| {
        part.persist(device.folder.join("firmware.bin")).map(|_| "installed\n")
    }))
}
