//! WebSockets under pressure: bursts, many publishers at once, messages that never end, and memory
//! that runs short. A member that reads is not cut, and a client that holds something pays for it.

use std::cell::RefCell;
use std::rc::Rc;

use super::{
    close_payload, echo, events, frame, frames, open, site, Joins, Log, Member, BINARY, CLOSE,
    PING, PONG, SHAKE, TEXT,
};
use crate::support::{happens_after, limited, HOUR, MS, SECOND};
use wheelhouse::sim::{Client, Sim};
use wheelhouse::websocket::{
    accept, on_message, Group, Message, Options, Sender, Socket, SocketHandler,
};
use wheelhouse::{Limits, Reply, Request, Response};

/// A chat with so many members, and its group.
fn chat(members: usize, options: Options) -> (Group, Sim, Vec<Client>) {
    let group = Group::new();
    let room = group.clone();
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        match req.path() {
            // A publisher on the loop that is not a member.
            "/publish" => {
                let (mut sent, mut taken) = (0, 0);
                while sent < 5000 && !room.is_full() {
                    taken += room.send_text(format!("{sent}"));
                    sent += 1;
                }
                format!("{sent} {taken}").into()
            }
            "/publish-blindly" => {
                let taken = (0..5000).filter(|n| room.send_text(format!("{n}")) > 0).count();
                format!("{taken}").into()
            }
            _ => accept(req, &options, Member(room.clone())),
        }
    });
    let members: Vec<Client> = (0..members).map(|_| sim.connect_and_send(SHAKE)).collect();
    for &member in &members {
        sim.take_received(member);
    }
    (group, sim, members)
}

fn texts(sim: &mut Sim, client: Client) -> Vec<String> {
    let frames = frames(&sim.take_received(client));
    frames.into_iter().map(|(_, text)| String::from_utf8(text).unwrap()).collect()
}

#[test]
fn a_burst_of_one_member_reaches_every_member_in_order_and_cuts_nobody_off() {
    let numbers: Vec<String> = (0..2100).map(|n| n.to_string()).collect();
    for burst in [numbers, vec![String::new(); 2100]] {
        let (group, mut sim, members) = chat(10, Options::new());
        let sent: Vec<u8> = burst.iter().flat_map(|text| frame(TEXT, text.as_bytes())).collect();
        sim.send(members[0], sent);
        assert_eq!(group.members(), 10);
        for &member in &members {
            assert!(texts(&mut sim, member) == burst);
        }
    }
}

#[test]
fn members_that_all_send_at_once_all_receive_everything() {
    let (group, mut sim, members) = chat(60, Options::new());
    sim.pause();
    for &member in &members {
        sim.send(member, frame(TEXT, b"some words of a chat").repeat(60));
    }
    sim.resume();
    assert_eq!(group.members(), 60);
    for &member in &members {
        assert_eq!(texts(&mut sim, member).len(), 60 * 60);
    }
}

/// A queue for no more than the messages of two visits is enough.
#[test]
fn members_are_sent_their_messages_between_two_visits_of_the_publisher() {
    let (group, mut sim, members) = chat(3, Options::new().queue_bytes_max(2 * 64 * 140));
    sim.send(members[0], frame(TEXT, b"word").repeat(2100));
    assert_eq!((group.members(), texts(&mut sim, members[2]).len()), (3, 2100));
}

/// Pings and fragments are as much work as messages.
#[test]
fn a_visit_ends_after_32_frames_of_any_kind() {
    let messages = frame(TEXT, b"word").repeat(200);
    let pings = [frame(PING, b""), frame(TEXT, b"word")].concat().repeat(100);
    let fragments = [frame(0x01, b"w"), frame(0x00, b"or"), frame(0x80, b"d")].concat().repeat(60);
    for (sent, runs_of) in [(messages, 32), (pings, 16), (fragments, 11)] {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (notes, mut count) = (Rc::clone(&heard), 0);
        let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
            let (notes, name) = (Rc::clone(&notes), count);
            count += 1;
            let note = move |_: &mut (), _: Message<'_>, _: &mut Socket<'_>| {
                notes.borrow_mut().push(name);
            };
            accept(req, &Options::new(), on_message(note))
        });
        let clients = [open(&mut sim), open(&mut sim)];
        sim.pause();
        for client in clients {
            sim.send(client, &sent);
        }
        sim.resume();
        let heard = heard.borrow();
        let runs: Vec<usize> = heard.chunk_by(|one, next| one == next).map(<[i32]>::len).collect();
        assert!(runs.len() >= 10, "they take turns");
        assert!(runs.iter().all(|&run| run <= runs_of), "{runs:?}");
    }
}

