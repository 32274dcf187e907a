//! The options of the binary: from flags, and from the environment where a flag is not given.

use std::env;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use wheelhouse::guards::TrustedProxies;
use wheelhouse::{Limits, StatusCode};

use crate::access_log::Format;
use crate::cors;
use crate::flags::{self, Flag};
use crate::hints;
use crate::limits;
use crate::owner::Owner;
use crate::users::Users;
use crate::values::{self, pair};

/// The task of the program.
#[derive(Debug)]
pub(crate) enum Command {
    Serve(Box<Options>),
    /// To print this text and exit.
    Print(String),
}

/// The options of a server.
#[derive(Debug)]
pub(crate) struct Options {
    /// The directory or the file to serve.
    pub(crate) dir: PathBuf,
    pub(crate) listen: Vec<String>,
    pub(crate) socket_mode: Option<u32>,
    pub(crate) socket_owner: Option<Owner>,
    /// The number of loops. 0 stands for one on each core.
    pub(crate) cores: usize,
    pub(crate) limits: Limits,
    /// Empty for the default.
    pub(crate) index: Vec<PathBuf>,
    pub(crate) lists: bool,
    pub(crate) clean_urls: bool,
    pub(crate) error_pages: Vec<(StatusCode, PathBuf)>,
    pub(crate) spa: Option<PathBuf>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) cache_control: Option<String>,
    pub(crate) types: Vec<(String, String)>,
    pub(crate) dot_files: bool,
    pub(crate) follows_links: bool,
    pub(crate) precompressed: bool,
    pub(crate) users: Option<Users>,
    /// Origins whose pages may read the files; `*` for all.
    pub(crate) cors: Vec<String>,
    /// The networks of `--trust-proxy`.
    proxies: Vec<String>,
    reads_forwarded: bool,
    pub(crate) log: Option<Format>,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) is_quiet: bool,
}

/// Reads the command line and the environment of this process.
pub(crate) fn from_process() -> Result<Command, String> {
    let parser = lexopt::Parser::from_env();
    parse(parser, &Environment::of_process()).map_err(|error| error.to_string())
}

/// The variables whose names begin with `WHEELHOUSE_`.
struct Environment(Vec<(String, OsString)>);

impl Environment {
    fn of_process() -> Environment {
        let named = |(name, value): (OsString, OsString)| {
            let name = name.to_string_lossy().into_owned();
            let is_of_others = hints::is_of_orchestrator(&name, &value.to_string_lossy());
            (name.starts_with("WHEELHOUSE_") && !is_of_others).then_some((name, value))
        };
        Environment(env::vars_os().filter_map(named).collect())
    }

    /// Returns all values: of flags, and of single limits as those of `--limit`. A variable that
    /// means nothing is an error.
    fn values(&self) -> Result<Vec<(&'static Flag, String)>, String> {
        let mut values = Vec::new();
        for (name, value) in self.0.iter().filter(|(name, _)| name != "WHEELHOUSE_DIR") {
            let not_utf8 = || format!("{name} is not UTF-8: expected text");
            let text = value.to_str().ok_or_else(not_utf8)?;
            let flag = flags::all().find(|flag| flag.has_variable() && flag.variable() == *name);
            match (flag, name.strip_prefix("WHEELHOUSE_LIMIT_")) {
                (Some(flag), _) => {
                    values.extend(flag.values(text)?.into_iter().map(|value| (flag, value)));
                }
                (None, Some(_)) if text.is_empty() => {}
                (None, Some(limit)) => {
                    let limit_flag = flags::named("limit").expect("there is such a flag");
                    values.push((limit_flag, format!("{limit}={text}")));
                }
                (None, None) => return Err(hints::variable(name)),
            }
        }
        Ok(values)
    }

    fn dir(&self) -> Option<PathBuf> {
        let dir = self.0.iter().find(|(name, _)| name == "WHEELHOUSE_DIR");
        dir.filter(|(_, dir)| !dir.is_empty()).map(|(_, dir)| PathBuf::from(dir))
    }
}

/// Whether a flag replaces the variable of another. The values of single limits are merged.
fn replaces(given: &Flag, variable: &Flag) -> bool {
    const ADDRESSES: [&str; 2] = ["listen", "port"];
    const CREDENTIALS: [&str; 2] = ["basic-auth", "auth-file"];
    let both_in = |group: [&str; 2]| group.contains(&given.name) && group.contains(&variable.name);
    let is_same = given.name == variable.name && given.name != "limit";
    is_same || both_in(ADDRESSES) || both_in(CREDENTIALS)
}

