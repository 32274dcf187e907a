//! A chat over WebSockets: a message from one page reaches all pages, without a thread.
//!
//! ```text
//! cargo run --release --features websocket --example websocket -- 127.0.0.1:8080
//! ```
//!
//! Then open <http://127.0.0.1:8080/> in two tabs. A page of another site cannot join: its origin
//! is refused with a 403. A real program would also authenticate its guests. A second argument
//! names a preset of the limits, such as `small`.

use wheelhouse::websocket::{accept, Closed, Group, Message, Options, Socket, SocketHandler};
use wheelhouse::{Error, Limits, Response, Router, Server};

#[derive(Default)]
struct Chat {
    room: Group,
    guests: u64,
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let preset = std::env::args().nth(2).unwrap_or_else(|| "open-internet".to_owned());
    let limits = Limits::preset(&preset).expect("a preset of the limits has this name");
    let options = Options::new().message_bytes_max(2000);
    let routes = Router::<Chat>::new()
        .get("/{$}", |_, _| Response::html(include_str!("websocket.html")))
        .get("/chat", move |chat, req| {
            chat.guests += 1;
            accept(req, &options, Guest(format!("guest {}", chat.guests)))
        })
        .build()?;
    Server::with_state(Chat::default()).limits(limits).listen(&address)?.run(routes)?;
    Ok(())
}

/// One connection, with the name of its guest.
struct Guest(String);

impl SocketHandler<Chat> for Guest {
    fn open(&mut self, chat: &mut Chat, socket: &mut Socket<'_>) {
        chat.room.join(socket);
        chat.room.send_text(format!("{} has come", self.0));
    }

    fn message(&mut self, chat: &mut Chat, message: Message<'_>, socket: &mut Socket<'_>) {
        match message {
            Message::Text(text) => {
                chat.room.send_text(format!("{} says: {text}", self.0));
            }
            Message::Binary(_) => socket.close(1003, "text only"),
        }
    }

    fn close(&mut self, chat: &mut Chat, _: Closed) {
        chat.room.send_text(format!("{} has left", self.0));
    }
}
