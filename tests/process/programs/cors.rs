//! `--cors`: pages of other sites may read the files.
#![cfg(feature = "cli")]

use crate::binary::{command, Dir, Running};

const APP: &str = "https://app.example";
const PREFLIGHT: &str = "Access-Control-Request-Method: GET\r\n";

/// The field `Access-Control-Allow-Origin` of a response.
fn allowed(response: &str) -> Option<&str> {
    response.lines().find_map(|line| line.strip_prefix("Access-Control-Allow-Origin: "))
}

#[test]
fn pages_of_the_named_origins_or_of_every_site_may_read_the_files() {
    let dir = Dir::new();
    let two: &[&str] = &["--cors", APP, "--cors=https://b.example"];
    let cases: [(&[&str], Option<&str>, Option<&str>); 5] = [
        (&[], None, None),
        (&["--cors"], Some("*"), Some("*")),
        (&["--cors", "*"], Some("*"), Some("*")),
        (&["--cors", APP], Some(APP), Some(APP)),
        (two, Some(APP), None),
    ];
    for (flags, of_app, of_other) in cases {
        let running = Running::in_dir(&dir.0, flags);
        for (origin, wanted) in [(APP, of_app), ("https://other.example", of_other)] {
            let response = running.get("/file.txt", &format!("Origin: {origin}\r\n"));
            assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("content"));
            assert_eq!(allowed(&response), wanted, "{flags:?} {origin}");
            assert_eq!(allowed(&running.get("/none", "")).is_some(), of_other.is_some());
        }
    }
}

#[test]
fn a_preflight_needs_no_password_and_a_page_can_read_that_one_is_missing() {
    let dir = Dir::new();
    let running = Running::in_dir(&dir.0, &["--cors", APP, "--basic-auth", "me:pass"]);
    let request = format!("OPTIONS /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: {APP}\r\n{PREFLIGHT}\r\n");
    let preflight = running.ask(&request);
    assert!(preflight.starts_with("HTTP/1.1 204"), "{preflight}");
    assert!(preflight.contains("Access-Control-Allow-Headers: *, Authorization\r\n"));
    assert!(preflight.contains("Access-Control-Allow-Methods: GET, HEAD\r\n"));
    let refused = running.get("/file.txt", &format!("Origin: {APP}\r\n"));
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert_eq!(allowed(&refused), Some(APP));
}

/// The next argument is the directory, and not an origin.
#[test]
fn an_origin_may_be_left_out_before_the_directory_and_in_the_environment() {
    let dir = Dir::new();
    let listen = ["--listen", "127.0.0.1:0"];
    let mut before = command();
    before.args(listen).arg("--cors").arg(&dir.0);
    let mut in_environment = command();
    in_environment.args(listen).arg(&dir.0).env("WHEELHOUSE_CORS", "1");
    for mut command in [before, in_environment] {
        let response = Running::start(&mut command).get("/file.txt", "");
        assert!(response.ends_with("content"), "{response}");
        assert_eq!(allowed(&response), Some("*"));
    }
}

#[test]
fn an_origin_that_no_browser_sends_is_an_error() {
    let dir = Dir::new();
    for origin in ["app.example", "null", "https://app.example/path", ""] {
        let output = command().arg(&dir.0).arg(format!("--cors={origin}")).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("expected an origin, such as https://app.example"), "{message}");
    }
}
