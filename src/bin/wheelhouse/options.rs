//! The options of the binary: from flags, and from the environment where a flag is not given.
//!
//! One table has every flag. Parsing, `--help` and the names of the environment variables use it.

use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use wheelhouse::Limits;

use crate::access_log::Format;
use crate::basic_auth::Credentials;
use crate::cors;

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
    pub(crate) dir: PathBuf,
    pub(crate) listen: Vec<String>,
    /// The number of loops. 0 stands for one on each core.
    pub(crate) cores: usize,
    pub(crate) limits: Limits,
    /// Empty for the default.
    pub(crate) index: Vec<PathBuf>,
    pub(crate) lists: bool,
    pub(crate) spa: Option<PathBuf>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) cache_control: Option<String>,
    pub(crate) types: Vec<(String, String)>,
    pub(crate) dot_files: bool,
    pub(crate) precompressed: bool,
    pub(crate) auth: Option<Credentials>,
    /// Origins whose pages may read the files; `*` for all.
    pub(crate) cors: Vec<String>,
    pub(crate) log: Option<Format>,
}

/// One flag.
struct Flag {
    name: &'static str,
    /// The name of its value in the help. Empty if the flag has no value, and in brackets if it need
    /// not have one.
    value: &'static str,
    help: &'static str,
}

const FLAGS: &[Flag] = &[
    flag("listen", "ADDR", "HOST:PORT, unix:PATH or inherit; may be repeated [127.0.0.1:8080]"),
    flag("cores", "N", "number of loops, which share the limits; 0: one for each core [1]"),
    flag("index", "NAME", "index file of a directory; may be repeated [index.html]"),
    flag("no-listing", "", "send 404 for a directory without an index file"),
    flag("spa", "FILE", "send FILE for paths without a file (single-page application)"),
    flag("dot-files", "", "serve and list names that begin with a dot"),
    flag("no-precompressed", "", "do not look for NAME.br, NAME.zst and NAME.gz"),
    flag("type", "EXT=TYPE", "content type of an extension; may be repeated"),
    flag(
        "header",
        "'NAME: VALUE'",
        "field of every response to a well-formed request; may be repeated",
    ),
    flag(
        "cors",
        "[ORIGIN]",
        "let pages of ORIGIN, or of every site, read the files (CORS); may be repeated",
    ),
    flag("cache-control", "VALUE", "Cache-Control of every file"),
    flag(
        "basic-auth",
        "USER:PASSWORD",
        "required credentials; set them in the environment, since others can read flags",
    ),
    flag("access-log", "FORMAT", "log on standard output: common, combined, json or none [none]"),
    flag("limits", "PRESET", "open-internet, small or sidecar [open-internet]"),
    flag("max-connections", "N", "most connections at the same time [by descriptors]"),
    flag("memory", "BYTES", "most memory that clients can take, such as 64M or 1G [by --limits]"),
    flag("shutdown-timeout", "SECONDS", "time for a graceful shutdown [10]"),
    flag("print-limits", "", "print every limit with its reason, and exit"),
    flag("help", "", "print this text and exit (also -h)"),
    flag("version", "", "print the version and exit (also -V)"),
];

const fn flag(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, value, help }
}

