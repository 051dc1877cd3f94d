//! Text from elsewhere, as people and spreadsheets see it: nothing that commands a terminal, nothing hidden, no
//! formula.

use serde_json::Value;
use tempfile::TempDir;

use super::commands::{Ran, edit, imported, run};
use super::server::Event;

/// A user id of somebody who can write any: a formula that writes to the clipboard, colours and turns around.
const USER: &str =
    "=cmd|'/C calc'!A0\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{202e}\u{200b}\r\nstatus: active";
const SUBSCRIPTION: &str = "sub_1\u{9b}2J\u{2066}\nno difference";

/// A ledger in which everything that can be is such text.
fn ledger() -> TempDir {
    let event = Event { subscription: SUBSCRIPTION, user: USER, ..Event::default() };
    let mut bodies = vec![event.body()];
    // Ids and types of events have no control characters, and may have others that nobody sees.
    let parked = Event { id: "evt_2\u{202e}", ..event };
    bodies.push(parked.body().replace("\"status\": \"active\"", "\"status\": 7"));
    let other = Event { id: "evt_3\u{202e}", ..parked };
    let other_type = "@evil.\u{feff}.created";
    bodies.push(other.body().replace("customer.subscription.created", other_type));
    let directory = imported(&bodies);
    std::fs::write(directory.path().join("strict.toml"), "grant = []\n").unwrap();
    directory
}

/// True for what a terminal obeys or nobody sees; a line break is neither.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n') || "\u{200b}\u{202e}\u{2066}\u{feff}".contains(c)
}

fn assert_shown(what: &[&str], ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains(is_hidden), "{what:?}: {text:?}");
    }
}

#[test]
fn people_see_escapes_in_place_of_what_commands_a_terminal() {
    let directory = ledger();
    let of = |arguments: &[&str]| {
        let ran = run(directory.path(), arguments);
        assert_shown(arguments, &ran);
        ran
    };
    let current = of(&["current"]);
    assert!(current.out.contains(r"\u{9b}"), "{}", current.out);
    let history = of(&["history", USER, "--kind", "user"]);
    assert_eq!(history.status, 0, "{}", history.err);
    for told in [r"@evil.\u{feff}", "parked"] {
        assert!(history.out.contains(told), "{told}: {}", history.out);
    }
    // What a value says on a line of its own would look like another sentence.
    assert!(!history.out.lines().any(|it| it.trim() == "status: active"), "{}", history.out);
    let explain = of(&["explain", SUBSCRIPTION]);
    assert!(explain.out.contains(r"\u{202e}"), "{}", explain.out);
    assert!(of(&["projections"]).out.contains(r"evt_2\u{202e}"));
    let rebuild = of(&["rebuild", "--dry-run", "--policy", "strict.toml", "--limit", "9"]);
    assert!(rebuild.out.contains(r"\u{2066}\nno difference"), "{}", rebuild.out);
    let erase = of(&["erase", "evt_3\u{202e}", "--by", "Ann"]);
    assert!(erase.out.contains(r"evt_3\u{202e}") && erase.status == 2, "{}", erase.out);
    for (arguments, status) in [
        (&["event", "evt_\u{9b}2J"][..], 1),
        (&["history", "sub_\u{1b}[2J"], 1),
        (&["current", "--status", "activ\u{1b}[2J"], 2),
        (&["import", "no\u{1b}[2J.jsonl"], 3),
        (&["log", "check", "no\u{1b}[2J", "--key", "x"], 2),
    ] {
        // Clap shows the value of a flag that it refuses as the person has typed it.
        let ran = if arguments[0] == "log" { continue } else { of(arguments) };
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.err);
    }
    std::fs::write(directory.path().join("bad\u{9b}.jsonl"), "{\"object\":\"\u{9b}2J\"}\n")
        .unwrap();
    let bad = of(&["import", "bad\u{9b}.jsonl"]);
    assert!(bad.status == 1 && bad.err.contains(r"bad\u{9b}.jsonl:1"), "{}", bad.err);

    edit(directory.path(), "UPDATE current_subscriptions_g1 SET status = 'x'");
    let verify = of(&["verify"]);
    assert_eq!(verify.status, 1);
    assert!(verify.out.contains(r"\u{2066}\nno difference"), "{}", verify.out);
    assert!(!verify.out.lines().any(|it| it == "no difference"), "{}", verify.out);
}

#[test]
fn json_is_exact_and_shows_nothing_hidden_either() {
    let directory = ledger();
    let read = |arguments: &[&str]| -> Value {
        let ran = run(directory.path(), arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
        assert_shown(arguments, &ran);
        let text = if ran.out.contains("\n{") { ran.out.lines().next().unwrap() } else { &ran.out };
        serde_json::from_str(text).unwrap()
    };
    for format in ["json", "jsonl"] {
        let current = read(&["current", "--format", format]);
        let row = if format == "json" { &current["data"][0] } else { &current };
        assert_eq!(
            (&row["user_id"], &row["subscription_id"]),
            (&USER.into(), &SUBSCRIPTION.into())
        );
    }
    read(&["history", USER, "--kind", "user", "--format", "json"]);
    read(&["explain", SUBSCRIPTION, "--format", "json"]);
    read(&["projections", "--format", "json"]);
    assert_eq!(read(&["event", "evt_3\u{202e}"])["event_id"], "evt_3\u{202e}");
    let dry = ["rebuild", "--dry-run", "--policy", "strict.toml", "--format", "json"];
    let ran = run(directory.path(), &dry);
    assert_shown(&dry, &ran);
    let difference: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(difference["changes"][0]["user_id"], USER);

    let exported = run(directory.path(), &["export"]);
    assert_shown(&["export"], &exported);
    let first: Value = serde_json::from_str(exported.out.lines().next().unwrap()).unwrap();
    let payload = run(directory.path(), &["event", "evt_1", "--payload"]);
    assert_eq!(first["payload"], payload.out);
    let body = std::fs::read_to_string(directory.path().join("events.jsonl")).unwrap();
    assert_eq!(payload.out, body.lines().next().unwrap(), "exact where no terminal shows it");
}

#[test]
fn csv_holds_no_formula_unless_it_is_asked_for_as_it_is() {
    let directory = ledger();
    let cells = |arguments: &[&str]| -> Vec<Vec<String>> {
        let ran = run(directory.path(), arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).from_reader(ran.out.as_bytes());
        let records = reader.records().map(|it| it.unwrap().iter().map(str::to_owned).collect());
        let records: Vec<_> = records.collect();
        assert!(records.len() > 1, "{arguments:?}: {}", ran.out);
        records
    };
    for arguments in [
        &["current"][..],
        &["history", USER, "--kind", "user"],
        &["explain", SUBSCRIPTION],
        &["export"],
        &["rebuild", "--dry-run", "--policy", "strict.toml"],
    ] {
        let arguments = [arguments, &["--format", "csv"]].concat();
        for cell in cells(&arguments).into_iter().flatten() {
            assert!(!cell.contains(is_hidden), "{arguments:?}: {cell:?}");
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{arguments:?}: {cell:?}");
        }
    }
    let raw = cells(&["current", "--format", "csv", "--raw"]).concat();
    assert!(raw.contains(&USER.to_owned()) && raw.contains(&SUBSCRIPTION.to_owned()), "{raw:?}");
}
