//! A request to its response: the walk from a path to a file, an index, a listing, or a redirect.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::files::entries::Directory;
use crate::files::path::{BadPath, Names};
use crate::files::redirect::{redirect, Change};
use crate::files::root::{Found, Missing};
use crate::files::tree::Tree;
use crate::files::Files;
use crate::handler::{Failure, Handler, Reply};
use crate::message::request::{Method, Request};
use crate::message::response::{Response, StatusCode};

impl<S> Handler<S> for Files {
    fn handle(&mut self, _: &mut S, req: &Request<'_>) -> Reply<S> {
        self.respond(req).into()
    }
}

impl Files {
    /// Responds to a request by its path.
    pub fn respond(&self, req: &Request<'_>) -> Response {
        self.respond_at(req, req.path())
    }

    /// Responds to a request with the file that `path` names, in the form of [`Request::path`]. It
    /// is for files under a prefix that the program has cut off. Redirects are relative to the
    /// request's own path, so they stay under the prefix.
    ///
    /// ```no_run
    /// # use wheelhouse::{files::Files, Request, Response};
    /// # let files = Files::new("public")?;
    /// # let handler =
    /// move |req: &Request<'_>| match req.path().strip_prefix("/static/") {
    ///     Some(path) => files.respond_at(req, path),
    ///     None => Response::not_found(),
    /// };
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    pub fn respond_at(&self, req: &Request<'_>, path: &str) -> Response {
        if let Some(response) = self.ready_response(req, path) {
            return response;
        }
        let found = match self.origin.tree(req.turn_time().wall()) {
            Ok(tree) => {
                let walk = Walk { files: self, tree: &tree, req };
                let response = walk.find(path).unwrap_or_else(Response::status_page);
                Ok(self.with_error_page(&tree, response))
            }
            Err(missing) => response_to(missing),
        };
        self.finished(found.unwrap_or_else(Response::status_page))
    }

    /// Adds the fields that do not depend on the file.
    pub(super) fn finished(&self, response: Response) -> Response {
        let response = self.fielded(response);
        // A browser must not take text that someone has uploaded for a script or a page.
        let is_typed =
            !matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
        match is_typed && !response.headers().contains("x-content-type-options") {
            true => response.with_header("X-Content-Type-Options", "nosniff"),
            false => response,
        }
    }
}

/// A request on its way to its response.
pub(super) struct Walk<'w, 'r> {
    pub(super) files: &'w Files,
    pub(super) tree: &'w Tree<'w>,
    pub(super) req: &'w Request<'r>,
}

impl Walk<'_, '_> {
    fn find(&self, path: &str) -> Result<Response, StatusCode> {
        match *self.req.method() {
            Method::GET | Method::HEAD => {}
            // Health checks of proxies send it. It costs no look at a file, so it says nothing about
            // one.
            Method::OPTIONS => return Ok(Response::options(ALLOW)),
            _ => return Ok(Response::method_not_allowed(ALLOW)),
        }
        let mut names = Names::parse(path).map_err(|bad| match bad {
            BadPath::Malformed => StatusCode::BAD_REQUEST,
            BadPath::Impossible => StatusCode::NOT_FOUND,
        })?;
        if let Some(only) = self.tree.only() {
            return self.find_only(&names, only);
        }
        if path.is_empty() {
            // The program has cut off the whole path: `/static` or `/static/`.
            names.is_directory = self.req.path().ends_with('/');
        }
        if names.is_hidden() && !self.files.serves_dot_files {
            return self.fallback(&names);
        }
        let path = names.to_path();
        if names.is_directory {
            self.find_directory(&names, &path)
        } else {
            self.find_file(&names, &path)
        }
    }

    /// Responds to a path that does not end with a slash.
    fn find_file(&self, names: &Names<'_>, path: &Path) -> Result<Response, StatusCode> {
        match self.tree.find(path) {
            Ok(Found::File(opened)) => match self.clean_name(path) {
                Some(change) => Ok(redirect(self.req, change)),
                None => self.send(path, opened, self.cache_control()),
            },
            Ok(Found::Directory(..) | Found::Folder) => {
                let page = self.clean_page(names, path)?;
                page.map_or_else(|| Ok(redirect(self.req, Change::AddSlash)), Ok)
            }
            Err(Missing::NotFound) => {
                let page = self.clean_page(names, path)?;
                page.map_or_else(|| self.fallback(names), Ok)
            }
            // It may have an index. The request with the slash looks for that.
            Err(Missing::Forbidden) if self.tree.is_directory(path) => {
                let page = self.clean_page(names, path)?;
                page.map_or_else(|| Ok(redirect(self.req, Change::AddSlash)), Ok)
            }
            Err(missing) => response_to(missing),
        }
    }

