//! Basic authentication (RFC 7617) with one user. The library decodes and compares.
//!
//! The password is not encrypted, so on an open network use it only with a proxy that ends TLS.

use std::fmt;

use wheelhouse::Request;

/// The user whose requests are served.
pub(crate) struct Credentials {
    /// Never empty.
    user: String,
    password: String,
}

impl Credentials {
    /// Parses `USER:PASSWORD`. Returns `None` without a colon or a user.
    pub(crate) fn new(pair: &str) -> Option<Credentials> {
        let (user, password) = pair.split_once(':').filter(|(user, _)| !user.is_empty())?;
        Some(Credentials { user: user.to_owned(), password: password.to_owned() })
    }

    /// Returns the user if the request has the right credentials.
    pub(crate) fn user_of(&self, req: &Request<'_>) -> Option<&str> {
        req.basic_auth()?.matches(&self.user, &self.password).then_some(self.user.as_str())
    }
}

/// Shows neither user nor password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
