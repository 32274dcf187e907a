//! The examples that are whole services: a dashboard, a front, a portal, a receiver of webhooks. Notes
//! in SQLite have a package of their own, with a test in it.

use std::fs;
use std::io::Read;
use std::time::SystemTime;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};

use crate::examples::{only_file, until, Example, Response, Scratch};

/// A request that asks to close.
fn request(line: &str, fields: &str, content: &str) -> String {
    let len = content.len();
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}");
    format!("{head}Content-Length: {len}\r\n\r\n{content}")
}

#[test]
fn dashboard_sends_its_numbers_each_second() {
    let dashboard = Example::start("dashboard", &[]);
    let page = dashboard.ask(&request("GET /", "", ""));
    assert!(page.content.ends_with(b"</html>\n"));
    let text = dashboard.read_until("GET /numbers HTTP/1.1\r\nHost: a\r\n\r\n", "\"load\": ");
    assert!(text.contains("data: {\"requests\": "), "{text}");
    let refused = "GET / HTTP/1.1\r\n\r\n";
    assert_eq!(dashboard.ask(refused).status, "HTTP/1.1 400 Bad Request");
    let resumed = "GET /numbers HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 0\r\n\r\n";
    dashboard.read_until(resumed, "\"refused\": 1,");
}

const TOKEN: &str = "Authorization: Bearer 4711\r\n";

