//! Hints for arguments and variables that mean nothing here: the nearest name, and the flags of
//! other servers.

use std::path::Path;

use lexopt::Arg;

use crate::flags;
use crate::values;

/// Flags that other servers have, with the way to do the same here. A letter is short for several
/// things; its hint is for the most common of them.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (
        &["b", "a", "i", "l", "bind", "host", "hostname", "address", "addr", "interfaces", "H"],
        "--listen ADDR sets the address, such as --listen 0.0.0.0:8080",
    ),
    (
        &["d", "r", "w", "directory", "dir", "root", "document-root", "path", "folder", "public"],
        "the directory is an argument: wheelhouse DIR",
    ),
    (&["s", "single", "single-page", "try-files", "fallback"], "--spa FILE does this"),
    (&["c", "cache", "max-age", "expires"], "--cache-control VALUE does this"),
    (&["auth", "username", "password", "user"], "--basic-auth or --auth-file does this"),
    (&["silent", "no-log", "no-request-logging"], "--quiet does this"),
    (&["log", "logger", "log-format", "access-logs"], "--access-log FORMAT does this"),
    (&["v", "verbose", "debug", "log-level"], "the variable does this: RUST_LOG=debug"),
    (&["browse", "B", "autoindex", "list", "directory-listing"], "listings are on by default"),
    (&["gzip", "brotli", "compress", "precompressed"], "NAME.gz and NAME.br are sent by default"),
    (&["g", "hidden", "dotfiles", "show-hidden"], "--dot-files does this"),
    (&["S", "symlinks", "follow-symlinks", "L"], "--follow-links does this"),
    (&["e", "ext", "default-ext", "cleanurls", "pretty-urls"], "--clean-urls does this"),
    (&["page404", "404", "error-pages"], "--error-page 404=FILE does this"),
    (&["t", "threads", "workers", "j"], "--cores N does this"),
    (&["maxconn", "max-conns", "connections"], "--max-connections N does this"),
    (&["timeout", "keepalive", "keep-alive"], "--limit idle_timeout=TIME does this"),
    (&["unix", "socket"], "--listen unix:PATH does this"),
    (&["real-ip", "x-forwarded-for", "use-forwarded-headers"], "--trust-proxy NETWORK does this"),
    (&["mime", "mimetypes", "m"], "--type EXT=TYPE does this"),
    (
        &["tls", "ssl", "https", "cert", "key", "tls-cert", "tls-key", "ssl-cert", "C", "K"],
        "there is no TLS here: put a proxy in front that terminates it",
    ),
    (
        &["D", "daemon", "background", "pidfile", "chroot", "uid", "gid"],
        "a service manager does this, such as systemd",
    ),
    (&["o", "open", "qrcode", "n"], "open the address that is printed at the start"),
    (&["u", "upload", "upload-files", "mkdir"], "files cannot be changed here"),
];

/// Describes an argument that is not understood.
pub(crate) fn unexpected(argument: &Arg<'_>) -> String {
    let (shown, name) = match argument {
        Arg::Short(letter) => (format!("-{letter}"), letter.to_string()),
        Arg::Long(name) => (format!("--{name}"), (*name).to_owned()),
        Arg::Value(value) => return second(&value.to_string_lossy()),
    };
    let elsewhere = ELSEWHERE.iter().find(|(names, _)| names.contains(&name.as_str()));
    let hint = match elsewhere {
        Some((_, hint)) => format!(": {hint}"),
        None => did_you_mean(&shown, flags::all().map(|flag| format!("--{}", flag.name))),
    };
    format!("unknown flag {shown}{hint}")
}

/// Describes an argument after the directory.
fn second(value: &str) -> String {
    match values::port(value) {
        Some(port) => format!("unexpected argument {value:?}: did you mean -p {port}?"),
        None => format!("unexpected argument {value:?}: expected one directory or one file"),
    }
}

/// Returns a hint for a directory that does not exist, if it looks like a port or an address.
pub(crate) fn for_missing(dir: &Path) -> String {
    let name = dir.to_string_lossy();
    let has_port = name.rsplit_once(':').is_some_and(|(_, port)| values::port(port).is_some());
    match values::port(&name) {
        Some(port) => format!("; did you mean -p {port}?"),
        None if has_port || name.starts_with("unix:") => {
            format!("; did you mean --listen {name}?")
        }
        None => String::new(),
    }
}

/// Returns a hint for an address to listen on that is not understood: a URL, or a host without its
/// port.
pub(crate) fn for_address(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let end = host.rsplit_once(']').map_or(host, |(_, end)| end);
    let has_port = end.rsplit_once(':').is_some_and(|(_, port)| values::port(port).is_some());
    match has_port {
        true if host == address => String::new(),
        true => format!("; did you mean {host}?"),
        false if host.is_empty() || end.contains(':') => String::new(),
        false => format!("; did you mean {host}:8080?"),
    }
}

