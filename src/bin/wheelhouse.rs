//! The binary `wheelhouse`, which serves a directory.
//!
//! ```text
//! cargo run --release                     # this directory on 127.0.0.1:8080
//! wheelhouse public --listen 0.0.0.0:80 --listen unix:/run/www.sock --access-log common
//! ```
//!
//! It prints the directory and the addresses to standard error, and writes the access log to
//! standard output or to a file. Neither can hold it up. SIGINT and SIGTERM shut it down gracefully,
//! and SIGHUP reloads.

#[path = "wheelhouse/access.rs"]
mod access;
#[path = "wheelhouse/access_log.rs"]
mod access_log;
#[path = "wheelhouse/clock.rs"]
mod clock;
#[path = "wheelhouse/cors.rs"]
mod cors;
#[path = "wheelhouse/flags.rs"]
mod flags;
#[path = "wheelhouse/hints.rs"]
mod hints;
#[path = "wheelhouse/limits.rs"]
mod limits;
#[path = "wheelhouse/log_file.rs"]
mod log_file;
#[path = "wheelhouse/log_lines.rs"]
mod log_lines;
#[path = "wheelhouse/options.rs"]
mod options;
#[path = "wheelhouse/output.rs"]
mod output;
#[path = "wheelhouse/owner.rs"]
mod owner;
#[path = "wheelhouse/serve.rs"]
mod serve;
#[path = "wheelhouse/signals.rs"]
mod signals;
#[path = "wheelhouse/users.rs"]
mod users;
#[path = "wheelhouse/values.rs"]
mod values;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use log::LevelFilter;
use wheelhouse::runtime::{Report, Totals};
use wheelhouse::Error;

use crate::access_log::Format;
use crate::log_file::LogFile;
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
    let outputs = match Outputs::start(&options) {
        Ok(outputs) => outputs,
        Err(error) => return print((format!("wheelhouse: {error}"), ExitCode::FAILURE)),
    };
    match serve::serve(options, &outputs) {
        Ok(report) => {
            outputs.say(&in_words(&report));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let (message, code) = failure.in_words();
            outputs.messages.say(&message);
            code
        }
    }
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
    /// The file of the access log, if it has one.
    file: Option<LogFile>,
    /// Whether only errors are written.
    is_quiet: bool,
}

impl Outputs {
    /// Starts the outputs, with the logger and the messages of panics.
    fn start(options: &Options) -> io::Result<Outputs> {
        let messages = Output::start("standard error", Descriptor(io::stderr()), None)?;
        let file = match &options.log_file {
            Some(path) => Some(LogFile::open(path).map_err(|error| {
                let path = path.display();
                io::Error::new(error.kind(), format!("cannot open the log file {path}: {error}"))
            })?),
            None => None,
        };
        let access_log = match options.log {
            Some(format) => {
                let to: Box<dyn Write + Send> = match file.clone() {
                    Some(file) => Box::new(file),
                    None => Box::new(Descriptor(io::stdout())),
                };
                Some((format, Output::start("access log", to, Some(messages.clone()))?))
            }
            None => None,
        };
        write_panics_to(messages.clone());
        let level = if options.is_quiet { LevelFilter::Error } else { LevelFilter::Info };
        log_lines::start(level, messages.clone());
        Ok(Outputs { messages, access_log, file, is_quiet: options.is_quiet })
    }

    /// Writes a message that is not an error.
    fn say(&self, message: &str) {
        if !self.is_quiet {
            self.messages.say(message);
        }
    }
}

/// Replaces the usual hook, which writes to standard error itself, on the loop.
fn write_panics_to(messages: Output) {
    panic::set_hook(Box::new(move |panic| {
        let backtrace = Backtrace::capture();
        messages.say(&match backtrace.status() {
            BacktraceStatus::Captured => format!("wheelhouse: {panic}\n{backtrace}"),
            _ => format!("wheelhouse: {panic}"),
        });
    }));
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
            Error::Address { ref address } => {
                Failure::Arguments(format!("{error}{}", hints::for_address(address)))
            }
            Error::NothingInherited | Error::Limits(_) => Failure::Arguments(error.to_string()),
            error => Failure::System(error),
        }
    }
}

fn in_words(report: &Report) -> String {
    let Report { totals, drained, reset, .. } = report;
    let Totals { accepted, requests, refused, .. } = totals;
    format!(
        "wheelhouse: {accepted} connections, {requests} requests, {refused} refused; \
         at the shutdown {drained} finished, {reset} reset"
    )
}
