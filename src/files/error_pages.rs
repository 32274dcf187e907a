//! The program's own pages for errors.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::files::root::{Missing, Opened};
use crate::files::tree::Tree;
use crate::files::{media_types, Files};
use crate::message::response::{Response, StatusCode};

impl Files {
    /// Sets the page, a file relative to the root, that is sent with `status`, which is that of an
    /// error (400 to 599). It takes the place of the plain page of one line in each response of these
    /// files with that status. The other fields of the response stay, such as `Allow`.
    ///
    /// The file is read anew for each response, so it may change. If it is missing then, the plain
    /// page is sent. A page is sent whole, without `ETag` and from no precompressed sibling. Links to
    /// styles and pictures in it should begin with a slash, because it is sent for paths of any depth.
    /// A malformed request gets the plain page of the server, because it never reaches the files.
    ///
    /// ```no_run
    /// use wheelhouse::{files::Files, StatusCode};
    ///
    /// let files = Files::new("public")?.error_page(StatusCode::NOT_FOUND, "404.html")?;
    /// # Ok::<(), wheelhouse::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Files`] if the file does not exist or cannot be read now, or if the status is not that
    /// of an error. If the file is a link that leaves the root, allow these first
    /// ([`follow_links`](Files::follow_links)).
    #[doc(alias("404.html", "error_document", "ErrorDocument"))]
    pub fn error_page(
        mut self,
        status: StatusCode,
        file: impl Into<PathBuf>,
    ) -> Result<Files, Error> {
        let file = file.into();
        let found = match status.is_client_error() || status.is_server_error() {
            true => self.page(&file).map(drop).map_err(io::Error::from),
            false => Err(io::Error::other(format!("{status} is not the status of an error"))),
        };
        found.map_err(|source| Error::Files { path: file.clone(), source })?;
        self.error_pages.retain(|(known, _)| *known != status);
        self.error_pages.push((status, file));
        Ok(self)
    }

    fn page(&self, file: &Path) -> Result<Opened, Missing> {
        self.origin.tree(Duration::ZERO)?.file(file)
    }

    /// Returns a response with the page of the program for its status, if there is one.
    pub(super) fn with_error_page(&self, tree: &Tree<'_>, response: Response) -> Response {
        let page = self.error_pages.iter().find(|(status, _)| *status == response.status());
        let Some((_, path)) = page else { return response };
        let Ok(opened) = tree.file(path) else { return response };
        let name = path.file_name().unwrap_or_default().as_bytes();
        let kind = media_types::content_type(name, &opened.source, &self.kinds);
        let body = opened.source.into_body(0..opened.meta.len);
        response.with_content_type(kind).with_body(body)
    }
}
