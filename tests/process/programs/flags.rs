//! Flags and variables of the binary that mean nothing, or something in another server: an error
//! with a suggestion.

use std::net::{TcpListener, TcpStream};

use crate::binary::{command, run, text, Dir, Running};

#[test]
fn a_value_that_means_nothing_is_an_error_that_says_what_was_expected() {
    let cases: [(&[&str], &str); 28] = [
        (&["--listen", "0.0.0.0"], "did you mean 0.0.0.0:8080?"),
        (&["--listen", "http://localhost:8080/"], "did you mean localhost:8080?"),
        (&["--type", ".txt=text/x"], "did you mean txt=text/x?"),
        (&["--type", "=x"], "EXTENSION=TYPE"),
        (&["--type", "txt="], "EXTENSION=TYPE"),
        (&["--type", "foo=notatype"], "EXTENSION=TYPE"),
        (&["--index", ""], "index.html"),
        (&["--index", "a/b"], "index.html"),
        (&["--index", ".."], "index.html"),
        (&["--header", ": x"], "is not a field name"),
        (&["--cache-control", ""], "--cache-control"),
        (&["--memory", "64iB"], "64K or 1M"),
        (&["--port", "65536"], "a port"),
        (&["-p", ":80"], "a port"),
        (&["--limit", "head_timout=5"], "did you mean head_timeout?"),
        (&["--limit", "head_timeout=soon"], "a time"),
        (&["--limit", "fields_max=999"], "fields_max"),
        (&["--socket-mode", "0660"], "--listen unix:PATH"),
        (&["--listen", "unix:/tmp/never", "--socket-mode", "0999"], "in octal"),
        (&["--socket-owner", "no-such-user"], "/etc/passwd"),
        (&["--trust-proxy", "10.0.0.0/64"], "a network"),
        (&["--trust-proxy", "::1", "--proxy-header", "X-Real-Ip"], "X-Forwarded-For or Forwarded"),
        (&["--proxy-header", "Forwarded"], "--trust-proxy"),
        (&["--access-log", "none", "--access-log-file", "/dev/null"], "not none"),
        (&["--auth-file", "/nonexistent"], "a file with users"),
        (&["--basic-auth", "a:b", "--basic-auth", "c:d"], "once"),
        (&["--error-page", "404"], "STATUS=FILE"),
        (&["--error-page", "404=nowhere.html"], "beneath the directory"),
    ];
    for (arguments, word) in cases {
        let output = run(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(word), "{arguments:?}: {message}");
        assert!(message.contains("--help") && !message.contains("panicked"), "{message}");
    }
}

#[test]
fn a_flag_of_another_server_gets_a_hint() {
    let cases: [(&[&str], &str); 12] = [
        (&["--bind", "0.0.0.0"], "--listen ADDR"),
        (&["-b", "0.0.0.0"], "--listen ADDR"),
        (&["--host", "0.0.0.0"], "--listen ADDR"),
        (&["-d", "public"], "wheelhouse DIR"),
        (&["--directory", "public"], "wheelhouse DIR"),
        (&["--root", "public"], "wheelhouse DIR"),
        (&["-c-1"], "--cache-control"),
        (&["-s"], "--spa FILE"),
        (&["--acces-log", "common"], "did you mean --access-log?"),
        (&["src", "8000"], "did you mean -p 8000?"),
        (&["8000"], "did you mean -p 8000?"),
        (&["localhost:8000"], "did you mean --listen localhost:8000?"),
    ];
    for (arguments, hint) in cases {
        let output = run(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(hint), "{arguments:?}: {message}");
    }
}

#[test]
fn a_variable_that_means_nothing_is_an_error_with_a_suggestion() {
    for (name, value, expected) in [
        ("WHEELHOUSE_CORE", "2", "did you mean WHEELHOUSE_CORES?"),
        ("WHEELHOUSE_LISTING", "0", "WHEELHOUSE_LISTING means nothing"),
        ("WHEELHOUSE_HELP", "1", "WHEELHOUSE_HELP means nothing"),
        ("WHEELHOUSE_LIMIT_HEAD_TIMOUT", "5", "did you mean head_timeout?"),
        ("WHEELHOUSE_QUIET", "yes", "expected 1 or 0"),
    ] {
        let output = command().env(name, value).output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn variables_that_are_empty_or_of_kubernetes_count_as_none() {
    let dir = Dir::new();
    let mut command = command();
    command.arg(&dir.0).env("WHEELHOUSE_LISTEN", "127.0.0.1:0");
    command.env("WHEELHOUSE_PORT", "tcp://10.0.0.1:80").env("WHEELHOUSE_SERVICE_HOST", "10.0.0.1");
    command.env("WHEELHOUSE_SPA", "").env("WHEELHOUSE_QUIET", "").env("WHEELHOUSE_DIR", "");
    let running = Running::start(&mut command);
    assert!(running.get("/file.txt", "").ends_with("content"));
}

#[test]
fn limits_can_be_set_by_flags_and_variables_and_a_flag_wins() {
    let output = command()
        .args(["--print-limits", "--limits", "small", "--limit", "head_timeout=1.5s"])
        .args(["--limit", "discard-bytes-max=8K", "--memory", "2M"])
        .env("WHEELHOUSE_LIMIT", "head_timeout=9,fields_max=50")
        .env("WHEELHOUSE_LIMIT_IDLE_TIMEOUT", "90s")
        .env("WHEELHOUSE_MEMORY", "9M")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let value = |name: &str| {
        let line = text(&output.stdout).lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim_start().split("  ").next().unwrap().to_owned()
    };
    assert_eq!(value("head_timeout "), "1.5 s");
    assert_eq!(value("discard_bytes_max "), "8 KiB");
    assert_eq!(value("fields_max "), "50");
    assert_eq!(value("idle_timeout "), "90 s");
    assert_eq!(value("memory_bytes_max "), "2 MiB");
}

#[test]
fn a_port_alone_is_one_of_this_machine_and_a_colon_before_it_means_every_address() {
    let dir = Dir::new();
    for (arguments, host) in [
        (["-p", "0"], "127.0.0.1:"),
        (["--port", "0"], "127.0.0.1:"),
        (["--listen", "0"], "127.0.0.1:"),
        (["--listen", ":0"], "[::]:"),
        (["--listen", "localhost:0"], "127.0.0.1:"),
    ] {
        let mut command = command();
        let running = Running::start(command.arg(&dir.0).args(arguments));
        let has_v6 = TcpListener::bind("[::1]:0").is_ok();
        let port = running.address.rsplit(':').next().unwrap().to_owned();
        if arguments[1] != "localhost:0" && (has_v6 || host != "[::]:") {
            assert!(running.address.starts_with(host), "{arguments:?}: {}", running.address);
        }
        assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_ok(), "{arguments:?}");
    }
}
