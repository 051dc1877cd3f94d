//! Tests of every form of input, and of invalid inputs.

use super::super::record::RecordContent;
use super::*;

const EVENT: &str = r#"{"id":"evt_1","object":"event","type":"ping","created":1,"livemode":true}"#;

/// Reads an input. Returns the line of each record, with the size of its event or the reason why it is invalid.
fn read(input: &str) -> Vec<(usize, Result<usize, String>)> {
    read_bytes(input.as_bytes(), &ObjectOrigin::default())
        .into_iter()
        .map(|(line, body)| (line, body.map(|body| body.len())))
        .collect()
}

/// Reads an input. Returns the line of each record, with the body of its event or the reason why it is invalid.
fn read_bytes(input: &[u8], origin: &ObjectOrigin) -> Vec<(usize, Result<String, String>)> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1_000);
    let source = source::decode(Box::new(Cursor::new(input.to_vec()))).unwrap();
    read_source(source, "in".into(), origin, &sender).unwrap();
    drop(sender);
    let mut found = Vec::new();
    while let Some(record) = receiver.blocking_recv() {
        let bytes = record.content.map(|content| match content {
            RecordContent::Event(event)
            | RecordContent::Object { event, .. }
            | RecordContent::Exported(event, _) => event.body().unwrap().to_owned(),
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

fn subscription(id: &str) -> String {
    format!(
        r#"{{"id":"{id}", "object":"subscription","livemode":true,"items":{{"has_more":false}}}}"#
    )
}

#[test]
fn objects_without_a_time_are_refused_once_for_each_type() {
    let elements = vec![subscription("sub_1"); 100].join(",");
    let page = format!(r#"{{"object":"list","data":[{elements}],"has_more":true}}"#);
    let refused = "100 objects such as `subscription` do not say when Stripe showed them: give that time with \
                   --seen-at, such as --seen-at 2026-03-01T12:00:00Z";
    assert_eq!(read(&page), [(1, Err(refused.to_owned()))]);
    let charge = r#"{"id":"ch_1","object":"charge"}"#;
    let [(1, Err(reason))] = &read(&format!("[{charge},\n{charge}]"))[..] else { panic!("once") };
    assert!(
        reason.starts_with("2 objects such as `charge`, which the ledger does not"),
        "{reason}"
    );
    // Nothing else of an element is repeated.
    let found = read(r#"{"object":"list","data":[{"object":"Ann Smith"},7]}"#);
    let [(1, Err(objects)), (1, Err(others))] = &found[..] else { panic!("{found:?}") };
    assert!(objects.starts_with("1 objects that are not Stripe's"), "{objects}");
    assert!(others.starts_with("1 elements that are not objects"), "{others}");
    // Events beside them are read.
    let mixed = format!(r#"{{"object":"list","data":[{EVENT},{0},{0}]}}"#, subscription("sub_1"));
    let found = read(&mixed);
    assert_eq!((&found[0], found.len()), (&(1, WHOLE), 2));
}

#[test]
fn objects_become_observations_of_the_time_and_account_that_are_stated() {
    let origin = ObjectOrigin {
        seen_at: Some(crate::time::StripeTime(1_700_000_000)),
        account: "acct_1".into(),
        livemode: false,
    };
    let object = subscription("sub_1");
    let deleted = r#"{"id":"cus_1","object":"customer","deleted":true}"#;
    let page = format!(r#"{{"object":"list","data":[{object},{deleted}]}}"#);
    let found = read_bytes(page.as_bytes(), &origin);
    let bodies: Vec<_> = found.into_iter().map(|(_, body)| body.unwrap()).collect();
    let [seen, gone] = &bodies[..] else { panic!("{bodies:?}") };
    let seen = crate::stripe::Envelope::parse(seen).unwrap();
    assert_eq!(seen.object.unwrap().get(), object);
    assert_eq!((&*seen.account, seen.livemode, seen.created.0), ("acct_1", true, 1_700_000_000));
    let gone = crate::stripe::Envelope::parse(gone).unwrap();
    assert_eq!(&*gone.event_type, "subledger.observation.customer.deleted");
    assert!(!gone.livemode, "its mode is the one that is stated");
    for form in [
        format!("{object}\n{deleted}\n"),
        format!("[{object},{deleted}]"),
        format!("[{{\"object\":\"list\",\"data\":[{object}]}}]\n[\n{deleted}\n]\n"),
        format!("{{\"object\":\"search_result\",\n\"data\":[{object}]\n}}\n[[{deleted}]]"),
    ] {
        let found = read_bytes(form.as_bytes(), &origin);
        let found: Vec<_> = found.into_iter().map(|(_, body)| body.unwrap()).collect();
        assert_eq!(found, bodies, "{form}");
    }
}

#[test]
fn arrays_are_read_by_element_among_other_values() {
    let indented = format!("[\n  {EVENT},\n  {EVENT}\n]");
    assert_eq!(read(&indented), [(2, WHOLE), (3, WHOLE)]);
    assert_eq!(
        read(&format!("[]\n{EVENT}\n[{EVENT}]{EVENT}\n")),
        [(2, WHOLE), (3, WHOLE), (3, WHOLE)]
    );
    assert_eq!(read(&format!("[info] on\n{EVENT}\n"))[1..], [(2, WHOLE)]);
    let cut = read(&format!("[{EVENT},\n{{\"id\":"));
    assert_eq!(cut, [(1, WHOLE), (2, Err("not JSON: the value has no end".to_owned()))]);
    assert_eq!(read(&format!("[{EVENT}"))[1].1, Err("the array has no end".to_owned()));
}

#[test]
fn gzip_of_several_members_is_read_whatever_its_name() {
    use flate2::write::GzEncoder;
    use std::io::Write as _;
    let member = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let bytes = [member(&format!("\u{feff}{EVENT}\n")), member(&format!("[{EVENT}]\n"))].concat();
    let found = read_bytes(&bytes, &ObjectOrigin::default());
    assert_eq!(found, [(1, Ok(EVENT.to_owned())), (2, Ok(EVENT.to_owned()))]);
}

#[test]
fn a_file_of_another_format_is_refused_once_with_a_hint() {
    for (input, said) in [
        (&b"user_id,active\n7,true\n8,false\n"[..], "CSV: import the JSON"),
        (b"<!doctype html>\n<html>\n", "HTML or XML"),
        (b"PK\x03\x04\x14\x00\x09\x00\x08\x00", "an encrypted zip archive"),
        (b"\x89PNG\r\n\x1a\n\x00", "a binary file"),
        (b"hello\nworld\n", "not JSON: import"),
    ] {
        let found = read_bytes(input, &ObjectOrigin::default());
        let [(1, Err(reason))] = &found[..] else { panic!("{found:?}") };
        assert!(reason.starts_with(said), "{reason}");
    }
    // One odd line before events is only a bad line.
    assert_eq!(read(&format!("a,b\n{EVENT}\n"))[1..], [(2, WHOLE)]);
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