#[test]
fn a_publisher_on_the_loop_sees_that_a_group_is_full_before_a_message_is_lost() {
    let (group, mut sim, members) = chat(5, Options::new());
    let client = sim.connect_and_send(b"GET /publish HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    let (_, counts) = text.split_once("\r\n\r\n").unwrap();
    let (sent, taken) = counts.split_once(' ').unwrap();
    let (sent, taken): (usize, usize) = (sent.parse().unwrap(), taken.parse().unwrap());
    assert!((500..2100).contains(&sent) && taken == 5 * sent, "{text}");
    assert!(group.members() == 5 && !group.is_full());
    for &member in &members {
        assert_eq!(texts(&mut sim, member).len(), sent);
    }
}

#[test]
fn a_message_that_a_full_group_does_not_take_reaches_no_member_and_cuts_none() {
    let (group, mut sim, members) = chat(5, Options::new());
    let client = sim.connect_and_send(b"GET /publish-blindly HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = String::from_utf8(sim.take_received(client)).unwrap();
    let (_, taken) = text.split_once("\r\n\r\n").unwrap();
    let taken: usize = taken.parse().unwrap();
    assert!((1000..2100).contains(&taken));
    assert_eq!(group.members(), 5);
    let expected: Vec<String> = (0..taken).map(|n| n.to_string()).collect();
    for &member in &members {
        assert!(texts(&mut sim, member) == expected);
    }
}

/// The member that does not read is waited for once, for a tenth of a second. Then its queue fills, and
/// it is cut.
#[test]
fn a_member_that_does_not_read_fills_the_group_for_a_moment_and_is_cut() {
    let (group, mut sim, members) = chat(3, Options::new());
    sim.stall(members[0], 1000);
    let (mut sent, mut waits) = (0, 0);
    while sent < 200 {
        match group.is_full() {
            true => waits += 1,
            false => {
                assert!(group.send_binary([0; 5_000]) >= 2, "it takes what a full group would not");
                sent += 1;
            }
        }
        sim.advance(MS);
        assert!(waits <= 100, "{sent} sent");
    }
    assert_eq!((group.members(), waits > 0), (2, true));
    for &member in &members[1..] {
        let got = frames(&sim.take_received(member));
        assert_eq!(got.iter().filter(|(first, _)| *first == BINARY).count(), 200);
    }
}

/// The same, if the publisher only sends, and sends again what was refused.
#[test]
fn a_message_that_is_refused_for_a_member_that_does_not_read_is_taken_soon() {
    let (group, mut sim, members) = chat(3, Options::new());
    sim.stall(members[0], 1000);
    let (mut sent, mut refused) = (0, 0);
    while sent < 200 {
        match group.send_binary([0; 5_000]) {
            0 => refused += 1,
            _ => sent += 1,
        }
        sim.advance(MS);
        assert!(refused <= 100, "{sent} sent");
    }
    assert!(group.members() == 2 && refused > 0);
    assert_eq!(frames(&sim.take_received(members[1])).len(), 200);
}

/// The socket of the member is full all the time, and its queue again and again.
#[test]
fn a_member_that_reads_as_fast_as_it_is_sent_is_never_cut() {
    let (group, mut sim, members) = chat(3, Options::new());
    sim.stall(members[0], 10_000);
    let (mut sent, mut most) = (0_u32, 0);
    for _ in 0..500 {
        // 10 MB/s, while the others could take much more.
        sim.read(members[0], 10_000);
        let before = sent;
        while !group.is_full() && sent < 900 {
            assert_eq!(group.send_text(format!("{sent:05000}")), 3);
            sent += 1;
        }
        most = most.max(sent - before);
        sim.advance(MS);
    }
    assert!(sent == 900 && most > 20, "{sent}, {most}: it is sent bursts");
    assert_eq!(group.members(), 3);
    sim.unstall(members[0]);
    for &member in &members {
        let got: Vec<u32> =
            texts(&mut sim, member).iter().map(|text| text.parse().unwrap()).collect();
        assert!(got == (0..900).collect::<Vec<_>>());
    }
}

/// It is short because of that member and others, and they are as fast.
#[test]
fn a_member_that_reads_is_not_cut_when_memory_is_short() {
    let limits = Limits { memory_bytes_max: 2 << 20, ..Limits::default() };
    let (group, options) = (Group::new(), Options::new().queue_bytes_max(64 << 20));
    let room = group.clone();
    let site = move |req: &Request<'_>| -> Reply { accept(req, &options, Member(room.clone())) };
    let mut sim = limited(site, limits);
    let members: Vec<Client> = (0..4).map(|_| sim.connect_and_send(SHAKE)).collect();
    for &member in &members {
        sim.take_received(member);
        sim.stall(member, 10_000);
    }
    let mut refused = 0;
    for _ in 0..400 {
        if group.send_binary([0; 40_000]) == 0 {
            refused += 1;
        }
        for &member in &members {
            sim.read(member, 10_000);
        }
        sim.advance(MS);
        assert!(sim.memory() <= 2 << 20);
    }
    assert_eq!(group.members(), 4);
    assert!((200..350).contains(&refused), "{refused} of 400: they take 10 kB/ms of 40");
}

/// The client was slow once. When it has taken everything, its queue may fill again.
#[test]
fn a_member_that_was_slow_once_and_reads_again_is_not_cut_by_a_burst() {
    let (group, mut sim, members) = chat(2, Options::new());
    sim.stall(members[1], 1000);
    for _ in 0..2 {
        group.send_binary([0; 5000]);
        sim.advance(110 * MS);
    }
    sim.unstall(members[1]);
    sim.take_received(members[1]);
    let client = sim.connect_and_send(b"GET /publish-blindly HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.received(client).starts_with(b"HTTP/1.1 200"));
    assert_eq!(group.members(), 2);
    assert!(texts(&mut sim, members[1]).len() > 1000);
}

#[test]
fn a_half_message_is_not_kept_alive_by_pongs() {
    let (log, mut sim, client) = echo();
    sim.send(client, frame(BINARY & 0x7f, &[b'x'; 65_000]));
    let mut seconds = 0;
    while !sim.has_ended(client) && seconds < 24 * 3600 {
        sim.send(client, frame(PONG, b""));
        sim.advance(SECOND);
        seconds += 1;
    }
    assert_eq!(seconds, 31);
    let expected = (CLOSE, close_payload(1008, "message took too long"));
    assert_eq!(frames(&sim.take_received(client)), [expected]);
    assert_eq!(events(&log), ["closed 1008 \"message took too long\" false"]);
    sim.advance(HOUR);
    assert!(!sim.is_open(client));
}

/// However the message trickles in: as fragments, as bytes of one frame, or as the bytes of a frame
/// that is used only when it is whole.
#[test]
fn a_message_that_has_begun_has_thirty_seconds_whatever_comes() {
    let fragment = frame(0x00, b"x");
    let long = frame(TEXT, &[b'x'; 2000]);
    let short = frame(TEXT, &[b'x'; 120]);
    type Next<'a> = Box<dyn FnMut(usize) -> Vec<u8> + 'a>;
    let trickles: [Next<'_>; 4] = [
        Box::new(|n| if n == 0 { frame(0x01, b"x") } else { fragment.clone() }),
        Box::new(|n| if n == 0 { frame(0x01, b"") } else { frame(PING, b"") }),
        Box::new(|n| long[n..n + 1].to_vec()),
        Box::new(|n| short[n..n + 1].to_vec()),
    ];
    for (case, mut next) in trickles.into_iter().enumerate() {
        let (_, mut sim, client) = echo();
        sim.advance(20 * SECOND);
        sim.send(client, next(0));
        for n in 1..60 {
            sim.advance(SECOND / 2);
            assert!(!sim.has_ended(client), "case {case}, byte {n}");
            sim.send(client, next(n));
        }
        sim.advance(SECOND);
        assert!(sim.has_ended(client), "case {case}");
    }
}

#[test]
fn each_message_has_the_whole_time() {
    let (log, mut sim, client) = echo();
    let (begin, end) = (frame(0x01, b"ab"), frame(0x80, b"cd"));
    sim.send(client, &begin);
    for _ in 0..10 {
        sim.advance(25 * SECOND);
        // The end of one message and the beginning of the next in one segment.
        sim.send(client, [&end[..], &begin].concat());
    }
    sim.advance(25 * SECOND);
    sim.send(client, &end);
    sim.advance(29 * SECOND);
    assert_eq!(texts(&mut sim, client), ["abcd"; 11]);
    assert_eq!(events(&log), [""; 0]);
}

#[test]
fn the_time_for_a_message_is_an_option() {
    let log = Log::default();
    let options = Options::new().message_timeout(5 * SECOND);
    let mut sim = Sim::new(site(&log, options));
    let client = open(&mut sim);
    sim.send(client, &frame(TEXT, b"hello")[..3]);
    happens_after(&mut sim, 5 * SECOND, |sim| sim.has_ended(client));
}

/// Bytes of a client that should close do not put the end off.
#[test]
fn a_client_that_trickles_has_ten_seconds_for_its_close_frame() {
    let long = frame(BINARY, &[0; 5000]);
    for trickle in [&frame(PONG, b"").repeat(100)[..], &long] {
        let (log, mut sim, client) = echo();
        sim.send(client, frame(TEXT, b"bye"));
        assert_eq!(frames(&sim.take_received(client)).len(), 1);
        for byte in &trickle[..99] {
            assert!(!sim.has_ended(client));
            sim.send(client, [*byte]);
            sim.advance(SECOND / 10);
        }
        sim.advance(SECOND / 2);
        assert!(sim.has_ended(client));
        assert_eq!(events(&log), ["closed 4000 \"told to\" false"]);
    }
}

/// The time for the close frame begins when the messages before ours have left.
#[test]
fn a_slow_client_gets_all_messages_before_a_close_frame() {
    let (_, mut sim, client) = echo();
    sim.stall(client, 10_000);
    sim.send(client, frame(TEXT, b"long bye"));
    let mut seconds = 0;
    while !sim.has_ended(client) {
        sim.read(client, 10_000);
        sim.advance(SECOND);
        seconds += 1;
        assert!(seconds < 100);
    }
    sim.unstall(client);
    let frames = frames(&sim.take_received(client));
    assert_eq!((frames.len(), frames.last().unwrap().0), (21, CLOSE));
}

/// A sender in the loop cannot queue more than the budget before the loop looks.
#[test]
fn queued_messages_are_in_the_budget_at_once() {
    let limits = Limits { memory_bytes_max: 4 << 20, ..Limits::default() };
    let (group, senders) = (Group::new(), Rc::<RefCell<Vec<Sender>>>::default());
    let all = Rc::clone(&senders);
    let site = move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/publish" => {
                let mut taken = 0;
                for n in 0..25 {
                    let senders = all.borrow();
                    let takes = senders.iter().filter(|sender| sender.send_binary([n; 10_000]));
                    taken += takes.count();
                }
                Response::text(taken.to_string()).into()
            }
            _ => accept(req, &Options::new(), Joins(group.clone(), Rc::clone(&all))),
        }
    };
    let mut sim = limited(site, limits);
    let clients: Vec<Client> = (0..50).map(|_| open(&mut sim)).collect();
    let base = sim.memory();
    for _ in 0..2 {
        let client = sim.connect_and_send(b"GET /publish HTTP/1.1\r\nHost: a\r\n\r\n");
        let text = String::from_utf8(sim.take_received(client)).unwrap();
        let taken: usize = text.split_once("\r\n\r\n").unwrap().1.parse().unwrap();
        assert!((300..420).contains(&taken), "{taken} of 10 kB each in 4 MiB");
        assert!(senders.borrow().iter().all(Sender::is_open), "and nobody is cut for that");
        let got: usize =
            clients.iter().map(|&client| frames(&sim.take_received(client)).len()).sum();
        assert_eq!(got, taken);
        assert!(sim.memory() <= base + (2 << 10));
    }
}

