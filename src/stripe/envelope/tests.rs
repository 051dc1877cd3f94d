//! Envelopes of every age, and bodies that are none.

use super::*;

fn event(fields: &str) -> String {
    format!(
        r#"{{"id":"evt_1","object":"event","type":"customer.subscription.updated","created":7,
        "livemode":false,"data":{{"object":{{"id":"sub_1"}}}}{fields}}}"#
    )
}

#[test]
fn the_api_version_is_found_without_the_rest() {
    let version = |body: &str| api_version(body).map(|it| it.to_owned_string());
    assert_eq!(version(&event("")), None);
    assert_eq!(version(&event(r#","api_version":null"#)), None);
    let of_event = event(r#","api_version":"2014-08-20""#);
    assert_eq!(version(&of_event).as_deref(), Some("2014-08-20"));
    let nested = event("").replace(r#"{"id":"sub_1"}"#, r#"{"api_version":"2014-08-20"}"#);
    assert_eq!(version(&nested), None);
    assert_eq!(version("[]"), None);
    assert_eq!(version("{"), None);
}

#[test]
fn a_snapshot_event_of_any_age_is_read() {
    for request in ["", r#","request":"req_1""#, r#","request":null"#, r#","request":{"id":null}"#]
    {
        let body = event(request);
        let envelope = Envelope::parse(&body).unwrap();
        assert_eq!(envelope.id, "evt_1");
        assert_eq!(envelope.event_type, "customer.subscription.updated");
        assert_eq!((envelope.created, envelope.created_nanos), (StripeTime(7), 0));
        assert_eq!((envelope.livemode, &*envelope.account), (false, ""));
        assert_eq!(envelope.api_version, None);
        assert_eq!(envelope.object.map(RawValue::get), Some(r#"{"id":"sub_1"}"#));
    }
    let body = event(r#","account":"acct_1","api_version":"2026-03-25.dahlia","context":"x""#);
    let envelope = Envelope::parse(&body).unwrap();
    assert_eq!(&*envelope.account, "acct_1");
    assert_eq!(envelope.api_version.as_deref(), Some("2026-03-25.dahlia"));
}

#[test]
fn the_context_names_the_account_where_the_event_has_none() {
    let account = |fields: &str| Envelope::parse(&event(fields)).unwrap().account.into_owned();
    assert_eq!(account(r#","context":"acct_1""#), "acct_1");
    assert_eq!(account(r#","context":"org_1/acct_1""#), "acct_1");
    assert_eq!(account(r#","context":"acct_1/acct_2""#), "acct_2");
    assert_eq!(account(r#","context":"acct\u005f1""#), "acct_1");
    assert_eq!(account(r#","account":"acct_2","context":"acct_1""#), "acct_2");
    for none in ["null", "\"\"", "\"org_1\"", "\"acct_1/\"", "7", "{}", "[\"acct_1\"]"] {
        assert_eq!(account(&format!(r#","context":{none}"#)), "", "{none}");
    }
}

#[test]
fn a_thin_event_keeps_its_fraction_of_a_second() {
    let body = r#"{"id":"evt_2","object":"v2.core.event","type":"v1.billing.meter.no_meter_found",
        "created":"2025-10-04T15:13:32.232083866Z","livemode":true,"related_object":null}"#;
    let envelope = Envelope::parse(body).unwrap();
    assert!(envelope.is_thin);
    assert_eq!(envelope.created, StripeTime::parse("2025-10-04T15:13:32Z").unwrap());
    assert_eq!(envelope.created_nanos, 232_083_866);
    assert!(envelope.object.is_none());
    let silent = body.replace(r#""livemode":true,"#, "");
    assert!(Envelope::parse(&silent).unwrap().livemode, "what does not say is live");
}

#[test]
fn what_is_no_json_and_what_is_no_event_are_told_apart() {
    for body in ["", "not json", "{", "{}[", "\u{feff}{}"] {
        assert_eq!(Envelope::parse(body).unwrap_err(), EnvelopeError::NotJson, "{body}");
    }
    for character in (0..0x20).map(char::from) {
        for text in ["evt_1", "sub_1", "customer.subscription.updated", "\"data\""] {
            let body = event("").replacen(
                text,
                &text.replacen(['v', 'u', 'd'], &character.to_string(), 1),
                1,
            );
            assert!(Envelope::parse(&body).is_err(), "{body:?}");
        }
    }
    assert!(Envelope::parse(&event("\n\t\r ")).is_ok());
    for body in [
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        event("").replace("evt_1", ""),
        event("").replace("evt_1", r"evt\n1"),
        event("").replace("evt_1", r"evt\u00001").replace(r"\u0000", r"\u0007"),
        event("").replace("evt_1", &"x".repeat(NAME_BYTES_MAX + 1)),
        event("").replace("\"created\":7", "\"created\":\"soon\""),
        event("").replace("\"created\":7", "\"created\":99999999999999"),
        event("").replace("\"object\":\"event\"", "\"object\":\"invoice\""),
        event("").replace("\"livemode\":false,", ""),
        event("").replace(r#"{"object":{"id":"sub_1"}}"#, "7"),
        event("").replace("\"type\":", "\"kind\":"),
        event(r#","account":7"#),
    ] {
        let error = Envelope::parse(&body).unwrap_err();
        assert!(matches!(error, EnvelopeError::NotAnEvent(_)), "{body}: {error}");
    }
}