impl Flag {
    fn variable(&self) -> String {
        format!("WHEELHOUSE_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// Flags that print and exit have no variable, because no program should do that at every
    /// start.
    fn has_variable(&self) -> bool {
        !matches!(self.name, "print-limits" | "help" | "version")
    }
}

/// Reads the command line and the environment of this process.
pub(crate) fn from_process() -> Result<Command, String> {
    let parser = lexopt::Parser::from_env();
    parse(parser, |name| env::var_os(name)).map_err(|error| error.to_string())
}

fn parse(
    mut parser: lexopt::Parser,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::*;
    let mut dir: Option<PathBuf> = None;
    let mut given: Vec<(&Flag, String)> = Vec::new();
    while let Some(argument) = parser.next()? {
        let name = match &argument {
            Short('h') => "help",
            Short('V') => "version",
            Long(name) => name,
            Value(path) if dir.is_none() => {
                dir = Some(path.into());
                continue;
            }
            _ => return Err(argument.unexpected()),
        };
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) else {
            return Err(argument.unexpected());
        };
        let value = match flag.value {
            "" => String::new(),
            "[ORIGIN]" => origin(&mut parser)?,
            _ => parser.value()?.string()?,
        };
        given.push((flag, value));
    }
    // Help comes before the environment is read, which may have an error.
    if given.iter().any(|(flag, _)| flag.name == "help") {
        return Ok(Command::Print(help()));
    }
    if given.iter().any(|(flag, _)| flag.name == "version") {
        return Ok(Command::Print(format!("wheelhouse {}\n", env!("CARGO_PKG_VERSION"))));
    }
    for flag in FLAGS.iter().filter(|flag| flag.has_variable()) {
        if given.iter().any(|(other, _)| other.name == flag.name) {
            continue;
        }
        let Some(value) = environment(&flag.variable()) else { continue };
        let not_utf8 = |_| format!("{} is not UTF-8: expected text", flag.variable());
        let value = value.into_string().map_err(not_utf8)?;
        given.extend(flag.values(&value)?.into_iter().map(|value| (flag, value)));
    }
    let dir = dir.or_else(|| environment("WHEELHOUSE_DIR").map(PathBuf::from));
    let options = Options::new(dir, &given)?;
    if given.iter().any(|(flag, _)| flag.name == "print-limits") {
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

impl Flag {
    /// Returns the values of the flag in the text of its environment variable. Commas separate the
    /// items of a list and line ends those of `header`. A flag without a value is set by `1` or
    /// `true`.
    fn values(&self, text: &str) -> Result<Vec<String>, String> {
        let separator = match self.name {
            "listen" | "index" | "type" => ',',
            "cors" if matches!(text, "1" | "true") => return Ok(vec!["*".to_owned()]),
            "cors" if matches!(text, "0" | "false") => return Ok(Vec::new()),
            "cors" => ',',
            "header" => '\n',
            _ if !self.value.is_empty() => return Ok(vec![text.to_owned()]),
            _ => {
                return match text {
                    "1" | "true" => Ok(vec![String::new()]),
                    "" | "0" | "false" => Ok(Vec::new()),
                    _ => Err(format!("{} {text:?}: expected 1 or 0", self.variable())),
                }
            }
        };
        let items = text.split(separator).map(str::trim).filter(|item| !item.is_empty());
        Ok(items.map(str::to_owned).collect())
    }
}

impl Options {
    fn new(dir: Option<PathBuf>, given: &[(&Flag, String)]) -> Result<Options, String> {
        let last = |name| {
            given.iter().rev().find(|(flag, _)| flag.name == name).map(|(_, value)| value.as_str())
        };
        let mut options = Options {
            dir: dir.unwrap_or_else(|| PathBuf::from(".")),
            listen: Vec::new(),
            cores: 1,
            limits: match last("limits") {
                Some(name) => Limits::preset(name).ok_or_else(|| {
                    format!("--limits {name:?}: expected open-internet, small or sidecar")
                })?,
                None => Limits::default(),
            },
            index: Vec::new(),
            lists: true,
            spa: None,
            headers: Vec::new(),
            cache_control: None,
            types: Vec::new(),
            dot_files: false,
            precompressed: true,
            auth: None,
            cors: Vec::new(),
            log: None,
        };
        for (flag, value) in given {
            options.apply(flag.name, value).map_err(|expected| match flag.name {
                // The value is a secret, which no message may repeat.
                "basic-auth" => format!("--basic-auth: expected {expected}"),
                name => format!("--{name} {value:?}: expected {expected}"),
            })?;
        }
        if options.listen.is_empty() {
            options.listen.push("127.0.0.1:8080".to_owned());
        }
        Ok(options)
    }

    /// Applies a flag. An error is the expected form of its value.
    fn apply(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "listen" => self.listen.push(value.to_owned()),
            "cores" => self.cores = value.parse().map_err(|_| "a number")?,
            "index" => self.index.push(value.into()),
            "no-listing" => self.lists = false,
            "spa" => self.spa = Some(value.into()),
            "dot-files" => self.dot_files = true,
            "no-precompressed" => self.precompressed = false,
            "type" => self.types.push(pair(value, '=').ok_or("EXTENSION=TYPE")?),
            "header" => self.headers.push(pair(value, ':').ok_or("'NAME: VALUE'")?),
            "cache-control" => self.cache_control = Some(value.to_owned()),
            "basic-auth" => {
                self.auth = Some(Credentials::new(value).ok_or("USER:PASSWORD")?);
            }
            "cors" => {
                self.cors.push(value.to_owned());
                cors::guard(&self.cors)?;
            }
            "access-log" => {
                self.log = match value {
                    "none" => None,
                    value => Some(Format::called(value).ok_or("common, combined, json or none")?),
                }
            }
            "max-connections" => {
                let n: usize = value.parse().map_err(|_| "a number")?;
                self.limits.connections_max = n;
            }
            "memory" => {
                self.limits.memory_bytes_max =
                    bytes(value).ok_or("a number of bytes, such as 65536, 64M or 1G")?;
            }
            "shutdown-timeout" => {
                let seconds = value.parse().map_err(|_| "a number of seconds")?;
                self.limits.shutdown_timeout =
                    Duration::try_from_secs_f64(seconds).map_err(|_| "a number of seconds")?;
            }
            // `limits` comes first of all, and the others print and exit.
            _ => {}
        }
        Ok(())
    }
}

fn pair(text: &str, separator: char) -> Option<(String, String)> {
    let (name, value) = text.split_once(separator)?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// Parses a number of bytes: `65536`, `64K`, `64M`, `1G`, also with the ending `iB`.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib") {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

fn help() -> String {
    let mut text = format!(
        "wheelhouse {}: serves a directory over HTTP/1.1 with one event loop, or several\n\n\
         usage: wheelhouse [DIR] [FLAGS]\n\n  {:<30} the directory to serve [the current one]\n",
        env!("CARGO_PKG_VERSION"),
        "DIR"
    );
    for flag in FLAGS {
        let left = format!("--{} {}", flag.name, flag.value);
        let _ = writeln!(text, "  {left:<30} {}", flag.help);
    }
    text.push_str(
        "\nThe environment can set DIR and every flag but the last three: WHEELHOUSE_DIR=DIR, \
         WHEELHOUSE_NO_LISTING=1,\nWHEELHOUSE_LISTEN=A,B for --listen A --listen B. A flag takes \
         precedence. RUST_LOG sets the level of the log on\nstandard error [info]. SIGINT and \
         SIGTERM shut the server down gracefully; a second signal stops it at once. If the\nserver \
         hangs, the second or third signal ends the process, with status 130 or 143. Lines of the \
         log that cannot be\nwritten are dropped and counted on standard error; the server does not \
         wait for their reader.\n",
    );
    text
}
