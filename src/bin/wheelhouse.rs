//! The binary `wheelhouse`, which serves a directory.
//!
//! ```text
//! cargo run --release                     # this directory on 127.0.0.1:8080
//! wheelhouse public --listen 0.0.0.0:80 --listen unix:/run/www.sock --access-log common
//! ```
//!
//! It prints the directory and the addresses to standard error, and writes the access log to
//! standard output. Neither can hold it up. SIGINT and SIGTERM shut it down gracefully.

#[path = "wheelhouse/access_log.rs"]
mod access_log;
#[path = "wheelhouse/basic_auth.rs"]
mod basic_auth;
#[path = "wheelhouse/cors.rs"]
mod cors;
#[path = "wheelhouse/options.rs"]
mod options;
#[path = "wheelhouse/output.rs"]
mod output;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::panic;
use std::path::Component::{CurDir, Normal};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wheelhouse::files::Files;
use wheelhouse::runtime::{Cores, Listener, Report};
use wheelhouse::{Error, Request, Response, Server};

use crate::access_log::{AccessLog, Format};
use crate::options::{Command, Options};
use crate::output::{Descriptor, Output};

/// The time for which the end waits until all output is written, 1 s: a reader that still reads
/// needs less, and one that has stopped must not keep the process. The access log has half of it.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let options = match options::from_process() {
        Ok(Command::Print(text)) => {
            // A reader that ends early, such as `| head`, is not a failure.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Ok(Command::Serve(options)) => *options,
        Err(message) => return print(Failure::Arguments(message).in_words()),
    };
    // Dropped after the last message, also by a panic.
    let outputs = match Outputs::start(options.log) {
        Ok(outputs) => outputs,
        Err(error) => return print((format!("wheelhouse: {error}"), ExitCode::FAILURE)),
    };
    let (message, code) = match serve(options, &outputs) {
        Ok(report) => (in_words(&report), ExitCode::SUCCESS),
        Err(failure) => failure.in_words(),
    };
    outputs.messages.say(&message);
    code
}

/// Prints a message at once, before there are outputs, and returns the exit code. An error of the
/// write does not change the code, as the panic of `eprintln!` would.
fn print((message, code): (String, ExitCode)) -> ExitCode {
    let _ = io::stderr().write_all(format!("{message}\n").as_bytes());
    code
}

/// Everything that the program writes while it serves.
struct Outputs {
    /// Standard error: the messages of the binary, the log, and panics.
    messages: Output,
    access_log: Option<(Format, Output)>,
}

impl Outputs {
    /// Starts the outputs, with the logger and the messages of panics.
    fn start(log: Option<Format>) -> io::Result<Outputs> {
        let messages = Output::start("standard error", Descriptor(io::stderr()), None)?;
        let access_log = match log {
            Some(format) => {
                let to = Descriptor(io::stdout());
                Some((format, Output::start("access log", to, Some(messages.clone()))?))
            }
            None => None,
        };
        let of_panics = messages.clone();
        // The usual hook writes to standard error itself, on the loop.
        panic::set_hook(Box::new(move |panic| {
            let backtrace = Backtrace::capture();
            of_panics.say(&match backtrace.status() {
                BacktraceStatus::Captured => format!("wheelhouse: {panic}\n{backtrace}"),
                _ => format!("wheelhouse: {panic}"),
            });
        }));
        logger().target(env_logger::Target::Pipe(Box::new(messages.clone()))).init();
        Ok(Outputs { messages, access_log })
    }
}

/// Creates a logger with the levels of `RUST_LOG`. If that is malformed, the logger prints a warning
/// to standard error at once, and panics if it cannot; then the default applies.
fn logger() -> env_logger::Builder {
    let from_env =
        || env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    panic::catch_unwind(from_env).unwrap_or_else(|_| {
        let mut logger = env_logger::Builder::new();
        logger.filter_level(log::LevelFilter::Info);
        logger
    })
}