/// Describes a variable of the environment that means nothing. `is_known` knows the others.
pub(crate) fn variable(name: &str) -> String {
    let known = flags::all().filter(|flag| flag.has_variable()).map(flags::Flag::variable);
    let meant = did_you_mean(name, known.chain(["WHEELHOUSE_DIR".to_owned()]));
    format!("the variable {name} means nothing{meant}")
}

/// Whether an orchestrator has set a variable for a service that happens to be called `wheelhouse`:
/// Kubernetes sets `WHEELHOUSE_PORT=tcp://10.0.0.1:80`, `WHEELHOUSE_SERVICE_HOST` and others in
/// every container beside it.
pub(crate) fn is_of_orchestrator(name: &str, value: &str) -> bool {
    let is_link = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let is_port = |part: &str| {
        part.split_once("_PORT_").is_some_and(|(_, rest)| {
            rest.split('_').next().is_some_and(|port| values::port(port).is_some())
        })
    };
    is_link
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || is_port(name)
}

/// Returns the question after a name that is not known, with the most similar of `known`. Empty if
/// none is similar.
pub(crate) fn did_you_mean(name: &str, known: impl Iterator<Item = impl AsRef<str>>) -> String {
    let with_distance = known.map(|known| (strsim::osa_distance(name, known.as_ref()), known));
    let nearest = with_distance.min_by_key(|(distance, _)| *distance);
    let nearest = nearest.filter(|(distance, known)| *distance <= 2.max(known.as_ref().len() / 4));
    nearest.map_or_else(String::new, |(_, known)| format!(": did you mean {}?", known.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_of_another_server_or_a_misspelt_one_gets_a_hint() {
        for (argument, hint) in [
            (Arg::Long("bind"), "--listen ADDR"),
            (Arg::Short('b'), "--listen ADDR"),
            (Arg::Long("directory"), "wheelhouse DIR"),
            (Arg::Short('d'), "wheelhouse DIR"),
            (Arg::Long("root"), "wheelhouse DIR"),
            (Arg::Short('c'), "--cache-control"),
            (Arg::Long("host"), "--listen ADDR"),
            (Arg::Long("single"), "--spa FILE"),
            (Arg::Long("cert"), "proxy in front"),
            (Arg::Long("acces-log"), "did you mean --access-log?"),
            (Arg::Long("chache-control"), "did you mean --cache-control?"),
            (Arg::Value("8000".into()), "did you mean -p 8000?"),
            (Arg::Value("b".into()), "one directory"),
        ] {
            let message = unexpected(&argument);
            assert!(message.contains(hint), "{argument:?}: {message}");
        }
        assert_eq!(unexpected(&Arg::Long("nonsense")), "unknown flag --nonsense");
    }

    #[test]
    fn no_flag_of_this_server_has_a_hint_that_is_meant_for_others() {
        for (names, _) in ELSEWHERE {
            for name in *names {
                assert!(flags::named(name).is_none(), "{name}");
                let mut letters = name.chars();
                if let (Some(letter), None) = (letters.next(), letters.next()) {
                    assert!(flags::short(letter).is_none(), "{name}");
                }
            }
        }
    }

    #[test]
    fn an_address_that_is_a_url_or_has_no_port_gets_a_hint() {
        for (address, hint) in [
            ("http://localhost:8080/", "; did you mean localhost:8080?"),
            ("http://localhost", "; did you mean localhost:8080?"),
            ("0.0.0.0", "; did you mean 0.0.0.0:8080?"),
            ("[::1]", "; did you mean [::1]:8080?"),
            ("no-such-host:80", ""),
            ("unix:", ""),
            ("", ""),
        ] {
            assert_eq!(for_address(address), hint, "{address}");
        }
    }

    #[test]
    fn variables_that_kubernetes_sets_for_a_service_are_not_for_this_program() {
        for (name, value) in [
            ("WHEELHOUSE_PORT", "tcp://10.0.0.1:80"),
            ("WHEELHOUSE_SERVICE_HOST", "10.0.0.1"),
            ("WHEELHOUSE_SERVICE_PORT", "80"),
            ("WHEELHOUSE_SERVICE_PORT_HTTP", "80"),
            ("WHEELHOUSE_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("WHEELHOUSE_PORT_80_TCP_PORT", "80"),
            ("WHEELHOUSE_STAGING_PORT_80_TCP_ADDR", "10.0.0.1"),
        ] {
            assert!(is_of_orchestrator(name, value), "{name}");
        }
        assert!(!is_of_orchestrator("WHEELHOUSE_PORT", "80"));
        assert!(!is_of_orchestrator("WHEELHOUSE_CORE", "2"));
    }
}
