//! An account of exchanges that is kept without the server: the requests that the handler saw and
//! the bytes that clients received, to compare the records of `Server::on_exchange` with.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::Watched;
use wheelhouse::runtime::{
    Admission, ConnectionId, ConnectionState, Exchange, NewConnection, Outcome, RequestId,
};
use wheelhouse::{Request, Server};

/// One record of the hook.
#[derive(Debug)]
struct Ended {
    id: Option<RequestId>,
    target: Option<String>,
    status: Option<u16>,
    outcome: Outcome,
    received: u64,
    sent: u64,
    content: u64,
}

/// A request that a client has sent.
#[derive(Debug)]
struct Sent {
    /// Bytes of the head, and of the whole request.
    head: u64,
    whole: u64,
}

#[derive(Debug, Default)]
struct Account {
    /// The connections, by the port of their client.
    connections: BTreeMap<u16, ConnectionId>,
    /// The requests that clients have sent, by target.
    requests: BTreeMap<String, Sent>,
    /// The ports of clients whose requests are mixed up.
    cut: BTreeSet<u16>,
    handled: BTreeMap<RequestId, String>,
    ended: BTreeMap<ConnectionId, Vec<Ended>>,
    over: BTreeSet<ConnectionId>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Watched<Account>);

impl Witness {
    /// Has the hook report to this witness.
    pub(crate) fn watch(&self, server: Server) -> Server {
        let (of_connect, of_exchange) = (self.clone(), self.clone());
        server
            .on_connect(move |(), new: &NewConnection<'_>| {
                let port = new.peer_addr().unwrap().port();
                of_connect.0.borrow_mut().connections.insert(port, new.id());
                Admission::accept()
            })
            .on_exchange(move |(), exchange| of_exchange.note_end(exchange))
    }

    /// A client sends a request.
    pub(crate) fn note_request(&self, target: String, head: usize, whole: usize) {
        let (head, whole) = (head as u64, whole as u64);
        self.0.borrow_mut().requests.insert(target, Sent { head, whole });
    }

    /// The client at `port` never sends the end of a request: the next one continues it.
    pub(crate) fn note_cut(&self, port: u16) {
        self.0.borrow_mut().cut.insert(port);
    }

    /// The handler has been called with a request.
    pub(crate) fn note_handled(&self, req: &Request<'_>) {
        let before = self.0.borrow_mut().handled.insert(req.id(), req.target().to_owned());
        assert_eq!(before, None, "each request has a number of its own");
    }

    pub(crate) fn note_state(&self, id: ConnectionId, state: ConnectionState) {
        if matches!(state, ConnectionState::Closed | ConnectionState::Hijacked) {
            self.0.borrow_mut().over.insert(id);
        }
    }

    fn note_end(&self, exchange: &Exchange<'_>) {
        let mut account = self.0.borrow_mut();
        let id = exchange.connection_id();
        assert!(!account.over.contains(&id), "a record after its connection: {exchange:?}");
        let (received, sent) = exchange.bytes();
        account.ended.entry(id).or_default().push(Ended {
            id: exchange.id(),
            target: exchange.target().map(str::to_owned),
            status: exchange.status().map(|status| status.as_u16()),
            outcome: exchange.outcome(),
            received,
            sent,
            content: exchange.content_sent(),
        });
    }

    /// Each record is of a request that was handled, in order, or a refusal at the end.
    pub(crate) fn check_records(&self) {
        let account = self.0.borrow();
        let cut: Vec<_> =
            account.cut.iter().filter_map(|port| account.connections.get(port)).collect();
        for (connection, records) in &account.ended {
            for (n, record) in records.iter().enumerate() {
                let is_last = n + 1 == records.len();
                let Some(id) = record.id else {
                    assert!(is_last && record.outcome != Outcome::Complete, "{records:?}");
                    continue;
                };
                assert_eq!(id.index() as usize, n, "in order, and once: {records:?}");
                let Some(target) = &record.target else {
                    // A record loses its texts when memory is used up.
                    assert!(account.handled.contains_key(&id), "{record:?}");
                    continue;
                };
                assert_eq!(Some(target), account.handled.get(&id), "{record:?}");
                // A client that sends noise may have changed the target.
                let Some(sent) = account.requests.get(target) else {
                    assert!(cut.contains(&connection), "{record:?}");
                    continue;
                };
                let is_within = sent.head <= record.received && record.received <= sent.whole;
                assert!(is_within || cut.contains(&connection), "{record:?} {sent:?}");
                assert!(record.content <= record.sent, "{record:?}");
                if record.outcome == Outcome::Complete {
                    assert!(record.status.is_some(), "{record:?}");
                }
            }
        }
    }

    /// Every request has its record.
    pub(crate) fn check_all_ended(&self) {
        let account = self.0.borrow();
        let ended = account.ended.values().flatten();
        let ids: BTreeSet<_> = ended.filter_map(|record| record.id).collect();
        assert!(ids.iter().eq(account.handled.keys()), "{ids:?} {:?}", account.handled);
    }

    /// Compares the records with the bytes that the client at `port` has received.
    /// `is_all_received`: nothing was lost or is on its way.
    pub(crate) fn check_wire(&self, port: u16, bytes: &[u8], is_all_received: bool) {
        let account = self.0.borrow();
        let Some(id) = account.connections.get(&port) else { return };
        let none = Vec::new();
        let records = account.ended.get(id).unwrap_or(&none);
        let wire = Wire::of(bytes);
        let statuses: Vec<u16> = records.iter().filter_map(|record| record.status).collect();
        let handled = account.handled.keys().filter(|of| of.connection() == *id).count();
        let are_all_ended = records.iter().filter(|record| record.id.is_some()).count() == handled;
        if are_all_ended {
            assert!(statuses.starts_with(&wire.statuses), "{wire:?} {records:?}");
        } else {
            // The response under way may have begun, or those before it may wait.
            let len = statuses.len().min(wire.statuses.len());
            assert_eq!(statuses[..len], wire.statuses[..len], "{wire:?} {records:?}");
        }
        if records.iter().any(|record| record.outcome == Outcome::Upgraded) || !are_all_ended {
            return;
        }
        if !is_all_received && !account.over.contains(id) {
            // A refusal may be under way, which has no request.
            return;
        }
        let sent: u64 = records.iter().map(|record| record.sent).sum();
        assert!(sent >= bytes.len() as u64, "{} {records:?}", bytes.len());
        if is_all_received {
            assert_eq!(sent, bytes.len() as u64, "{records:?}");
            let content: u64 = records.iter().map(|record| record.content).sum();
            assert_eq!(content, sent - wire.heads, "{wire:?} {records:?}");
        }
    }
}

/// The heads among bytes that a client has received.
#[derive(Debug, Default)]
struct Wire {
    /// Final statuses and 101.
    statuses: Vec<u16>,
    /// Bytes of all heads.
    heads: u64,
}

impl Wire {
    /// No content of the tests contains the beginning of a head.
    fn of(bytes: &[u8]) -> Wire {
        let mut wire = Wire::default();
        let text = String::from_utf8_lossy(bytes);
        for (at, _) in text.match_indices("HTTP/1.") {
            // The echo of a request has no space there.
            let head = &text[at..];
            let Some(status) = head.get(9..12).filter(|_| head.as_bytes()[8] == b' ') else {
                continue;
            };
            let Some(end) = head.find("\r\n\r\n") else {
                // A refusal that makes room leaves in one write, of which the socket may take a part.
                wire.heads += head.len() as u64;
                break;
            };
            wire.heads += end as u64 + 4;
            let status: u16 = status.parse().unwrap();
            if status == 101 || status >= 200 {
                wire.statuses.push(status);
            }
        }
        wire
    }
}
