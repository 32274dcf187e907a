//! The database is in memory, and there is no socket.

use wheelhouse::{sim::Sim, Pool};

#[test]
fn notes_are_added_found_and_removed() {
    let notes = Pool::with_values("notes", [super::open(":memory:").unwrap()], 100).unwrap();
    let mut sim = Sim::with_state(notes, super::routes().build().unwrap());
    for (text, id) in [("buy milk", "1\n"), ("'); DROP TABLE notes; --", "2\n")] {
        assert_eq!(sim.request("POST", "/notes").body(text).send().text(), id);
    }
    assert_eq!(sim.get("/notes?find=milk").text(), r#"[[1,"buy milk"]]"#);
    assert_eq!(sim.get("/notes").text(), r#"[[1,"buy milk"],[2,"'); DROP TABLE notes; --"]]"#);
    assert_eq!(sim.request("DELETE", "/notes/1").send().status(), 204);
    assert_eq!(sim.request("DELETE", "/notes/1").send().status(), 404);
    assert_eq!(sim.request("DELETE", "/notes/first").send().status(), 404);
    assert_eq!(sim.get("/notes?find=milk").text(), "[]");
}
