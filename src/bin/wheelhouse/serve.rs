//! Builds the servers of all cores from the options, and runs them.

use std::net::SocketAddr;
use std::path::Component::{CurDir, Normal};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use wheelhouse::files::Files;
use wheelhouse::runtime::{Cores, Listener, Report};
use wheelhouse::{Error, Request, Response, Server, StatusCode};

use crate::access;
use crate::access_log::{self, AccessLog};
use crate::cors;
use crate::hints;
use crate::log_file::LogFile;
use crate::options::{is_socket_file, Options};
use crate::signals::{self, Ending};
use crate::users::{Check, Users};
use crate::{Failure, Outputs};

pub(crate) fn serve(mut options: Options, outputs: &Outputs) -> Result<Report, Failure> {
    let files = files(&options)?;
    let count = match options.cores {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    if count > 1 && !options.listen.iter().any(|address| can_be_shared(address)) {
        let message =
            format!("--cores: {count} cores share a TCP port: expected --listen HOST:PORT");
        return Err(Failure::Arguments(message));
    }
    divide_limits(&mut options, count)?;
    let users = options.users.take().map(Arc::new);
    let ending = Ending::default();
    let (of_signals, file) = (users.clone(), outputs.file.clone());
    signals::start(ending.clone(), move || reload(of_signals.as_deref(), file.as_ref()))
        .map_err(|error| Failure::System(Error::Loop(error)))?;
    let site = Site { options, users, ending: ending.clone(), chosen: OnceLock::new() };
    if count == 1 {
        let log = AccessLog::new(outputs.access_log.clone());
        let server = site.server(log, false)?;
        ending.set_handle(server.handle());
        let events = server.build(files)?;
        // Only now: after the announcement, the loop must handle a signal.
        site.announce(outputs);
        return Ok(events.run()?);
    }
    // These were opened to find errors early. Each core has its own.
    drop(files);
    let site = Arc::new(site);
    let of_cores = site.clone();
    let access_log = outputs.access_log.clone();
    let cores = Cores::start(count, move |_| {
        let log = AccessLog::new(access_log.clone());
        let server = of_cores.server(log, true)?;
        let files = self::files(&of_cores.options).map_err(Failure::into_error)?;
        server.build(files)
    })?;
    ending.set_handle(cores.handle().clone());
    site.announce(outputs);
    Ok(cores.join()?.into_iter().sum())
}

/// Reads the users anew and opens the log file anew, as SIGHUP asks for.
fn reload(users: Option<&Users>, file: Option<&LogFile>) -> Result<(), String> {
    // Both, even if the first one fails.
    let of_users = users.map_or(Ok(()), Users::reload);
    let of_file = file.map_or(Ok(()), |file| {
        let path = file.path().display();
        file.reopen().map_err(|error| format!("the log file {path} cannot be opened: {error}"))
    });
    of_users.and(of_file)
}

/// Gives each core its part of the limits.
fn divide_limits(options: &mut Options, count: usize) -> Result<(), Failure> {
    let limits = &mut options.limits;
    if limits.connections_max == 0 {
        limits.connections_max = connections_with_a_file_each(options.listen.len() * count);
    }
    limits.connections_max = (limits.connections_max / count).max(1);
    limits.memory_bytes_max /= count;
    limits.check().map_err(|error| match count {
        1 => Failure::from(Error::Limits(error)),
        _ => Failure::Arguments(format!("--cores: each of {count} has a part: {error}")),
    })
}

/// The things that all cores share.
struct Site {
    options: Options,
    users: Option<Arc<Users>>,
    ending: Ending,
    /// The addresses of the first server, with the ports that the system chose.
    chosen: OnceLock<Chosen>,
}

struct Chosen {
    /// The addresses that the servers of other cores can share.
    shared: Vec<SocketAddr>,
    /// The announcement of each address.
    lines: Vec<String>,
}

impl Site {
    fn announce(&self, outputs: &Outputs) {
        for line in self.chosen.get().iter().flat_map(|chosen| &chosen.lines) {
            outputs.say(&format!("wheelhouse: serving {line}"));
        }
    }

    /// Creates a server that listens. The first of several servers stores its addresses, and the
    /// others listen on those that can be shared.
    fn server(&self, log: AccessLog, is_shared: bool) -> Result<Server<AccessLog>, Error> {
        let mut server = Server::with_state(log).limits(self.options.limits.clone());
        if let Some(proxies) = self.options.trusted_proxies() {
            server = server.guard(move |log: &mut AccessLog, req| {
                let client = proxies.client_addr(req);
                client.into_iter().for_each(|client| log.note_client(req.id(), client));
                Ok::<(), Response>(())
            });
        }
        // Outside of the users: a preflight has no credentials, and a page must be able to read a 401.
        if let Ok(Some(cors)) = cors::guard(&self.options.cors) {
            server = server
                .around(move |_, req| cors.check(req), |_, grant, response| grant.add_to(response));
        }
        if let Some(users) = self.users.clone() {
            let headers = self.options.headers.clone();
            server = server.guard(move |log, req| check_user(&users, &headers, log, req));
        }
        if self.options.log.is_some() {
            server = server.exchange_headers(&access_log::HEADERS).on_exchange(AccessLog::note);
        }
        match self.chosen.get() {
            Some(chosen) => chosen.shared.iter().try_fold(server, |server, address| {
                server.listen(Listener::from(*address).shared())
            }),
            None => self.listen(server, is_shared),
        }
    }

    /// Listens on all addresses of the options.
    fn listen<S: 'static>(
        &self,
        mut server: Server<S>,
        is_shared: bool,
    ) -> Result<Server<S>, Error> {
        let dir = &self.options.dir;
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.clone());
        let (mut shared, mut lines) = (Vec::new(), Vec::new());
        for address in &self.options.listen {
            let before = server.local_addrs().len();
            server = match address.as_str() {
                "inherit" => server.listen_inherited()?,
                address if is_socket_file(address) => self.listen_on_file(server, address)?,
                address if is_shared && can_be_shared(address) => {
                    server.listen(Listener::new(address).shared())?
                }
                address => server.listen(address)?,
            };
            let opened = &server.local_addrs()[before..];
            lines.extend(opened.iter().map(|at| format!("{} on http://{at}/", dir.display())));
            if opened.is_empty() {
                lines.push(format!("{} on {address}", dir.display()));
            }
            shared.extend(opened.iter().filter(|_| can_be_shared(address)));
        }
        let _ = self.chosen.set(Chosen { shared, lines });
        Ok(server)
    }

    /// Listens on `unix:PATH`.
    fn listen_on_file<S: 'static>(
        &self,
        server: Server<S>,
        address: &str,
    ) -> Result<Server<S>, Error> {
        let mut listener = Listener::new(address);
        if let Some(mode) = self.options.socket_mode {
            listener = listener.mode(mode);
        }
        if let Some(owner) = self.options.socket_owner {
            listener = listener.owner(owner.user, owner.group);
        }
        let path = address.strip_prefix("unix:").unwrap_or_default();
        self.ending.open_file(Path::new(path), || server.listen(listener))
    }
}

