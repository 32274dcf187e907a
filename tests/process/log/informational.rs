//! A worker that acts while the loop reads its reports. The logger makes it act at that moment.

use std::sync::mpsc;
use std::time::Duration;

use wheelhouse::sim::Sim;
use wheelhouse::{Informational, Reply, Request};

/// The order holds even if the worker responds while the loop reads its report.
#[test]
fn an_informational_response_of_a_worker_is_sent_before_its_final_response() {
    let (sender, laters) = mpsc::channel();
    let mut sim = Sim::new(move |_: &Request<'_>| -> Reply {
        let sender = sender.clone();
        let (later, reply) = Reply::later();
        sender.send(later).unwrap();
        reply
    });
    let client = sim.connect_and_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let later = laters.recv().unwrap();
    // This report cannot be sent, and the loop logs that while it reads the reports.
    later.inform(Informational::processing().with_appended_header("A", "\n"));
    let mut waiting = Some(later);
    crate::listen(move |record| {
        let left_out =
            "connection 1, client 192.0.2.1:1024, request 1-0: informational response left out: ";
        if record.args().to_string().starts_with(left_out) {
            if let Some(later) = waiting.take() {
                later.inform(Informational::processing());
                later.respond("done");
            }
        }
    });
    sim.advance(Duration::ZERO);
    let received = String::from_utf8_lossy(sim.received(client)).into_owned();
    let statuses: Vec<_> =
        received.match_indices("HTTP/1.1 ").map(|(at, _)| &received[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["102", "200"]);
}