    /// Responds to a path that ends with a slash.
    fn find_directory(&self, names: &Names<'_>, path: &Path) -> Result<Response, StatusCode> {
        // The index comes first, because a directory that cannot be listed may still have one.
        if let Some(response) = self.index_of(path)? {
            return Ok(response);
        }
        match self.tree.find(path) {
            Ok(Found::File(_)) => Ok(redirect(self.req, Change::CutSlash)),
            Ok(Found::Directory(fd, meta)) if self.files.lists => {
                let shows_dot_files = self.files.serves_dot_files;
                let dir = Directory { tree: self.tree, fd: &fd, meta, path, shows_dot_files };
                self.files.listings.respond(&dir, self.req, names).or_else(response_to)
            }
            Ok(Found::Directory(..) | Found::Folder) | Err(Missing::NotFound) => {
                match self.has_clean_page(names, path) {
                    true => Ok(redirect(self.req, Change::CutSlash)),
                    false => self.fallback(names),
                }
            }
            Err(missing) => response_to(missing),
        }
    }

    /// Responds for a root that is one file, which has the path `/` and that of its name.
    fn find_only(&self, names: &Names<'_>, only: &Path) -> Result<Response, StatusCode> {
        match names.segments.as_slice() {
            [] => self.send_file(only),
            [name] if **name != *only.as_os_str().as_bytes() => Err(StatusCode::NOT_FOUND),
            [_] if names.is_directory => Ok(redirect(self.req, Change::CutSlash)),
            [_] => self.send_file(only),
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    fn send_file(&self, path: &Path) -> Result<Response, StatusCode> {
        match self.tree.file(path) {
            Ok(opened) => self.send(path, opened, self.cache_control()),
            Err(missing) => response_to(missing),
        }
    }

    /// Returns the response with the index file of a directory, if it has one.
    fn index_of(&self, directory: &Path) -> Result<Option<Response>, StatusCode> {
        for index in &self.files.index {
            if let Some(response) = self.send_if_found(&directory.join(index))? {
                return Ok(Some(response));
            }
        }
        Ok(None)
    }

    /// Returns the response with a file; `None` if there is no such file.
    pub(super) fn send_if_found(&self, path: &Path) -> Result<Option<Response>, StatusCode> {
        match self.tree.file(path) {
            Ok(opened) => self.send(path, opened, self.cache_control()).map(Some),
            Err(Missing::NotFound) => Ok(None),
            Err(missing) => response_to(missing).map(Some),
        }
    }

    /// Returns the response for a path without a file: the page of a single-page application, or
    /// 404.
    fn fallback(&self, names: &Names<'_>) -> Result<Response, StatusCode> {
        match &self.files.spa {
            Some(spa) if !names.last().contains(&b'.') => match self.tree.file(spa) {
                Ok(opened) => self.send(spa, opened, Some("no-cache")),
                Err(missing) => response_to(missing),
            },
            _ => Err(StatusCode::NOT_FOUND),
        }
    }

    fn cache_control(&self) -> Option<&str> {
        self.files.cache_control.as_deref()
    }
}

/// The methods of every path.
pub(super) const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Returns the status for a file that is not sent. An error of the file system is a failure of the
/// program, which the connection logs.
pub(super) fn response_to(missing: Missing) -> Result<Response, StatusCode> {
    match missing {
        Missing::NotFound => Err(StatusCode::NOT_FOUND),
        Missing::Forbidden => Err(StatusCode::FORBIDDEN),
        // The clients that hold the descriptors or the memory read slowly, but they have to read.
        Missing::Exhausted => Ok(Response::busy()),
        Missing::Failed(errno) => {
            let error = format!("a file could not be opened: {errno}");
            Ok(Failure::internal(error).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_file_system_is_a_500_with_a_line_for_the_log() {
        let response = response_to(Missing::Failed(rustix::io::Errno::IO)).unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let failure = response.failure().unwrap();
        assert!(failure.starts_with("a file could not be opened: "), "{failure}");
    }
}
