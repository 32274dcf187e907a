//! The ready binary: serves a directory.
//!
//! ```text
//! cargo run --release                     # this directory on 127.0.0.1:8080
//! wheelhouse public --listen 0.0.0.0:80 --listen unix:/run/www.sock --access-log common
//! ```
//!
//! It says on standard error what it serves and where, writes the access log, if one is wanted,
//! to standard output, and finishes what was begun when SIGINT or SIGTERM comes.

#[path = "wheelhouse/access_log.rs"]
mod access_log;
#[path = "wheelhouse/basic_auth.rs"]
mod basic_auth;
#[path = "wheelhouse/options.rs"]
mod options;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use wheelhouse::files::Files;
use wheelhouse::{Error, Report, Request, Response, Server};

use crate::access_log::AccessLog;
use crate::options::{Command, Options};

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let serve = match options::from_process() {
        Ok(Command::Print(text)) => {
            // A reader that has had enough (`| head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Ok(Command::Serve(options)) => serve(*options),
        Err(message) => Err(Failure::Arguments(message)),
    };
    match serve {
        Ok(report) => {
            eprintln!("{}", in_words(&report));
            ExitCode::SUCCESS
        }
        Err(Failure::Arguments(message)) => {
            eprintln!("wheelhouse: {message}\nTry `wheelhouse --help`.");
            ExitCode::from(2)
        }
        Err(Failure::System(error)) => {
            eprintln!("wheelhouse: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why there is nothing to report.
enum Failure {
    /// What was asked for cannot be understood or does not exist. Exit code 2.
    Arguments(String),
    /// What was asked for cannot be had. Exit code 1.
    System(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Address { .. } | Error::Limits(_) => Failure::Arguments(error.to_string()),
            error => Failure::System(error),
        }
    }
}

fn serve(options: Options) -> Result<Report, Failure> {
    let files = files(&options)?;
    let Options { dir, listen, mut limits, auth, log, .. } = options;
    if limits.connections_max == 0 {
        limits.connections_max = connections_with_a_file_each(listen.len());
    }
    let mut server = Server::new().limits(limits)?.on_signals()?;
    for address in &listen {
        server = server.listen(address)?;
    }
    announce(&dir, &listen, &server);
    let mut log = AccessLog::new(log);
    let report = server.run(|req: &Request<'_>| {
        let user = auth.as_ref().map(|auth| auth.user_of(req));
        let answer = match user {
            Some(None) => Response::unauthorized("wheelhouse"),
            _ => files.answer(req),
        };
        log.note(req, &answer, user.flatten());
        answer
    })?;
    Ok(report)
}

fn files(options: &Options) -> Result<Files, Failure> {
    let refused =
        |what: &str, error: &dyn std::fmt::Display| Failure::Arguments(format!("{what}: {error}"));
    let mut files = Files::new(&options.dir)
        .map_err(|error| refused(&options.dir.display().to_string(), &error))?
        .listing(options.lists)
        .dot_files(options.dot_files)
        .precompressed(options.precompressed);
    if !options.index.is_empty() {
        files = files.index(&options.index);
    }
    if let Some(spa) = &options.spa {
        if !options.dir.join(spa).is_file() {
            return Err(refused("--spa", &format!("{spa:?} is no file beneath the directory")));
        }
        files = files.spa(spa);
    }
    if let Some(value) = &options.cache_control {
        files = files.cache_control(value).map_err(|error| refused("--cache-control", &error))?;
    }
    for (name, value) in &options.headers {
        files = files.field(name, value).map_err(|error| refused("--header", &error))?;
    }
    for (extension, kind) in &options.types {
        files = files.content_type(extension, kind).map_err(|error| refused("--type", &error))?;
    }
    Ok(files)
}

/// Says what is served and where: the addresses as the system gave them, port 0 resolved.
fn announce(dir: &Path, listen: &[String], server: &Server) {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mut tcp = server.local_addrs().iter();
    for address in listen {
        match address.starts_with("unix:") {
            true => eprintln!("wheelhouse: serving {} on {address}", dir.display()),
            false => {
                let address = tcp.next().map_or_else(|| address.clone(), ToString::to_string);
                eprintln!("wheelhouse: serving {} on http://{address}/", dir.display());
            }
        }
    }
}

fn in_words(report: &Report) -> String {
    let Report { accepted, requests, refused, drained, killed, .. } = report;
    format!(
        "wheelhouse: {accepted} connections, {requests} requests, {refused} refused; \
         at the end {drained} finished, {killed} cut"
    )
}

/// Takes as many descriptors as the system allows, and says how many connections that makes if
/// each may have a file open.
fn connections_with_a_file_each(listeners: usize) -> usize {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // A service manager that allows a thousand million means "enough".
    let wanted = maximum.unwrap_or(1 << 20).min(1 << 20);
    let has = current.unwrap_or(1 << 20).min(1 << 20);
    let raised = Rlimit { current: Some(wanted), maximum };
    let descriptors = match wanted > has && setrlimit(Resource::Nofile, raised).is_ok() {
        true => wanted,
        false => has,
    };
    // A dozen that the process has anyway, and those that looking for a file needs for a moment.
    // Too few, and requests that were accepted get a 503 for want of a descriptor.
    let reserve = (descriptors / 8).clamp(24, 64) + listeners as u64;
    usize::try_from(descriptors.saturating_sub(reserve) / 2).unwrap_or(1).max(1)
}
