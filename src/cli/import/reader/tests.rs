//! Tests of every form of input, and of invalid inputs.

use super::super::record::RecordContent;
use super::*;

const EVENT: &str = r#"{"id":"evt_1","object":"event","type":"ping","created":1,"livemode":true}"#;

/// Reads an input. Returns the line of each record, with the size of its event or the reason why it is invalid.
fn read(input: &str) -> Vec<(usize, Result<usize, String>)> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(100);
    let bytes = Box::new(io::Cursor::new(input.as_bytes().to_vec()));
    Input { bytes, file: "in".into(), line: 0, to: &sender }.read().unwrap();
    drop(sender);
    let mut found = Vec::new();
    while let Some(record) = receiver.blocking_recv() {
        let bytes = record.content.map(|content| match content {
            RecordContent::Event(event) | RecordContent::Exported(event, _) => event.stored_bytes(),
        });
        found.push((record.line.number, bytes));
    }
    found
}

/// Result of reading [`EVENT`].
const WHOLE: Result<usize, String> = Ok(EVENT.len());

#[test]
fn lines_keep_their_bytes_without_their_ends() {
    assert_eq!(read(EVENT), [(1, WHOLE)]);
    assert_eq!(read(&format!("\n{EVENT}\r\n\n{EVENT}\n")), [(2, WHOLE), (4, WHOLE)]);
    assert_eq!(read(""), []);
}

#[test]
fn one_document_of_many_lines_keeps_all_its_bytes() {
    let indented = EVENT.replace(',', ",\r\n  ");
    assert_eq!(read(&indented), [(1, Ok(indented.len()))]);
    let ended = format!("{indented}\n");
    assert_eq!(read(&ended), [(1, Ok(ended.len()))]);
}

#[test]
fn documents_may_follow_one_another() {
    let indented = EVENT.replace(',', ",\n  ");
    let lines = indented.lines().count();
    let expected = [(1, Ok(indented.len())), (lines + 1, Ok(indented.len()))];
    assert_eq!(read(&format!("{indented}\n{indented}\n")), expected);
}

#[test]
fn the_elements_of_a_list_page_keep_their_bytes() {
    let page = format!(r#"{{"object":"list","data":[{EVENT}, {EVENT}],"has_more":true}}"#);
    assert_eq!(read(&page), [(1, WHOLE), (1, WHOLE)]);
    let indented = format!("{{\n  \"object\": \"list\",\n  \"data\": [{EVENT}]\n}}\n");
    assert_eq!(read(&indented), [(1, WHOLE)]);
}

#[test]
fn a_list_of_other_objects_is_refused_once() {
    let subscription = r#"{"id":"sub_1","object":"subscription","created":1,"livemode":true}"#;
    let elements = vec![subscription; 100].join(",");
    let page = format!(r#"{{"object":"list","data":[{elements}],"has_more":true}}"#);
    let refused = "a list of 100 objects such as `subscription`, and not of events: import pages of /v1/events";
    assert_eq!(read(&page), [(1, Err(refused.to_owned()))]);
    // Nothing else of an element is repeated.
    let odd = r#"{"object":"list","data":[{"object":"Ann Smith"},7]}"#;
    let [(1, Err(reason))] = &read(odd)[..] else { panic!("one refusal") };
    assert!(reason.starts_with("none of the 2 elements of the list is an event"), "{reason}");
    // One event makes it a page of events, and what is beside it is named for itself.
    let mixed = format!(r#"{{"object":"list","data":[{EVENT},{subscription},{subscription}]}}"#);
    assert_eq!(read(&mixed).iter().filter(|(_, it)| it.is_err()).count(), 2);
}

#[test]
fn a_bad_line_is_named_and_the_others_are_read() {
    let input = format!("{EVENT}\n{{\"id\":\nnot json\n{{}}\n{EVENT}");
    let found = read(&input);
    let bad: Vec<usize> =
        found.iter().filter(|(_, event)| event.is_err()).map(|(line, _)| *line).collect();
    assert_eq!(bad, [2, 3, 4]);
    assert_eq!(found.len(), 5);
}

#[test]
fn a_broken_first_line_does_not_turn_the_rest_into_one_document() {
    let found = read(&format!("{{\"id\":\"evt_0\",\n{EVENT}\n{EVENT}\n"));
    assert!(found[0].1.is_err());
    assert_eq!(found[1..], [(2, WHOLE), (3, WHOLE)]);
}

#[test]
fn a_broken_document_is_one_bad_record() {
    let found = read("{\n  \"id\": oops\n}\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].1.is_err());
}