fn can_be_shared(address: &str) -> bool {
    address != "inherit" && !address.starts_with("unix:")
}

/// Checks the credentials of a request, and notes the user for the log. The responses have the
/// header fields that those for files have.
fn check_user(
    users: &Users,
    headers: &[(String, String)],
    log: &mut AccessLog,
    req: &Request<'_>,
) -> Result<(), Response> {
    let checked = req.basic_auth().map_or(Check::Wrong, |auth| users.check(&auth));
    let response = match checked {
        Check::User(user) => {
            log.note_user(req.id(), &user);
            return Ok(());
        }
        Check::Wrong => Response::unauthorized_basic("wheelhouse"),
        Check::Busy(wait) => {
            let seconds = wait.as_secs_f64().ceil().to_string();
            Response::status_page(StatusCode::TOO_MANY_REQUESTS).with_header("Retry-After", seconds)
        }
    };
    let add = |response: Response, (name, value): &(String, String)| {
        response.with_appended_header(name, value)
    };
    Err(headers.iter().fold(response, add))
}

fn files(options: &Options) -> Result<Files, Failure> {
    let refused =
        |flag: &str, error: &dyn std::fmt::Display| Failure::Arguments(format!("{flag}: {error}"));
    if let Some(message) = access::missing_permission(&options.dir, options.lists) {
        return Err(Failure::Arguments(message));
    }
    let mut files = Files::open(&options.dir)
        .map_err(|error| {
            let hint = match options.dir.exists() {
                true => String::new(),
                false => hints::for_missing(&options.dir),
            };
            Failure::Arguments(format!("{error:?}{hint}"))
        })?
        .listing(options.lists)
        .dot_files(options.dot_files)
        .clean_urls(options.clean_urls)
        .follow_links(options.follows_links)
        .precompressed(options.precompressed);
    for (status, file) in &options.error_pages {
        files = with_error_page(files, *status, file)?;
    }
    if !options.index.is_empty() {
        files = files.index(&options.index);
    }
    if let Some(spa) = &options.spa {
        let is_inside = spa.components().all(|part| matches!(part, CurDir | Normal(_)));
        let file = options.dir.join(spa);
        if !is_inside || !file.is_file() {
            let message = format!("--spa {spa:?}: expected a file beneath the directory");
            return Err(Failure::Arguments(message));
        }
        access::check_readable(&file).map_err(|error| refused("--spa", &error))?;
        files = files.spa(spa);
    }
    if let Some(value) = &options.cache_control {
        files = files.cache_control(value).map_err(|error| refused("--cache-control", &error))?;
    }
    for (name, value) in &options.headers {
        files = files.header(name, value).map_err(|error| refused("--header", &error))?;
    }
    for (extension, kind) in &options.types {
        files = files.content_type(extension, kind).map_err(|error| refused("--type", &error))?;
    }
    Ok(files)
}

fn with_error_page(files: Files, status: StatusCode, file: &Path) -> Result<Files, Failure> {
    let page = format!("--error-page {}={}", status.as_str(), file.display());
    files.error_page(status, file).map_err(|error| match error {
        Error::Files { source, .. } => Failure::Arguments(format!(
            "{page}: expected a status from 400 to 599 and a file beneath the directory that can \
             be read: {source}"
        )),
        error => Failure::Arguments(format!("{page}: {error}")),
    })
}

/// Raises the limit of descriptors as far as the system allows. Returns the number of connections
/// for which they suffice if each has a file open.
fn connections_with_a_file_each(listeners: usize) -> usize {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Service managers may allow a thousand million, more than any server needs.
    let wanted = maximum.unwrap_or(1 << 20).min(1 << 20);
    let has = current.unwrap_or(1 << 20).min(1 << 20);
    let raised = Rlimit { current: Some(wanted), maximum };
    let descriptors = match wanted > has && setrlimit(Resource::Nofile, raised).is_ok() {
        true => wanted,
        false => has,
    };
    // The process itself has a dozen, and the search for a file needs some for a moment. With a
    // smaller reserve, requests would get a 503 for want of a descriptor.
    let reserve = (descriptors / 8).clamp(24, 64) + listeners as u64;
    usize::try_from(descriptors.saturating_sub(reserve) / 2).unwrap_or(1).max(1)
}
