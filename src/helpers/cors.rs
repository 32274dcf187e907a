//! [`Cors`]: which pages of other sites may read responses (the CORS protocol of the WHATWG Fetch
//! Standard, section 3.3, <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! A browser shows a response to a page of another origin only if the response allows it. Before a
//! request that a plain form could not have sent, it asks with a preflight: `OPTIONS` with
//! `Access-Control-Request-Method`. Clients that are not browsers are not bound by any of this.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::error::Error;
use crate::handler::Reply;
use crate::helpers::origin::is_origin;
use crate::message::fields::is_token;
use crate::message::request::Request;
use crate::message::response::Response;

/// The pages that may read responses, and the requests that they may send: the settings of a
/// [`CorsGuard`].
///
/// ```
/// use std::time::Duration;
/// use wheelhouse::guards::Cors;
/// use wheelhouse::{sim::Sim, Router};
///
/// let cors = Cors::origin("https://app.example")
///     .methods(["GET", "PUT"])
///     .headers(["Content-Type"])
///     .max_age(Duration::from_secs(3600))
///     .build()?;
/// let routes = Router::<()>::new()
///     .put("/notes", |_, _| "saved\n")
///     .around(move |_, req| cors.check(req), |_, grant, response| grant.add_to(response))
///     .build()?;
///
/// let mut sim = Sim::new(routes);
/// let preflight = sim
///     .request("OPTIONS", "/notes")
///     .header("Origin", "https://app.example")
///     .header("Access-Control-Request-Method", "PUT")
///     .send();
/// assert_eq!(preflight.status(), 204);
/// assert_eq!(preflight.header("Access-Control-Allow-Methods"), Some("GET, PUT"));
/// let response = sim.request("PUT", "/notes").header("Origin", "https://app.example").send();
/// assert_eq!(response.header("Access-Control-Allow-Origin"), Some("https://app.example"));
/// # Ok::<(), wheelhouse::Error>(())
/// ```
///
/// To allow a page to read is all that this does. Requests of pages that are not allowed still reach
/// the handler, unless the browser asks with a preflight first: use an
/// [`OriginGuard`](crate::guards::OriginGuard) against them, which trusts the same origins.
#[doc(alias("CorsLayer", "Access-Control-Allow-Origin", "cross-origin"))]
#[derive(Clone, Debug)]
#[must_use = "the settings do nothing until the guard is built and its `check` is called"]
pub struct Cors {
    /// Empty for pages of every origin.
    origins: Vec<String>,
    is_any: bool,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Vec<String>,
    credentials: bool,
    max_age: Option<Duration>,
}

impl Cors {
    /// Allows pages of every origin to read responses (`*`). Browsers send neither cookies nor
    /// passwords of the user with such requests. It is for public files and services.
    pub fn any() -> Cors {
        Cors { is_any: true, ..Cors::origins(<[&str; 0]>::default()) }
    }

    /// Allows the pages of one origin: scheme, `://`, host, and the port unless it is that of the
    /// scheme.
    pub fn origin(origin: &str) -> Cors {
        Cors::origins([origin])
    }

    /// Allows the pages of several origins. With more than one, responses have `Vary: Origin`, since
    /// they differ.
    pub fn origins<O: AsRef<str>>(origins: impl IntoIterator<Item = O>) -> Cors {
        Cors {
            origins: strings(origins),
            is_any: false,
            methods: strings(["GET", "HEAD", "POST"]),
            headers: Vec::new(),
            exposed: Vec::new(),
            credentials: false,
            max_age: None,
        }
    }

    /// Sets the methods that pages may use, in the case of the wire (`PATCH`); `*` for every method.
    /// Default `GET`, `HEAD`, `POST`, which browsers allow in any case.
    pub fn methods<M: AsRef<str>>(mut self, methods: impl IntoIterator<Item = M>) -> Cors {
        self.methods = strings(methods);
        self
    }

    /// Sets the header fields that pages may set in a request; `*` for every field but
    /// `Authorization`. Default none: browsers then allow a few harmless ones, among them
    /// `Content-Type` for the types of forms.
    pub fn headers<H: AsRef<str>>(mut self, names: impl IntoIterator<Item = H>) -> Cors {
        self.headers = strings(names);
        self
    }

    /// Sets the header fields of a response that pages may read; `*` for every field. Default none:
    /// browsers show a few, among them `Content-Type` and `Last-Modified`, but not `ETag`.
    pub fn expose<H: AsRef<str>>(mut self, names: impl IntoIterator<Item = H>) -> Cors {
        self.exposed = strings(names);
        self
    }

    /// Sets whether browsers send the cookies and passwords of the user with a request, and show the
    /// response. Default no. All origins, methods and fields must then be named.
    pub fn credentials(mut self, sends: bool) -> Cors {
        self.credentials = sends;
        self
    }

    /// Sets the time for which a browser need not ask again, in whole seconds. Default none: browsers
    /// then take 5 s. They have maxima of their own, such as 2 h.
    pub fn max_age(mut self, time: Duration) -> Cors {
        self.max_age = Some(time);
        self
    }

