//! `--cors`: pages of other sites may read the files.

use std::time::Duration;

use wheelhouse::guards::{Cors, CorsGuard};

/// The time for which browsers need not ask again.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Returns the guard for `origins`: `*`, or origins such as `https://app.example`. Without an origin
/// there is no guard. An error is the expected form of an origin.
pub(crate) fn guard(origins: &[String]) -> Result<Option<CorsGuard>, &'static str> {
    if origins.is_empty() {
        return Ok(None);
    }
    let cors = match origins.iter().any(|origin| origin == "*") {
        true => Cors::any(),
        false => Cors::origins(origins),
    };
    // A page may send conditions and ranges, and credentials that it knows itself. The wildcard does
    // not include `Authorization`.
    let cors = cors.methods(["GET", "HEAD"]).headers(["*", "Authorization"]);
    let guard = cors.expose(["*"]).max_age(MAX_AGE).build();
    guard.map(Some).map_err(|_| "an origin, such as https://app.example, or none for every origin")
}
