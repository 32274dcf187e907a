//! The table of all flags. Parsing, `--help` and the names of the environment variables use it.

use std::fmt::Write;

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    /// The name of its value in the help. Empty if the flag has no value, and in brackets if it need
    /// not have one.
    pub(crate) value: &'static str,
    help: &'static str,
}

const fn flag(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, value, help }
}

/// The flags that can be written with one letter.
const SHORT: [(char, &str); 4] = [('p', "port"), ('q', "quiet"), ('h', "help"), ('V', "version")];

/// All flags, in the groups of the help.
const GROUPS: &[(&str, &[Flag])] = &[
    (
        "Where to listen",
        &[
            flag("listen", "ADDR", "HOST:PORT, unix:PATH or another form below; may be repeated"),
            flag("port", "PORT", "short for --listen 127.0.0.1:PORT"),
            flag("socket-mode", "MODE", "permissions of the file of unix:PATH, such as 0660"),
            flag("socket-owner", "USER[:GROUP]", "owner of the file of unix:PATH; also :GROUP"),
            flag("cores", "N", "number of loops, which share the limits; 0: one for each core [1]"),
        ],
    ),
    (
        "Files",
        &[
            flag("index", "NAME", "index file of a directory; may be repeated [index.html]"),
            flag("no-listing", "", "send 404 for a directory without an index file"),
            flag(
                "clean-urls",
                "",
                "send about.html for /about, and redirect /about.html to /about",
            ),
            flag(
                "error-page",
                "STATUS=FILE",
                "page for an error, such as 404=404.html; may be repeated",
            ),
            flag("spa", "FILE", "send FILE for paths without a file (single-page application)"),
            flag("dot-files", "", "serve and list names that begin with a dot"),
            flag(
                "follow-links",
                "",
                "follow symbolic links out of DIR: whoever can make a link there\n\
              can publish every file that this process can read",
            ),
            flag("no-precompressed", "", "do not look for NAME.br, NAME.zst and NAME.gz"),
            flag(
                "type",
                "EXT=TYPE",
                "content type of an extension, such as md=text/plain; may be repeated",
            ),
            flag(
                "header",
                "'NAME: VALUE'",
                "field of every response to a well-formed request; may be repeated",
            ),
            flag("cache-control", "VALUE", "Cache-Control of every file"),
        ],
    ),
    (
        "Users and clients",
        &[
            flag(
                "cors",
                "[ORIGIN]",
                "let pages of ORIGIN, or of every site, read the files; may be\n\
              repeated",
            ),
            flag(
                "basic-auth",
                "USER:PASSWORD",
                "required credentials; set them in the environment, since others\n\
              can read flags",
            ),
            flag("auth-file", "FILE", "users and hashed passwords, as `htpasswd -B` writes them"),
            flag(
                "trust-proxy",
                "NETWORK",
                "proxies whose report about their clients goes into the access log:\n\
                 10.0.0.0/8, ::1 or unix; may be repeated",
            ),
            flag(
                "proxy-header",
                "NAME",
                "field of this report: X-Forwarded-For or Forwarded\n\
                 [X-Forwarded-For]",
            ),
        ],
    ),
    (
        "Log",
        &[
            flag(
                "access-log",
                "FORMAT",
                "common, combined, json or none [none; with a file, combined]",
            ),
            flag("access-log-file", "FILE", "append the access log to FILE [standard output]"),
            flag("quiet", "", "write nothing but errors to standard error"),
        ],
    ),
    (
        "Limits",
        &[
            flag("limits", "PRESET", "open-internet, small or sidecar [open-internet]"),
            flag("limit", "NAME=VALUE", "one limit, such as head_timeout=5s; may be repeated"),
            flag("max-connections", "N", "short for --limit connections_max=N [by descriptors]"),
            flag("memory", "BYTES", "short for --limit memory_bytes_max=BYTES, such as 64M or 1G"),
            flag("shutdown-timeout", "TIME", "short for --limit shutdown_timeout=TIME [10s]"),
            flag("print-limits", "", "print every limit with its value and its reason, and exit"),
        ],
    ),
    (
        "Help",
        &[
            flag("help", "", "print this text and exit"),
            flag("version", "", "print the version and exit"),
        ],
    ),
];