fn parse(mut parser: lexopt::Parser, environment: &Environment) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::*;
    let mut dir: Option<PathBuf> = None;
    let mut given: Vec<(&Flag, String)> = Vec::new();
    while let Some(argument) = parser.next()? {
        let flag = match &argument {
            Short(letter) => flags::short(*letter),
            Long(name) => flags::named(name),
            Value(path) if dir.is_none() => {
                dir = Some(path.into());
                continue;
            }
            Value(_) => None,
        };
        let Some(flag) = flag else { return Err(hints::unexpected(&argument).into()) };
        let value = match flag.value {
            "" => String::new(),
            "[ORIGIN]" => origin(&mut parser)?,
            _ => parser.value()?.string()?,
        };
        given.push((flag, value));
    }
    let is_given = |name| given.iter().any(|(flag, _)| flag.name == name);
    // Help comes before the environment is read, which may have an error.
    if is_given("help") {
        return Ok(Command::Print(flags::help()));
    }
    if is_given("version") {
        return Ok(Command::Print(format!("wheelhouse {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let prints_limits = is_given("print-limits");
    let mut all = environment.values()?;
    all.retain(|(variable, _)| !given.iter().any(|(flag, _)| replaces(flag, variable)));
    all.extend(given);
    let options = Options::new(dir.or_else(|| environment.dir()), &all)?;
    if prints_limits {
        options.limits.check().map_err(|error| error.to_string())?;
        return Ok(Command::Print(options.limits.to_string()));
    }
    Ok(Command::Serve(Box::new(options)))
}

/// Returns the value of `--cors`: `*` if the next argument is not an origin, since it may be DIR.
fn origin(parser: &mut lexopt::Parser) -> Result<String, lexopt::Error> {
    use lexopt::ValueExt;
    if let Some(value) = parser.optional_value() {
        return value.string();
    }
    let has_origin = parser.try_raw_args().is_some_and(|arguments| {
        let next = arguments.peek().and_then(|next| next.to_str());
        next.is_some_and(|next| next == "*" || next.contains("://"))
    });
    match has_origin {
        true => parser.value()?.string(),
        false => Ok("*".to_owned()),
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dir: PathBuf::from("."),
            listen: Vec::new(),
            socket_mode: None,
            socket_owner: None,
            cores: 1,
            limits: Limits::default(),
            index: Vec::new(),
            lists: true,
            clean_urls: false,
            error_pages: Vec::new(),
            spa: None,
            headers: Vec::new(),
            cache_control: None,
            types: Vec::new(),
            dot_files: false,
            follows_links: false,
            precompressed: true,
            users: None,
            cors: Vec::new(),
            proxies: Vec::new(),
            reads_forwarded: false,
            log: None,
            log_file: None,
            is_quiet: false,
        }
    }
}

impl Options {
    fn new(dir: Option<PathBuf>, given: &[(&Flag, String)]) -> Result<Options, String> {
        let mut options = Options::default();
        options.dir = dir.unwrap_or(options.dir);
        let is = |name: &'static str| move |given: &&(&Flag, String)| given.0.name == name;
        // First of all, because other flags change single limits.
        if let Some((_, name)) = given.iter().rev().find(is("limits")) {
            options.limits = Limits::preset(name).ok_or_else(|| {
                format!("--limits {name:?}: expected open-internet, small or sidecar")
            })?;
        }
        for (flag, value) in given {
            options.apply(flag.name, value).map_err(|expected| match flag.name {
                // The value is a secret, which no message may repeat.
                "basic-auth" => format!("--basic-auth: expected {expected}"),
                name => format!("--{name} {value:?}: expected {expected}"),
            })?;
        }
        if options.log_file.is_some() && !given.iter().any(|given| is("access-log")(&given)) {
            options.log = Some(Format::Combined);
        }
        options.check()?;
        if options.listen.is_empty() {
            options.listen.push(values::address("8080"));
        }
        Ok(options)
    }

    /// Applies a flag. An error is the expected form of its value.
    fn apply(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "limit" => limits::set(&mut self.limits, value)?,
            "max-connections" => self.set_limit("connections_max", value)?,
            "memory" => self.set_limit("memory_bytes_max", value)?,
            "shutdown-timeout" => self.set_limit("shutdown_timeout", value)?,
            "access-log" => {
                self.log = match value {
                    "none" => None,
                    value => Some(Format::called(value).ok_or("common, combined, json or none")?),
                }
            }
            "access-log-file" => self.log_file = Some(not_empty(value)?.into()),
            "quiet" => self.is_quiet = true,
            "listen" | "port" | "socket-mode" | "socket-owner" | "cores" => {
                self.apply_to_listeners(name, value)?;
            }
            "basic-auth" | "auth-file" | "cors" | "trust-proxy" | "proxy-header" => {
                self.apply_to_clients(name, value)?;
            }
            _ => self.apply_to_files(name, value)?,
        }
        Ok(())
    }

    /// Applies a flag that is about listeners.
    fn apply_to_listeners(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "listen" => self.listen.push(values::address(value)),
            "port" => {
                let port = values::port(value).ok_or("a port, such as 8080")?;
                self.listen.push(values::address(&port.to_string()));
            }
            "socket-mode" => {
                let mode = values::mode(value).ok_or("a mode in octal, such as 0660")?;
                self.socket_mode = Some(mode);
            }
            "socket-owner" => self.socket_owner = Some(Owner::find(value)?),
            _ => self.cores = value.parse().map_err(|_| "a number")?,
        }
        Ok(())
    }

    /// Applies a flag that is about users and clients.
    fn apply_to_clients(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "basic-auth" => self.set_users(Users::pair(value).ok_or("USER:PASSWORD")?)?,
            "auth-file" => self.set_users(Users::from_file(Path::new(value))?)?,
            "cors" => {
                self.cors.push(value.to_owned());
                cors::guard(&self.cors)?;
            }
            "trust-proxy" => {
                if TrustedProxies::x_forwarded_for().trust(value).is_err() {
                    return Err("a network, such as 10.0.0.0/8 or ::1, or unix".to_owned());
                }
                self.proxies.push(value.to_owned());
            }
            _ => {
                self.reads_forwarded = match value.to_ascii_lowercase().as_str() {
                    "forwarded" => true,
                    "x-forwarded-for" => false,
                    _ => return Err("X-Forwarded-For or Forwarded".to_owned()),
                }
            }
        }
        Ok(())
    }

    /// Applies a flag that is about files.
    fn apply_to_files(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "index" => {
                let name = Path::new(value).components().next();
                let is_file = matches!(name, Some(Component::Normal(name)) if name == value);
                self.index.push(is_file.then(|| value.into()).ok_or("a name, such as index.html")?);
            }
            "no-listing" => self.lists = false,
            "clean-urls" => self.clean_urls = true,
            "error-page" => {
                const EXPECTED: &str = "STATUS=FILE, such as 404=404.html";
                let (status, file) = pair(value, '=').ok_or(EXPECTED)?;
                let status = StatusCode::from_bytes(status.as_bytes()).map_err(|_| EXPECTED)?;
                self.error_pages.push((status, not_empty(&file)?.into()));
            }
            "spa" => self.spa = Some(not_empty(value)?.into()),
            "dot-files" => self.dot_files = true,
            "follow-links" => self.follows_links = true,
            "no-precompressed" => self.precompressed = false,
            "type" => self.types.push(values::media_type(value)?),
            "header" => self.headers.push(pair(value, ':').ok_or("'NAME: VALUE'")?),
            "cache-control" => self.cache_control = Some(not_empty(value)?.to_owned()),
            // `limits` has been applied, and the others print and exit.
            _ => {}
        }
        Ok(())
    }

    fn set_limit(&mut self, name: &str, value: &str) -> Result<(), String> {
        limits::set(&mut self.limits, &format!("{name}={value}"))
    }

    fn set_users(&mut self, users: Users) -> Result<(), String> {
        match self.users.replace(users) {
            None => Ok(()),
            Some(_) => Err("one of --basic-auth and --auth-file, once".to_owned()),
        }
    }

    /// Checks that the options fit together.
    fn check(&self) -> Result<(), String> {
        let has_file = self.listen.iter().any(|address| is_socket_file(address));
        let of_socket = [
            ("--socket-mode", self.socket_mode.is_some()),
            ("--socket-owner", self.socket_owner.is_some()),
        ];
        if let Some((flag, _)) = of_socket.iter().find(|(_, is_set)| *is_set && !has_file) {
            return Err(format!("{flag}: expected --listen unix:PATH, whose file it is for"));
        }
        if self.log_file.is_some() && self.log.is_none() {
            return Err("--access-log-file: expected an --access-log that is not none".to_owned());
        }
        if self.reads_forwarded && self.proxies.is_empty() {
            return Err("--proxy-header: expected --trust-proxy NETWORK beside it".to_owned());
        }
        let of_directories = [
            ("--index", !self.index.is_empty()),
            ("--no-listing", !self.lists),
            ("--clean-urls", self.clean_urls),
            ("--error-page", !self.error_pages.is_empty()),
            ("--spa", self.spa.is_some()),
        ];
        match of_directories.iter().find(|(_, is_set)| *is_set) {
            Some((flag, _)) if self.dir.is_file() => {
                Err(format!("{flag}: expected a directory, and {} is a file", self.dir.display()))
            }
            _ => Ok(()),
        }
    }

    /// The proxies whose word about their clients is taken, if there are any.
    pub(crate) fn trusted_proxies(&self) -> Option<TrustedProxies> {
        let none = match self.reads_forwarded {
            true => TrustedProxies::forwarded(),
            false => TrustedProxies::x_forwarded_for(),
        };
        let trusted = self.proxies.iter().try_fold(none, |proxies, one| proxies.trust(one));
        trusted.ok().filter(|_| !self.proxies.is_empty())
    }
}

/// Whether an address is that of a Unix socket with a file.
pub(crate) fn is_socket_file(address: &str) -> bool {
    address.strip_prefix("unix:").is_some_and(|name| !name.starts_with('@'))
}

fn not_empty(value: &str) -> Result<&str, String> {
    match value {
        "" => Err("a value".to_owned()),
        value => Ok(value),
    }
}
