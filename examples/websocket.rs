//! A chat over WebSockets: a message from one page reaches all pages, without a thread.
//!
//! ```text
//! cargo run --release --features websocket --example websocket -- 127.0.0.1:8080
//! ```
//!
//! Then open <http://127.0.0.1:8080/> in two tabs. A page of another site cannot join: its origin
//! is refused. A real program would also authenticate its guests.

use wheelhouse::websocket::{accept, Closed, Group, Message, Options, Socket, SocketHandler};
use wheelhouse::{Error, Reply, Request, Response};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let (room, options) = (Group::new(), Options::new().message_bytes_max(2000));
    let mut guests = 0;
    wheelhouse::serve(&address, move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/" => Response::html(include_str!("websocket.html")).into(),
            "/chat" => {
                guests += 1;
                let name = format!("guest {guests}");
                accept(req, &options, Guest { name, room: room.clone() })
            }
            _ => Response::not_found().into(),
        }
    })?;
    Ok(())
}

struct Guest {
    name: String,
    room: Group,
}

impl Guest {
    fn say(&self, what: &str) {
        self.room.send_text(format!("{} {what}", self.name));
    }
}

impl<S> SocketHandler<S> for Guest {
    fn open(&mut self, _: &mut S, socket: &mut Socket<'_>) {
        self.room.join(socket);
        self.say("has come");
    }

    fn message(&mut self, _: &mut S, message: Message<'_>, socket: &mut Socket<'_>) {
        match message {
            Message::Text(text) => self.say(&format!("says: {text}")),
            Message::Binary(_) => socket.close(1003, "text only"),
        }
    }

    fn close(&mut self, _: &mut S, _: Closed) {
        self.say("has left");
    }
}
