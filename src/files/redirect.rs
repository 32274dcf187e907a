//! Redirects to another spelling of the same path.

use crate::message::percent::encode_path;
use crate::message::request::Request;
use crate::message::response::{Response, StatusCode};

/// The change that a path needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    AddSlash,
    /// To cut all slashes at the end.
    CutSlash,
    /// To cut the ending of the last name, which has it.
    CutEnding(&'static str),
    /// To cut the last name.
    CutName,
}

/// Returns a 301 to the changed path. The query is kept.
///
/// The location is relative and made of the last segment, after `./` or `../`. There no segment can
/// be taken for a host (`//host`) or a scheme (`a:b`).
pub(super) fn redirect(req: &Request<'_>, change: Change) -> Response {
    let trimmed = req.path().trim_end_matches('/');
    let segment = trimmed.rsplit('/').next().unwrap_or_default();
    let mut location = match change {
        Change::AddSlash => format!("./{}/", encode_path(segment)),
        Change::CutSlash => {
            // One level up for each slash at the end.
            let up = "../".repeat(req.path().len() - trimmed.len());
            format!("{up}{}", encode_path(segment))
        }
        Change::CutEnding(ending) => {
            format!("./{}", encode_path(segment.strip_suffix(ending).unwrap_or(segment)))
        }
        Change::CutName => "./".to_owned(),
    };
    if let Some(query) = req.raw_query() {
        location.push('?');
        location.push_str(query);
    }
    Response::status_page(StatusCode::MOVED_PERMANENTLY).with_header("Location", location)
}