/// A message to a group is in memory once, and counts once.
#[test]
fn a_long_message_to_many_members_counts_once() {
    let limits = Limits { memory_bytes_max: 4 << 20, ..Limits::default() };
    let group = Group::new();
    let room = group.clone();
    let site =
        move |req: &Request<'_>| -> Reply { accept(req, &Options::new(), Member(room.clone())) };
    let mut sim = limited(site, limits);
    let members: Vec<Client> = (0..200).map(|_| sim.connect_and_send(SHAKE)).collect();
    for &member in &members {
        sim.take_received(member);
    }
    assert_eq!(group.send_binary([7; 60_000]), 200);
    sim.advance(MS);
    for &member in &members {
        let last = frames(&sim.take_received(member)).pop().unwrap();
        assert_eq!(last.1.len(), 60_000);
    }
}

/// The messages of a group are held once, but each queue pays for its list.
#[test]
fn a_group_cuts_the_slowest_members_when_memory_is_short_and_serves_the_others() {
    let limits = Limits { memory_bytes_max: 2 << 20, ..Limits::default() };
    let (group, options) = (Group::new(), Options::new().queue_bytes_max(64 << 20));
    let room = group.clone();
    let site = move |req: &Request<'_>| -> Reply { accept(req, &options, Member(room.clone())) };
    let mut sim = limited(site, limits);
    let members: Vec<Client> = (0..20).map(|_| sim.connect_and_send(SHAKE)).collect();
    for &member in &members {
        sim.take_received(member);
    }
    let (slow, quick) = members.split_at(10);
    for &client in slow {
        sim.stall(client, 1000);
    }
    for n in 0..100 {
        let mut tries = 0;
        while group.send_binary([n; 40_000]) == 0 {
            sim.advance(10 * MS);
            tries += 1;
            assert!(tries <= 11, "a member that does not read is waited for");
        }
        sim.advance(MS);
        assert!(sim.memory() <= 2 << 20, "{}", sim.memory());
    }
    assert_eq!(group.members(), 10);
    for &client in quick {
        let got = frames(&sim.take_received(client));
        assert_eq!(got.iter().filter(|(first, _)| *first == BINARY).count(), 100);
    }
}