/// Waits for the last lines. The access log is first, because its losses are reported in the
/// messages.
impl Drop for Outputs {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some((_, output)) = &self.access_log {
            output.finish(now + OUTPUT_TIMEOUT / 2);
        }
        self.messages.finish(now + OUTPUT_TIMEOUT);
    }
}

/// The reason why the program ends without a report.
enum Failure {
    /// An argument is malformed, or names a thing that does not exist. Exit code 2.
    Arguments(String),
    /// The system refused a resource. Exit code 1.
    System(Error),
}

impl Failure {
    /// Returns the message and the exit code.
    fn in_words(&self) -> (String, ExitCode) {
        match self {
            Failure::Arguments(message) => {
                (format!("wheelhouse: {message}\nTry `wheelhouse --help`."), ExitCode::from(2))
            }
            Failure::System(error) => (format!("wheelhouse: {error:?}"), ExitCode::FAILURE),
        }
    }

    /// Converts it into the error of a core. An argument can still become wrong after the first
    /// check, for example if the directory is removed.
    fn into_error(self) -> Error {
        match self {
            Failure::Arguments(message) => Error::Loop(io::Error::other(message)),
            Failure::System(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Address { .. } | Error::NothingInherited | Error::Limits(_) => {
                Failure::Arguments(error.to_string())
            }
            error => Failure::System(error),
        }
    }
}

fn serve(mut options: Options, outputs: &Outputs) -> Result<Report, Failure> {
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
    let limits = &mut options.limits;
    if limits.connections_max == 0 {
        limits.connections_max = connections_with_a_file_each(options.listen.len() * count);
    }
    limits.connections_max = (limits.connections_max / count).max(1);
    limits.memory_bytes_max /= count;
    limits.check().map_err(|error| match count {
        1 => Failure::from(Error::Limits(error)),
        _ => Failure::Arguments(format!("--cores: each of {count} has a part: {error}")),
    })?;
    if count == 1 {
        let chosen = OnceLock::new();
        let log = AccessLog::new(outputs.access_log.clone());
        let events = server(&Arc::new(options), log, &chosen, false)?.build(files)?;
        // Only now: after the announcement, the loop must handle a signal.
        announce(&chosen, &outputs.messages);
        return Ok(events.run()?);
    }
    // These were opened to find errors early. Each core has its own.
    drop(files);
    let (options, chosen) = (Arc::new(options), Arc::new(OnceLock::new()));
    let of_cores = chosen.clone();
    let access_log = outputs.access_log.clone();
    let cores = Cores::start(count, move |_| {
        let log = AccessLog::new(access_log.clone());
        let server = server(&options, log, &of_cores, true)?;
        let files = self::files(&options).map_err(Failure::into_error)?;
        server.build(files)
    })?;
    // Only now: after the announcement, every core must handle a signal.
    announce(&chosen, &outputs.messages);
    Ok(cores.join()?.iter().fold(Report::default(), sum))
}

/// The addresses of the first server, with the ports that the system chose.
struct Chosen {
    /// The addresses that the servers of other cores can share.
    shared: Vec<SocketAddr>,
    /// The announcement of each address.
    lines: Vec<String>,
}

fn announce(chosen: &OnceLock<Chosen>, messages: &Output) {
    for line in chosen.get().iter().flat_map(|chosen| &chosen.lines) {
        messages.say(&format!("wheelhouse: serving {line}"));
    }
}

/// Creates a server that listens. The first of several servers stores its addresses in `chosen`,
/// and the others listen on those that can be shared.
fn server(
    options: &Arc<Options>,
    log: AccessLog,
    chosen: &OnceLock<Chosen>,
    is_shared: bool,
) -> Result<Server<AccessLog>, Error> {
    let of_guard = Arc::clone(options);
    let mut server = Server::with_state(log).limits(options.limits.clone());
    // The outermost layer: a preflight has no credentials, and a page must be able to read a 401.
    if let Ok(Some(cors)) = cors::guard(&options.cors) {
        server = server
            .around(move |_, req| cors.check(req), |_, grant, response| grant.add_to(response));
    }
    server = server.guard(move |log, req| check_user(&of_guard, log, req)).on_signals();
    if options.log.is_some() {
        server = server.exchange_headers(&access_log::HEADERS).on_exchange(AccessLog::note);
    }
    if let Some(chosen) = chosen.get() {
        for address in &chosen.shared {
            server = server.listen(Listener::from(*address).shared())?;
        }
        return Ok(server);
    }
    let dir = options.dir.canonicalize().unwrap_or_else(|_| options.dir.clone());
    let (mut shared, mut lines) = (Vec::new(), Vec::new());
    for address in &options.listen {
        let before = server.local_addrs().len();
        server = match address.as_str() {
            "inherit" => server.listen_inherited()?,
            address if is_shared && can_be_shared(address) => {
                server.listen(Listener::new(address).shared())?
            }
            address => server.listen(address)?,
        };
        let opened = &server.local_addrs()[before..];
        lines.extend(opened.iter().map(|local| format!("{} on http://{local}/", dir.display())));
        if opened.is_empty() {
            lines.push(format!("{} on {address}", dir.display()));
        }
        shared.extend(opened.first().filter(|_| can_be_shared(address)));
    }
    let _ = chosen.set(Chosen { shared, lines });
    Ok(server)
}

fn can_be_shared(address: &str) -> bool {
    address != "inherit" && !address.starts_with("unix:")
}

/// Checks the credentials of a request, if they are required, and notes the user for the log.
fn check_user(options: &Options, log: &mut AccessLog, req: &Request<'_>) -> Result<(), Response> {
    let Some(auth) = &options.auth else { return Ok(()) };
    let user = auth.user_of(req).ok_or_else(|| unauthorized(options))?;
    log.note_user(req.id(), user);
    Ok(())
}

/// Creates a 401 with the header fields that the responses for files have.
fn unauthorized(options: &Options) -> Response {
    let response = Response::unauthorized_basic("wheelhouse");
    options
        .headers
        .iter()
        .fold(response, |response, (name, value)| response.with_appended_header(name, value))
}

fn sum(mut total: Report, of_one: &Report) -> Report {
    total.accepted += of_one.accepted;
    total.requests += of_one.requests;
    total.refused += of_one.refused;
    total.too_slow += of_one.too_slow;
    total.evicted += of_one.evicted;
    total.cut_off += of_one.cut_off;
    total.panics += of_one.panics;
    total.accept_errors += of_one.accept_errors;
    total.drained += of_one.drained;
    total.reset += of_one.reset;
    total
}

fn files(options: &Options) -> Result<Files, Failure> {
    let refused =
        |flag: &str, error: &dyn std::fmt::Display| Failure::Arguments(format!("{flag}: {error}"));
    let mut files = Files::new(&options.dir)
        .map_err(|error| Failure::Arguments(format!("{error:?}")))?
        .listing(options.lists)
        .dot_files(options.dot_files)
        .precompressed(options.precompressed);
    if !options.index.is_empty() {
        files = files.index(&options.index);
    }
    if let Some(spa) = &options.spa {
        let is_inside = spa.components().all(|part| matches!(part, CurDir | Normal(_)));
        if !is_inside || !options.dir.join(spa).is_file() {
            let message = format!("--spa {spa:?}: expected a file beneath the directory");
            return Err(Failure::Arguments(message));
        }
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

fn in_words(report: &Report) -> String {
    let Report { accepted, requests, refused, drained, reset, .. } = report;
    format!(
        "wheelhouse: {accepted} connections, {requests} requests, {refused} refused; \
         at the shutdown {drained} finished, {reset} reset"
    )
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
