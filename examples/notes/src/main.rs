//! Notes in SQLite: the threads of a pool call the database, so the loop never waits for it.
//!
//! ```text
//! cargo run --release --manifest-path examples/notes/Cargo.toml -- 127.0.0.1:8080 notes.db
//! curl http://127.0.0.1:8080/notes -d 'buy milk'      # 1
//! curl 'http://127.0.0.1:8080/notes?find=milk'        # [[1,"buy milk"]]
//! curl -i -X DELETE http://127.0.0.1:8080/notes/1     # 204, and then 404
//! ```

use rusqlite::{Connection, Result};
use wheelhouse::{Error, Failure, Pool, Reply, Request, Response, Router, Server, StatusCode};

/// The state: each thread of the pool has a connection.
type Notes = Pool<Connection>;

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let path = std::env::args().nth(2).unwrap_or_else(|| "notes.db".to_owned());
    let database = open(&path).expect("a file that is a database, or a new one");
    let notes = Pool::with_values("notes", [database], 100)?; // At most 100 clients wait for it.
    Server::with_state(notes).on_signals().listen(&address)?.run(routes().build()?).map(drop)
}

fn open(path: &str) -> Result<Connection> {
    let database = Connection::open(path)?;
    database.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)", [])?;
    Ok(database)
}

fn routes() -> Router<Notes> {
    Router::<Notes>::new()
        .get("/notes", find)
        .collect("POST /notes", 4096, |notes, _, text| -> Reply<Notes> {
            let text = String::from_utf8_lossy(text).into_owned();
            notes.run_with(|database| -> Result<String> {
                database.execute("INSERT INTO notes (text) VALUES (?1)", [text])?;
                Ok(format!("{}\n", database.last_insert_rowid()))
            })
        })
        .delete("/notes/{id}", |notes, req| -> Result<Reply<Notes>, Failure> {
            let id: i64 = req.parse_param("id")?;
            Ok(notes.run_with(move |database| -> Result<StatusCode> {
                let removed = database.execute("DELETE FROM notes WHERE id = ?1", [id])?;
                Ok(if removed > 0 { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
            }))
        })
}

fn find(notes: &mut Notes, req: &Request<'_>) -> Reply<Notes> {
    let word = req.query().get("find").unwrap_or_default().into_owned();
    notes.run_with(move |database| -> Result<Response> {
        let mut select = database.prepare("SELECT id, text FROM notes WHERE instr(text, ?1)")?;
        let rows = select.query_map([word], |row| <(i64, String)>::try_from(row))?;
        Ok(Response::json(&rows.collect::<Result<Vec<_>>>()?))
    })
}

#[cfg(test)]
mod tests;