/// A queue is memory of its socket. The one that holds most and moves nothing is the first to end.
#[test]
fn a_socket_with_a_long_queue_gives_way_before_small_holders() {
    let limits = Limits { memory_bytes_max: 2 << 20, ..Limits::default() };
    let senders = Rc::<RefCell<Vec<Sender>>>::default();
    let all = Rc::clone(&senders);
    let site = move |req: &Request<'_>| -> Reply {
        match req.path() {
            "/collect" => Reply::collect(1 << 20, |(), _, _| "collected"),
            _ => accept(req, &Options::new(), Joins(Group::new(), Rc::clone(&all))),
        }
    };
    let mut sim = limited(site, limits);
    let slow = open(&mut sim);
    sim.stall(slow, 1000);
    for _ in 0..24 {
        assert!(senders.borrow()[0].send_binary([b'.'; 10_000]));
        sim.advance(MS);
    }
    let head = b"POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n";
    let uploads: Vec<Client> = (0..16).map(|_| sim.connect_and_send(head)).collect();
    for _ in 0..8 {
        for &upload in &uploads {
            sim.send(upload, [b'x'; 10_000]);
        }
        sim.advance(SECOND);
        if !sim.is_open(slow) {
            break;
        }
    }
    assert!(sim.was_reset(slow));
    let open = uploads.iter().filter(|&&upload| sim.is_open(upload)).count();
    assert_eq!(open, 16, "it was the first");
}

