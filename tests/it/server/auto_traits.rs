//! The types that may cross threads, and those that must not. A field that is added to a type can
//! change this without a change of any signature, so these promises are checked here.

use std::marker::PhantomData;
use std::rc::Rc;

use wheelhouse::body::SendError;
use wheelhouse::cookies::SetCookie;
use wheelhouse::events::{Event, Topic};
use wheelhouse::files::Files;
use wheelhouse::runtime::{
    ConnectionId, ConnectionState, Cores, EventLoop, Listener, Remote, RemoteClosed, Report,
    RequestId, ServerThread, Stats, Totals, Turn,
};
use wheelhouse::upgrade::{Hijacked, Upgrade};
use wheelhouse::{
    body, content, Body, Error, Failure, Handle, Informational, Later, Limits, Reply, Response,
    Router, Routes, Server, Trailers, Waker,
};

/// A state that stays on one thread.
struct Local(#[allow(dead_code)] Rc<()>);

const fn is_send<T: Send>() {}
const fn is_send_and_sync<T: Send + Sync>() {}

/// Values that a worker receives or makes, whatever the state of the server is.
const _: () = {
    is_send::<Response>();
    is_send::<Body>();
    is_send::<Failure>();
    is_send::<Informational>();
    is_send::<body::Sender>();
    is_send::<Later<Local>>();
    is_send::<Event>();
    is_send_and_sync::<Topic>();
    is_send_and_sync::<SetCookie>();
    is_send_and_sync::<Trailers>();
    is_send::<Upgrade>();
    is_send_and_sync::<Waker>();
    is_send_and_sync::<Stats>();
    is_send_and_sync::<Totals>();
    is_send_and_sync::<SendError>();
};

/// A server may be prepared on one thread and run on another.
const _: () = {
    is_send::<Server>();
    is_send::<Server<Vec<u8>>>();
    is_send::<Listener>();
    is_send::<Files>();
    is_send_and_sync::<Limits>();
};

/// Other threads end a server, change it and wait for it.
const _: () = {
    is_send_and_sync::<Handle>();
    is_send_and_sync::<Remote<Local>>();
    is_send_and_sync::<RemoteClosed>();
    is_send::<ServerThread>();
    is_send::<Cores>();
    is_send_and_sync::<Report>();
    is_send_and_sync::<Error>();
    is_send_and_sync::<Turn>();
    is_send_and_sync::<ConnectionId>();
    is_send_and_sync::<ConnectionState>();
    is_send_and_sync::<RequestId>();
    is_send_and_sync::<content::Lost>();
    is_send::<Hijacked>();
};

#[cfg(feature = "websocket")]
const _: () = {
    is_send_and_sync::<wheelhouse::websocket::Group>();
    is_send_and_sync::<wheelhouse::websocket::Sender>();
};

/// An inherent constant comes before the one of a trait, but only where its bound holds.
struct Probe<T>(PhantomData<T>);

trait NotSend {
    const IS_SEND: bool = false;
}

impl<T> NotSend for Probe<T> {}

impl<T: Send> Probe<T> {
    const IS_SEND: bool = true;
}

/// So a handler, a route and a receiver may hold an `Rc`.
#[test]
fn the_loop_its_routes_and_replies_stay_on_one_thread() {
    let of_the_loop = [
        ("EventLoop", Probe::<EventLoop>::IS_SEND),
        ("Router", Probe::<Router>::IS_SEND),
        ("Routes", Probe::<Routes>::IS_SEND),
        ("Reply", Probe::<Reply>::IS_SEND),
        ("Flow", Probe::<content::Flow>::IS_SEND),
    ];
    for (name, is_send) in of_the_loop {
        assert!(!is_send, "{name} is Send");
    }
    let servers = [Probe::<Server<Local>>::IS_SEND, Probe::<Server>::IS_SEND];
    assert_eq!(servers, [false, true], "a server is Send if its state is");
}
