//! Records to events and back, and the fields that a proof covers.

use super::*;
use crate::store::payload_hash;

/// A thin event, because only such have a fraction of a second.
fn record() -> EventRecord {
    let payload = r#"{"id":"evt_1","object":"v2.core.event","type":"v1.x","livemode":true,
        "account":"acct_1","created":"2026-03-01T00:00:00.5Z"}"#;
    EventRecord {
        position: Position(1),
        event_id: "evt_1".into(),
        account: "acct_1".into(),
        livemode: true,
        r#type: "v1.x".to_owned(),
        api_version: None,
        created: StripeTime::parse("2026-03-01T00:00:00Z").unwrap(),
        created_nanos: 500_000_000,
        received_at: ReceivedAt(0),
        source: "webhook".to_owned(),
        signature: None,
        signature_salt: None,
        signature_hash: None,
        salt: Some(hex::encode([7; 16])),
        payload_hash: hex::encode(payload_hash(&[7; 16], payload)),
        payload: Some(payload.to_owned()),
        erased: false,
        redeliveries: Vec::new(),
        signed_with: Some("live:1f3a5b7c".to_owned()),
    }
}

type Change = fn(&mut EventRecord);

#[test]
fn a_record_must_say_what_its_payload_says() {
    let (event, _) = record().into_event().unwrap();
    assert_eq!(event.facts().created_nanos, 500_000_000);
    let cases: [(&str, Change); 6] = [
        ("event_id", |it| it.event_id = "evt_2".into()),
        ("account", |it| it.account = AccountId::default()),
        ("livemode", |it| it.livemode = false),
        ("type", |it| it.r#type = "v1.y".to_owned()),
        ("created", |it| it.created.0 += 1),
        ("created_nanos", |it| it.created_nanos = 0),
    ];
    for (field, change) in cases {
        let mut changed = record();
        change(&mut changed);
        let error = changed.into_event().unwrap_err();
        assert_eq!(error.to_string(), format!("`{field}` is not what the payload says"));
    }
}

#[test]
fn a_signer_that_no_log_names_is_refused() {
    let signed_with = Some("live:whsec_1f3a".to_owned());
    let error = EventRecord { signed_with, ..record() }.into_event().unwrap_err();
    assert_eq!(error.to_string(), "`signed_with` is not in the form that an export has");
}

#[test]
fn an_api_version_is_the_payloads_or_is_taken_from_it() {
    let version_of = |said: Option<&str>| {
        let payload = record().payload.unwrap().replace("v2.core.event", "event");
        let payload = payload.replace(
            r#""2026-03-01T00:00:00.5Z""#,
            r#"1772323200,"api_version":"2026-03-25.dahlia""#,
        );
        let hash = hex::encode(payload_hash(&[7; 16], &payload));
        let mut told = EventRecord { created_nanos: 0, payload_hash: hash, ..record() };
        (told.api_version, told.payload) = (said.map(str::to_owned), Some(payload));
        told.into_event().map(|(event, _)| event.facts().api_version.clone())
    };
    for said in [None, Some("2026-03-25.dahlia")] {
        assert_eq!(version_of(said).unwrap().as_deref(), Some("2026-03-25.dahlia"));
    }
    let error = version_of(Some("2014-06-17")).unwrap_err();
    assert_eq!(error.to_string(), "`api_version` is not what the payload says");
}

#[test]
fn the_keys_are_those_of_a_record() {
    let redelivery = RedeliveryRecord {
        payload_hash: String::new(),
        api_version: None,
        first_received_at: ReceivedAt(0),
        last_received_at: ReceivedAt(0),
        count: 1,
        payload: None,
    };
    let whole = EventRecord {
        erased: true,
        signature_salt: Some(String::new()),
        signature_hash: Some(String::new()),
        redeliveries: vec![redelivery],
        ..record()
    };
    let text = serde_json::to_string(&whole).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value.as_object().unwrap().len(), EventRecord::KEYS.len());
    let at = EventRecord::KEYS.map(|key| text.find(&format!("\"{key}\":")).unwrap());
    assert!(at.is_sorted(), "{text}");
}