#[test]
fn front_forwards_requests_with_its_token_and_content_of_any_length() {
    let service = Example::start("probe", &[]);
    let front = Example::start("front", &[&service.address, "4711"]);
    let ask = |line: &str, content: &str| front.ask(&request(line, TOKEN, content));
    let refused = front.ask(&request("GET /", "", ""));
    assert_eq!(refused.status, "HTTP/1.1 401 Unauthorized");
    assert_eq!(ask("GET /", "").content, b"Hello, World!");
    let echo = ask("POST /echo", "again");
    assert_eq!((echo.field("Content-Length"), &echo.content[..]), (Some("5"), &b"again"[..]));
    let big = ask("GET /big", "");
    assert_eq!((big.field("Content-Length"), big.content.len()), (Some("8388608"), 8 << 20));
    let direct = service.ask(&request("GET /stream", "", ""));
    let stream = ask("GET /stream", "");
    assert_eq!(stream.field("Transfer-Encoding"), Some("chunked"));
    assert_eq!(without_chunks(&stream), without_chunks(&direct));
    let wrong = ask("DELETE /echo", "");
    assert_eq!(wrong.status, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(wrong.field("allow"), Some("POST, PUT"));
    assert_eq!(ask("GET /204", "").status, "HTTP/1.1 204 No Content");
    assert_eq!(ask("HEAD /", "").content, b"");
    drop(service);
    assert_eq!(ask("GET /", "").status, "HTTP/1.1 502 Bad Gateway");
}

#[test]
fn front_limits_the_requests_of_a_client() {
    let front = Example::start("front", &["127.0.0.1:1", "4711"]);
    let mut stream = front.send(request("GET /", "", "").replace("close", "keep").as_bytes());
    let get = request("GET /", "", "").replace("close", "keep");
    let last = request("GET /", "", "");
    std::io::Write::write_all(&mut stream, (get.repeat(99) + &last).as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 401 ").count(), 100);
    assert_eq!(text.matches("HTTP/1.1 429 ").count(), 1);
}

/// The content of a response in chunks, whose lines are those of `/stream`.
fn without_chunks(response: &Response) -> Vec<u8> {
    let mut rest = &response.content[..];
    let mut content = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if len == 0 {
            return content;
        }
        content.extend_from_slice(&rest[end + 2..end + 2 + len]);
        rest = &rest[end + len + 4..];
    }
}

#[test]
fn portal_has_a_password_a_form_files_and_takes_a_firmware() {
    let folder = Scratch::new("portal");
    let portal = Example::start("portal", &["secret", folder.0.to_str().unwrap()]);
    // `admin:secret`.
    let known = "Authorization: Basic YWRtaW46c2VjcmV0\r\n";
    let ask = |line: &str, fields: &str, content: &str| {
        portal.ask(&request(line, &format!("{known}{fields}"), content))
    };
    for path in ["/", "/assets/portal.js", "/firmware"] {
        let refused = portal.ask(&request(&format!("GET {path}"), "", ""));
        assert_eq!(refused.status, "HTTP/1.1 401 Unauthorized", "{path}");
    }
    assert_eq!(ask("GET /assets/portal.js", "", "").status, "HTTP/1.1 200 OK");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let foreign = format!("{form}Origin: https://evil.example\r\n");
    assert_eq!(ask("POST /name", &foreign, "name=x").status, "HTTP/1.1 403 Forbidden");
    assert_eq!(ask("POST /name", form, "name=%22%3E%3Cb%3E").field("Location"), Some("/"));
    let page = String::from_utf8(ask("GET /", "", "").content).unwrap();
    assert!(page.contains("<h1>&quot;&gt;&lt;b&gt;</h1>"), "{page}");
    let unfinished = portal.send(
        format!("PUT /firmware HTTP/1.1\r\nHost: a\r\n{known}Content-Length: 9\r\n\r\nhalf")
            .as_bytes(),
    );
    let files = || fs::read_dir(&folder.0).unwrap().count();
    until("a part is there", || files() == 1);
    drop(unfinished);
    until("the part is removed", || files() == 0);
    assert_eq!(ask("PUT /firmware", "", "version 2").content, b"installed\n");
    assert_eq!(ask("PUT /firmware", "", "version 3").content, b"installed\n");
    assert_eq!(fs::read(only_file(&folder)).unwrap(), b"version 3");
}

/// The signature of a message, and the example of the specification.
fn signature(secret: &str, id: &str, time: u64, content: &str) -> String {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&BASE64.decode(secret.as_bytes()).unwrap());
    let mac = mac.unwrap().chain_update(format!("{id}.{time}.{content}"));
    format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

#[test]
fn webhook_takes_signed_messages_once_and_no_others() {
    let example = signature(
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
    );
    assert_eq!(example, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let folder = Scratch::new("webhook");
    let secret = ("WEBHOOK_SECRET", "whsec_SmVmZQ==");
    let hooks = Example::start_with("webhook", &[folder.0.to_str().unwrap()], &[secret]);
    let ask = |id: &str, time: u64, signature: &str, content: &str| {
        let fields = format!(
            "webhook-id: {id}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: {signature}\r\n"
        );
        hooks.ask(&request("POST /hook", &fields, content)).status
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let signed = |id, time, content| signature("SmVmZQ==", id, time, content);
    let (refused, taken) = ("HTTP/1.1 401 Unauthorized", "HTTP/1.1 202 Accepted");
    assert_eq!(ask("a", now, &signed("a", now, "paid"), "unpaid"), refused);
    assert_eq!(ask("b", now, &signed("a", now, "paid"), "paid"), refused);
    assert_eq!(ask("a", now + 1, &signed("a", now, "paid"), "paid"), refused);
    assert_eq!(ask("a", now - 600, &signed("a", now - 600, "paid"), "paid"), refused);
    assert_eq!(ask("a", now, "v1,", "paid"), refused);
    assert_eq!(ask("a", now, "v2,AAAA", "paid"), refused);
    assert_eq!(hooks.ask(&request("POST /hook", "", "paid")).status, refused);
    // While keys are changed, there are two signatures.
    let two = format!("v1,AAAA {}", signed("a", now, "paid"));
    assert_eq!(ask("a", now, &two, "paid"), taken);
    assert_eq!(ask("a", now, &two, "paid"), taken, "a repetition");
    let files = || fs::read_dir(&folder.0).unwrap().count();
    until("the message is stored", || {
        files() > 0 && fs::read(only_file(&folder)).unwrap() == b"paid"
    });
    assert_eq!(ask("b", now, &signed("b", now, "more"), "more"), taken);
    until("the next message is stored", || files() == 2);
}