/// Its messages wait for the loop, which has them sent in the next turn. Those of the other wait for the
/// client, however fast that reads.
#[test]
fn a_socket_whose_messages_wait_for_the_loop_does_not_give_way_for_them() {
    let limits = Limits { memory_bytes_max: 2 << 20, ..Limits::default() };
    let (senders, options) = (Rc::<RefCell<Vec<Sender>>>::default(), Options::new());
    let (all, options) = (Rc::clone(&senders), options.queue_bytes_max(2 << 20));
    let site = move |req: &Request<'_>| -> Reply {
        if req.path() == "/publish" {
            for _ in 0..700 {
                assert!(all.borrow().iter().all(|sender| sender.send_binary([0; 1000])));
            }
            return "published".into();
        }
        accept(req, &options, Joins(Group::new(), Rc::clone(&all)))
    };
    let mut sim = limited(site, limits);
    let (reads, blocked) = (open(&mut sim), open(&mut sim));
    sim.stall(blocked, 10_000);
    for n in 0..101 {
        if n % 4 == 0 {
            assert!(senders.borrow()[1].send_binary([0; 40_000]));
        }
        sim.advance(MS);
        sim.read(blocked, 10_000);
    }
    let client = sim.connect_and_send(b"GET /publish HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(sim.received(client).ends_with(b"published"));
    assert!(sim.is_open(reads) && sim.was_reset(blocked));
    assert_eq!(frames(&sim.take_received(reads)).len(), 700);
}