    /// Returns the guard.
    ///
    /// # Errors
    ///
    /// * [`Error::Origin`] if an origin has another form. `null` is none: any page can have it.
    /// * [`Error::Cors`] if there is no origin, if a method or a name is malformed, or if credentials
    ///   come with a wildcard, which browsers refuse.
    pub fn build(self) -> Result<CorsGuard, Error> {
        if self.origins.is_empty() && !self.is_any {
            return Err(refused("", "at least one origin, or `Cors::any`"));
        }
        let origins = self.origins.iter().map(|origin| normal_form(origin));
        let origins = origins.collect::<Result<Vec<String>, Error>>()?;
        let lists = [&self.methods, &self.headers, &self.exposed];
        let mut names = lists.into_iter().flatten();
        if let Some(name) = names.clone().find(|name| !is_token(name.as_bytes())) {
            return Err(refused(name, "the name of a method or of a header field"));
        }
        if self.credentials && (self.is_any || names.any(|name| name == "*")) {
            return Err(refused(
                "*",
                "with credentials, the name of each origin, method and field",
            ));
        }
        Ok(CorsGuard(Arc::new(Rules {
            origins,
            methods: self.methods.join(", "),
            headers: self.headers.join(", "),
            exposed: self.exposed.join(", "),
            credentials: self.credentials,
            max_age: self.max_age.map(|time| time.as_secs().to_string()),
        })))
    }
}

fn strings<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    texts.into_iter().map(|text| text.as_ref().to_owned()).collect()
}

fn refused(value: &str, expected: &'static str) -> Error {
    Error::Cors { value: value.to_owned(), expected }
}

/// Returns an origin as browsers write it: in lower case, without the port of its scheme.
fn normal_form(origin: &str) -> Result<String, Error> {
    if !is_origin(origin) {
        return Err(Error::Origin { origin: origin.to_owned() });
    }
    let origin = origin.to_ascii_lowercase();
    let without_port = match origin.split_once("://") {
        Some(("https", _)) => origin.strip_suffix(":443"),
        Some(("http", _)) => origin.strip_suffix(":80"),
        _ => None,
    };
    Ok(without_port.map(str::to_owned).unwrap_or(origin))
}

/// Checks requests and allows pages of other sites to read the responses, as [`Cors`] says. Clones
/// share their settings.
///
/// Put it around a whole server or router, outside of guards that ask for credentials: a preflight
/// has none, and without the fields of this guard a page cannot read a refusal. Responses that the
/// server makes by itself, such as a 413, do not have the fields.
#[derive(Clone, Debug)]
#[must_use = "a guard does nothing until its `check` is called"]
pub struct CorsGuard(Arc<Rules>);

/// The values of the fields. An empty one is not sent.
#[derive(Debug)]
struct Rules {
    /// Empty for pages of every origin.
    origins: Vec<String>,
    methods: String,
    headers: String,
    exposed: String,
    credentials: bool,
    max_age: Option<String>,
}

impl CorsGuard {
    /// Checks a request. Returns the fields for its response.
    ///
    /// # Errors
    ///
    /// The response to a preflight: a 204, with the fields that allow the request if its origin is
    /// allowed. Any other `OPTIONS` passes.
    pub fn check<S>(&self, req: &Request<'_>) -> Result<CorsGrant, Reply<S>> {
        let origin = req.headers().only("origin");
        let grant = CorsGrant { rules: Arc::clone(&self.0), allowed: self.0.allowed(origin) };
        let is_preflight = *req.method() == Method::OPTIONS
            && origin.is_some()
            && req.headers().contains("access-control-request-method");
        match is_preflight {
            true => Err(grant.preflight().into()),
            false => Ok(grant),
        }
    }
}

impl Rules {
    /// Returns the value of `Access-Control-Allow-Origin`, as a number of `origins` or as a wildcard.
    fn allowed(&self, origin: Option<&[u8]>) -> Allowed {
        match self.origins.as_slice() {
            [] => Allowed::Any,
            // One value for all clients needs no `Vary`.
            [_] => Allowed::Origin(0),
            all => match all.iter().position(|known| Some(known.as_bytes()) == origin) {
                Some(at) => Allowed::Origin(at),
                None => Allowed::None,
            },
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Allowed {
    Any,
    /// The number of an origin.
    Origin(usize),
    None,
}

/// The permission to read one response.
#[derive(Debug)]
#[must_use = "a page cannot read the response unless the fields are added to it"]
pub struct CorsGrant {
    rules: Arc<Rules>,
    allowed: Allowed,
}

impl CorsGrant {
    /// Adds the fields to a response. They take the place of fields of these names.
    pub fn add_to(self, response: &mut Response) {
        if self.add_origin(response) && !self.rules.exposed.is_empty() {
            set(response, "Access-Control-Expose-Headers", &self.rules.exposed);
        }
    }

    fn preflight(self) -> Response {
        let mut response = Response::new(StatusCode::NO_CONTENT);
        if !self.add_origin(&mut response) {
            return response;
        }
        let Rules { methods, headers, max_age, .. } = &*self.rules;
        let fields = [
            ("Access-Control-Allow-Methods", methods.as_str()),
            ("Access-Control-Allow-Headers", headers),
            ("Access-Control-Max-Age", max_age.as_deref().unwrap_or_default()),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            set(&mut response, name, value);
        }
        response
    }

    /// Adds the origin. Returns whether there is one.
    fn add_origin(&self, response: &mut Response) -> bool {
        let fields = response.headers();
        let varies = fields.has_member("vary", "origin") || fields.has_member("vary", "*");
        if self.rules.origins.len() > 1 && !varies {
            // A cache that does not know it could give the response to a page of another origin.
            let _ = response.append_header("Vary", "Origin");
        }
        let origin = match self.allowed {
            Allowed::Any => "*",
            Allowed::Origin(at) => &self.rules.origins[at],
            Allowed::None => return false,
        };
        set(response, "Access-Control-Allow-Origin", origin);
        if self.rules.credentials {
            set(response, "Access-Control-Allow-Credentials", "true");
        }
        true
    }
}

/// Sets a field whose value was checked. A response with too many fields for it is not readable for
/// the page, which is safe.
fn set(response: &mut Response, name: &str, value: &str) {
    let _ = response.set_header(name, value);
}
