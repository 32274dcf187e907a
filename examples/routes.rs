//! Routes over shared state: a guest book with a form, JSON and a cookie. The loop owns the state
//! and lends it to one handler at a time, as `&mut`.
//!
//! ```text
//! cargo run --release --features json --example routes -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/hello/ann            # hello ann
//! curl -iLc '' -d 'author=ann&text=hi' http://127.0.0.1:8080/sign # 303, then you wrote note 0
//! curl -i --json '{"author":"bob","text":"ho"}' http://127.0.0.1:8080/notes       # 201 Created
//! curl http://127.0.0.1:8080/notes                # [{"author":"ann","text":"hi"},..]
//! curl -i http://127.0.0.1:8080/notes/1           # {"author":"bob","text":"ho"}
//! curl -i http://127.0.0.1:8080/notes/7           # 404 Not Found
//! ```

use wheelhouse::cookies::SetCookie;
use wheelhouse::{Error, Failure, Request, Response, Router, Server, StatusCode};

#[derive(Default)]
struct Book {
    notes: Vec<Note>,
}

#[derive(serde::Deserialize, serde::Serialize)]
struct Note {
    author: String,
    text: String,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let routes = Router::<Book>::new()
        .get("/hello/{name}", |_, req| format!("hello {}\n", req.param("name").unwrap_or_default()))
        .get("/{$}", |_, req| format!("you wrote note {}\n", req.cookie("last").unwrap_or("-")))
        .get("/notes", |book, _| Response::json(&book.notes))
        .get("/notes/{id}", note)
        .json("POST /notes", 4096, |book, _, note: Note| {
            book.notes.push(note);
            StatusCode::CREATED
        })
        .collect("POST /sign", 4096, sign)
        .build()?;
    Server::with_state(Book::default()).listen(&address)?.run(routes)?;
    Ok(())
}

fn note(book: &mut Book, req: &Request<'_>) -> Result<Response, Failure> {
    let id: usize = req.parse_param("id")?; // Text that is not a number is a 404.
    Ok(Response::json(book.notes.get(id).ok_or_else(Response::not_found)?))
}

fn sign(book: &mut Book, req: &Request<'_>, content: &[u8]) -> Result<Response, Failure> {
    let form = req.form(content)?; // Another type is a 415, and a malformed form a 400.
    let (Some(author), Some(text)) = (form.get("author"), form.get("text")) else {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "send author and text"));
    };
    let cookie = SetCookie::new("last", book.notes.len().to_string());
    book.notes.push(Note { author: author.into_owned(), text: text.into_owned() });
    Ok(Response::redirect(req, StatusCode::SEE_OTHER, "/").with_cookie(&cookie))
}