const AFTER: &str = "
Addresses of --listen
  HOST:PORT     all addresses of a host, on one port; [::1]:PORT for an address of IPv6
  PORT          127.0.0.1:PORT, for this machine only [8080]
  :PORT         every address of the machine, for other machines, too
  unix:PATH     a Unix socket; unix:@NAME is an abstract one, without a file
  inherit       the sockets that a service manager hands over (LISTEN_FDS)

Environment
  A variable can set DIR and every flag but the last three: WHEELHOUSE_DIR=DIR, WHEELHOUSE_QUIET=1,
  WHEELHOUSE_LISTEN=A,B for --listen A --listen B, WHEELHOUSE_LIMIT_HEAD_TIMEOUT=5s for one limit. A
  flag takes precedence, and an empty variable counts as none. RUST_LOG sets the level of the log on
  standard error [info].

Signals
  SIGINT, SIGTERM  shut down gracefully; the second one stops at once; if the server hangs, it ends
                   the process after 3 s, and a third one at once, with status 130 or 143
  SIGHUP           open the access log file anew, read the users anew, and go on

Example: the directory `site` with clean URLs, a page for 404 and an access log
  wheelhouse site -p 8000 --clean-urls --error-page 404=404.html --access-log common
";

/// All flags.
pub(crate) fn all() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|(_, flags)| *flags)
}

/// Returns the flag with this name.
pub(crate) fn named(name: &str) -> Option<&'static Flag> {
    all().find(|flag| flag.name == name)
}

/// Returns the flag with this letter.
pub(crate) fn short(letter: char) -> Option<&'static Flag> {
    let found = SHORT.iter().find(|(short, _)| *short == letter);
    found.and_then(|(_, name)| named(name))
}

impl Flag {
    pub(crate) fn variable(&self) -> String {
        format!("WHEELHOUSE_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// Flags that print and exit have no variable, because no program should do that at every
    /// start.
    pub(crate) fn has_variable(&self) -> bool {
        !matches!(self.name, "print-limits" | "help" | "version")
    }

    /// Returns the values of the flag in the text of its environment variable. Commas separate the
    /// items of a list and line ends those of `header`. A flag without a value is set by `1` or
    /// `true`.
    pub(crate) fn values(&self, text: &str) -> Result<Vec<String>, String> {
        let separator = match self.name {
            "listen" | "index" | "type" | "error-page" | "trust-proxy" | "limit" => ',',
            "cors" if matches!(text, "1" | "true") => return Ok(vec!["*".to_owned()]),
            "cors" if matches!(text, "0" | "false") => return Ok(Vec::new()),
            "cors" => ',',
            "header" => '\n',
            _ if text.is_empty() => return Ok(Vec::new()),
            _ if !self.value.is_empty() => return Ok(vec![text.to_owned()]),
            _ => {
                return match text {
                    "1" | "true" => Ok(vec![String::new()]),
                    "0" | "false" => Ok(Vec::new()),
                    _ => Err(format!("{} {text:?}: expected 1 or 0", self.variable())),
                }
            }
        };
        let items = text.split(separator).map(str::trim).filter(|item| !item.is_empty());
        Ok(items.map(str::to_owned).collect())
    }

    /// Appends the line of the flag in the help.
    fn describe(&self, text: &mut String) {
        let letter = SHORT.iter().find(|(_, name)| *name == self.name);
        let letter = letter.map_or("  ".to_owned(), |(letter, _)| format!("-{letter}"));
        let left = format!("{letter} --{} {}", self.name, self.value);
        for (n, line) in self.help.lines().enumerate() {
            let left = if n == 0 { left.as_str() } else { "" };
            let _ = writeln!(text, "  {left:<31} {line}");
        }
    }
}

pub(crate) fn help() -> String {
    let mut text = format!(
        "wheelhouse {}: serves a directory over HTTP/1.1 with one event loop, or several\n\n\
         usage: wheelhouse [DIR] [FLAGS]\n\n  {:<31} the directory, or the one file, to serve \
         [the current directory]\n",
        env!("CARGO_PKG_VERSION"),
        "DIR"
    );
    for (title, flags) in GROUPS {
        let _ = writeln!(text, "\n{title}");
        for flag in *flags {
            flag.describe(&mut text);
        }
    }
    text.push_str(AFTER);
    text
}