#[test]
fn a_signature_is_the_hashed_one_or_its_hash_alone() {
    let salt = signature_salt(&[7; 16]);
    let hash = hex::encode(signature_hash(Some(&salt), "t=1,v1=ab"));
    let salt = hex::encode(salt);
    let (mut signed, mut erased) = (record(), record());
    (signed.signature, signed.signature_salt) = (Some("t=1,v1=ab".to_owned()), Some(salt));
    (erased.signature_hash, erased.salt, erased.payload) = (Some(hash), None, None);
    let leaf = |record: EventRecord| Ok(record.into_event()?.0.leaf_hash(ReceivedAt(0)));
    let same: Result<_, BadRecord> = leaf(signed.clone());
    assert_eq!(leaf(signed.clone().without_payload()).unwrap(), same.unwrap());
    assert_eq!(leaf(erased).unwrap(), leaf(signed.clone()).unwrap());
    let mut edited = signed.clone().without_payload();
    edited.signature = Some("t=1,v1=ac".to_owned());
    assert_ne!(leaf(edited).unwrap(), leaf(signed.clone()).unwrap());
    let mut both = signed;
    both.signature_hash = Some(hex::encode([0; 32]));
    let error = leaf(both).unwrap_err();
    assert_eq!(error.to_string(), "`signature_hash` is not in the form that an export has");
}

#[test]
fn every_field_that_is_called_covered_changes_the_leaf_or_is_refused() {
    let leaf = |record: &EventRecord| {
        let (event, _) = record.clone().into_event().ok()?;
        Some(event.leaf_hash(record.received_at))
    };
    let mut bare = record();
    (bare.salt, bare.payload) = (None, None);
    let changes: [(&str, Change); 14] = [
        ("event_id", |it| it.event_id = "evt_2".into()),
        ("account", |it| it.account = AccountId::default()),
        ("livemode", |it| it.livemode = false),
        ("type", |it| it.r#type = "v1.y".to_owned()),
        ("created", |it| it.created.0 += 1),
        ("created_nanos", |it| it.created_nanos = 0),
        ("received_at", |it| it.received_at.0 += 1),
        ("source", |it| it.source = "api".to_owned()),
        ("signature", |it| it.signature = Some(String::new())),
        ("signature_salt", |it| it.signature_salt = Some(hex::encode([9; 16]))),
        ("signature_hash", |it| it.signature_hash = Some(hex::encode([0; 32]))),
        ("payload_hash", |it| it.payload_hash = hex::encode([0; 32])),
        ("salt", |it| it.salt = Some(hex::encode([8; 16]))),
        ("payload", |it| it.payload = Some("{}".to_owned())),
    ];
    assert_eq!(changes.len() + 1, EventRecord::COVERED.len(), "all but the position");
    for (field, change) in changes {
        for original in [record(), bare.clone()] {
            let mut changed = original.clone();
            change(&mut changed);
            assert!(original.covered_by_proof().contains(&field), "{field}");
            assert_ne!(leaf(&changed), leaf(&original), "{field}");
        }
    }
    for (field, change) in [
        ("api_version", (|it| it.api_version = Some("2014-06-17".to_owned())) as Change),
        ("erased", |it| it.erased = true),
        ("signed_with", |it| it.signed_with = Some("test:1f3a5b7c".to_owned())),
    ] {
        let mut changed = record();
        change(&mut changed);
        assert!(!changed.covered_by_proof().contains(&field), "{field}");
        assert_eq!(leaf(&changed), leaf(&record()), "{field}");
    }
}

#[test]
fn without_a_payload_the_fields_stand_alone() {
    let mut erased = record();
    (erased.salt, erased.payload, erased.created_nanos) = (None, None, 0);
    assert!(erased.into_event().is_ok());
}
