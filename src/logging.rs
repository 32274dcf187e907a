//! Lines in the log of the program.
//!
//! A logger is code of the program, and it may panic like any other. A line is written in the middle
//! of a visit or of a destructor, where a panic would end the loop or the process. So the library
//! writes all its lines with the macros of this file. If the logger panics, only the line is lost.

use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};

use log::{Level, Record};

/// The place of a line in the source: its module, file and number.
pub(crate) type Place = (&'static str, &'static str, u32);

/// Writes a line at a level, as `log::log!` does. Its arguments are evaluated only if the level is
/// on.
macro_rules! at_level {
    ($level:ident, $($text:tt)+) => {{
        let level = log::Level::$level;
        if level <= log::STATIC_MAX_LEVEL && level <= log::max_level() {
            let place = (module_path!(), file!(), line!());
            $crate::logging::write(level, place, format_args!($($text)+));
        }
    }};
}

/// Writes a line about a fault of the program.
macro_rules! error {
    ($($text:tt)+) => { $crate::logging::at_level!(Error, $($text)+) };
}

/// Writes a line about a fault of the system that the server survives.
macro_rules! warning {
    ($($text:tt)+) => { $crate::logging::at_level!(Warn, $($text)+) };
}

/// Writes a line that an operator expects.
macro_rules! info {
    ($($text:tt)+) => { $crate::logging::at_level!(Info, $($text)+) };
}

/// Writes a line about a fault of one client.
macro_rules! debug {
    ($($text:tt)+) => { $crate::logging::at_level!(Debug, $($text)+) };
}

pub(crate) use {at_level, debug, error, info, warning as warn};

/// Gives a line to the logger. If the logger panics, the panic hook has run, and the line is lost.
#[cold]
#[inline(never)]
pub(crate) fn write(level: Level, (module, file, line): Place, text: fmt::Arguments<'_>) {
    let log = || {
        let mut record = Record::builder();
        record.level(level).target(module).args(text);
        record.module_path_static(Some(module)).file_static(Some(file)).line(Some(line));
        log::logger().log(&record.build());
    };
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(log)) {
        forget(payload);
    }
}

/// Drops the payload of a panic, which is a value of the program. If that panics, the payload of the
/// second panic is leaked.
pub(crate) fn forget<T>(payload: T) {
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
}