/// Fills the group with each message, unless it is a member. Notes what it hears.
struct Filler {
    room: Group,
    heard: Log,
    is_member: bool,
}

impl SocketHandler<()> for Filler {
    fn open(&mut self, (): &mut (), socket: &mut Socket<'_>) {
        if self.is_member {
            self.room.join(socket);
        }
    }

    fn message(&mut self, (): &mut (), message: Message<'_>, _: &mut Socket<'_>) {
        let Message::Text(text) = message else { return };
        let taken = if self.is_member { self.room.send_text(text) } else { 0 };
        self.heard.borrow_mut().push(format!("{text} {taken}"));
        while !self.is_member && !self.room.is_full() {
            self.room.send_text("x".repeat(100));
        }
    }
}

/// A publisher that fills the group again in each of its visits does not silence the members.
#[test]
fn members_of_a_group_that_is_always_full_are_heard() {
    let (room, heard) = (Group::new(), Log::default());
    let notes = Rc::clone(&heard);
    let mut sim = Sim::new(move |req: &Request<'_>| -> Reply {
        let is_member = req.path() == "/chat";
        accept(
            req,
            &Options::new(),
            Filler { room: room.clone(), heard: Rc::clone(&notes), is_member },
        )
    });
    let publisher = String::from_utf8(SHAKE.to_vec()).unwrap().replace("/chat", "/publish");
    let publisher = sim.connect_and_send(publisher.as_bytes());
    let members = [open(&mut sim), open(&mut sim)];
    sim.pause();
    sim.send(publisher, frame(TEXT, b"fill").repeat(640));
    sim.send(members[0], frame(TEXT, b"one").repeat(2));
    sim.resume();
    let heard = heard.borrow();
    assert_eq!(heard.len(), 642);
    let last = heard.iter().rposition(|text| text.starts_with("one")).unwrap();
    assert!((65..320).contains(&last), "heard at {last}, after it had to wait");
    assert_eq!(heard[last], "one 2", "half of the queues is left for it");
}

/// A group is full from half of a queue on, which a long message does not know.
#[test]
fn a_message_longer_than_the_rest_of_a_queue_is_refused_and_taken_after_a_turn() {
    let (group, mut sim, members) = chat(2, Options::new().queue_bytes_max(10_000));
    sim.pause();
    assert_eq!(group.send_binary([0; 4_000]), 2);
    assert!(!group.is_full());
    assert_eq!(group.send_binary([0; 6_000]), 0, "4,132 of 10,000 bytes are taken");
    assert_eq!(group.send_binary([0; 5_000]), 2);
    assert!(group.is_full());
    sim.resume();
    sim.advance(MS);
    assert!(!group.is_full());
    assert_eq!(group.send_binary([0; 60_000]), 2, "nothing else waits");
    sim.advance(MS);
    let lengths: Vec<usize> =
        frames(&sim.take_received(members[0])).iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [4_000, 5_000, 60_000]);
}
