//! Basic authentication (RFC 7617) with one user; the library decodes and compares.
//!
//! It keeps guests out; on an open network it needs TLS in front, as it always did.

use std::fmt;

use wheelhouse::Request;

/// Who may come in.
pub(crate) struct Credentials {
    /// Never empty.
    user: String,
    password: String,
}

impl Credentials {
    /// From `USER:PASSWORD`; `None` without a colon or a user.
    pub(crate) fn new(pair: &str) -> Option<Credentials> {
        let (user, password) = pair.split_once(':').filter(|(user, _)| !user.is_empty())?;
        Some(Credentials { user: user.to_owned(), password: password.to_owned() })
    }

    /// The user, if the request proves to be his.
    pub(crate) fn user_of(&self, req: &Request<'_>) -> Option<&str> {
        req.basic_auth()?.matches(&self.user, &self.password).then_some(self.user.as_str())
    }
}

/// Says nothing of the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
