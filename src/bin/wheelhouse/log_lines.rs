//! The lines of the log on standard error: time, level, part of the program, text. The text of a
//! line about a connection has its number, the address of its client and the number of the request.

use std::io::Write;
use std::panic;
use std::time::SystemTime;

use log::{LevelFilter, Record};

use crate::clock;
use crate::output::Output;

/// Starts the log. Its levels are those of `RUST_LOG`, or else `default`.
pub(crate) fn start(default: LevelFilter, output: Output) {
    let target = env_logger::Target::Pipe(Box::new(output));
    let format = |to: &mut env_logger::fmt::Formatter, record: &Record<'_>| {
        let (time, level) = (clock::rfc3339(SystemTime::now()), record.level());
        writeln!(to, "{time} {level:<5} {}: {}", record.target(), record.args())
    };
    logger(default).format(format).target(target).init();
}

/// Creates a logger with the levels of `RUST_LOG`. If that is malformed, the logger prints a warning
/// to standard error at once, and panics if it cannot; then the default applies.
fn logger(default: LevelFilter) -> env_logger::Builder {
    let env = env_logger::Env::default().default_filter_or(default.as_str());
    panic::catch_unwind(|| env_logger::Builder::from_env(env)).unwrap_or_else(|_| {
        let mut logger = env_logger::Builder::new();
        logger.filter_level(default);
        logger
    })
}
