//! Routes and state: a small guest book. The loop owns the state, handlers get it as `&mut`.
//!
//! ```text
//! cargo run --release --example routes -- 127.0.0.1:8080
//! curl -i http://127.0.0.1:8080/user/ann
//! curl -i -d 'name=ann&text=hello there' http://127.0.0.1:8080/notes
//! curl -i http://127.0.0.1:8080/notes
//! curl -i -X DELETE http://127.0.0.1:8080/notes           # 405, with Allow
//! curl -i http://127.0.0.1:8080/api/count                 # 401 without -u admin:secret
//! ```

use wheelhouse::cookies::SetCookie;
use wheelhouse::{Failure, Request, Response, Router, Server, StatusCode};

#[derive(Default)]
struct Book {
    notes: Vec<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<Book>::new()
        .get("/{$}", |_, req| Response::redirect(req, StatusCode::SEE_OTHER, "/notes"))
        .get("/user/{id}", |_, req| format!("user {}\n", req.param("id").unwrap_or_default()))
        .get("/notes", |book, req| {
            let last = req.cookie("last").unwrap_or("nobody");
            format!("{}\nYou wrote last as {last}.\n", book.notes.join("\n"))
        })
        .collect("POST /notes", 4096, sign)
        .nest("/api", |api| api.get("/count", count))
        .not_found(|_, req| Response::error(StatusCode::NOT_FOUND, format!("no {}", req.path())))
        .build()?;
    Server::with_state(Book::default()).listen(&address)?.run(routes)?;
    Ok(())
}

fn sign(book: &mut Book, req: &Request<'_>, content: &[u8]) -> Result<Response, Failure> {
    let form = req.form(content)?; // Another type is a 415, and a malformed form a 400.
    let (Some(name), Some(text)) = (form.get("name"), form.get("text")) else {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "send name and text"));
    };
    let cookie = SetCookie::new("last", &*name);
    if let Err(error) = cookie.encode() {
        let text = format!("choose another name: {error}");
        return Err(Failure::new(StatusCode::BAD_REQUEST, text));
    }
    book.notes.push(format!("{name}: {text}"));
    Ok(Response::redirect(req, StatusCode::SEE_OTHER, "/notes").with_cookie(&cookie))
}

fn count(book: &mut Book, req: &Request<'_>) -> Response {
    match req.basic_auth() {
        Some(auth) if auth.matches("admin", "secret") => {
            Response::text(format!("{}\n", book.notes.len()))
        }
        _ => Response::unauthorized_basic("guest book"),
    }
}
