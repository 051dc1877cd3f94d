//! Reference of a thin event: the event with the snapshot, and the object, that it names and does not contain.
//!
//! Its references become part of a request to Stripe's API, so they are read strictly: nothing but a plain path below
//! `/v1/` is ever asked for.

use serde::Deserialize;

use super::ObjectType;
use super::envelope::NAME_BYTES_MAX;
use super::json::{MaybeText, Text};
use super::observation::OBJECT;

/// Beginning of the type of a thin event that has a twin with a snapshot.
pub const TWIN_PREFIX: &str = "v1.";

/// Greatest length of the path of an object, in bytes. Stripe's are far shorter.
const PATH_BYTES_MAX: usize = 512;

/// Value of the field `object` of a thin event.
const THIN_OBJECT: &str = "v2.core.event";

/// Reference of a thin event. At least one of its fields is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThinReference {
    /// Id of the event with the snapshot, `evt_…`.
    pub snapshot_event: Option<String>,
    /// Object that the event is about.
    pub object: Option<RelatedObject>,
}

/// Object that a thin event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelatedObject {
    /// Id of the object.
    pub id: String,
    /// Path of the object in Stripe's API, such as `/v1/subscriptions/sub_1`. It has no host, query or dots.
    pub path: String,
}

/// Reason why the reference of a thin event cannot be read. It contains nothing of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableReference {
    /// The body is not a thin event.
    #[error("the body is not a thin event")]
    NotThin,
    /// `snapshot_event` is no id.
    #[error("`snapshot_event` is no id")]
    SnapshotEvent,
    /// `related_object.id` is no id.
    #[error("`related_object.id` is no id")]
    ObjectId,
    /// `related_object.url` is no path below `/v1/`.
    #[error("`related_object.url` is no plain path below /v1/")]
    ObjectPath,
    /// It names neither an event nor an object.
    #[error("it names neither an event nor an object")]
    Nothing,
}

/// Type of the event with the snapshot. None if the ledger does not fold events of that type, so that there is
/// nothing to fetch.
pub fn folded_twin(event_type: &str) -> Option<&str> {
    let twin = event_type.strip_prefix(TWIN_PREFIX)?;
    // An observation is the ledger's own, and has no twin.
    (ObjectType::from_event_type(twin).is_some() && !twin.starts_with(OBJECT)).then_some(twin)
}

impl ThinReference {
    /// Reads the reference of a body.
    pub fn read(body: &str) -> Result<Self, UnreadableReference> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            object: Text<'a>,
            #[serde(borrow, default)]
            snapshot_event: Option<MaybeText<'a>>,
            #[serde(borrow, default)]
            related_object: Option<Related<'a>>,
        }
        #[derive(Deserialize)]
        struct Related<'a> {
            #[serde(borrow, default)]
            id: MaybeText<'a>,
            #[serde(borrow, default)]
            url: MaybeText<'a>,
        }
        let body: Body<'_> =
            serde_json::from_str(body).map_err(|_| UnreadableReference::NotThin)?;
        if &*body.object != THIN_OBJECT {
            return Err(UnreadableReference::NotThin);
        }
        let snapshot_event = match body.snapshot_event {
            None => None,
            Some(MaybeText(text)) => {
                let id = text.filter(|it| is_event_id(it));
                Some(id.ok_or(UnreadableReference::SnapshotEvent)?.to_owned_string())
            }
        };
        let object = match body.related_object {
            None => None,
            Some(Related { id: MaybeText(id), url: MaybeText(url) }) => {
                let id = id.filter(|it| is_object_id(it)).ok_or(UnreadableReference::ObjectId)?;
                let path = url.filter(|it| is_path(it)).ok_or(UnreadableReference::ObjectPath)?;
                Some(RelatedObject { id: id.to_owned_string(), path: path.to_owned_string() })
            }
        };
        if snapshot_event.is_none() && object.is_none() {
            return Err(UnreadableReference::Nothing);
        }
        Ok(Self { snapshot_event, object })
    }
}

fn is_event_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

/// True for the id of an object. Products and prices have ids of the account's own choice, often with a hyphen.
fn is_object_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

/// True for a path of plain segments below `/v1/`.
fn is_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("/v1/") else { return false };
    text.len() <= PATH_BYTES_MAX && rest.split('/').all(is_object_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(snapshot: &str, related: &str) -> String {
        format!(
            r#"{{"id":"evt_1","object":"v2.core.event","type":"v1.customer.updated","created":"2026-01-01T00:00:00Z",
            "snapshot_event":{snapshot},"related_object":{related}}}"#
        )
    }

    fn related(id: &str, url: &str) -> String {
        serde_json::json!({ "id": id, "type": "customer", "url": url }).to_string()
    }

    #[test]
    fn a_reference_names_an_event_and_an_object() {
        let customer = related("cus_1", "/v1/customers/cus_1");
        let object =
            RelatedObject { id: "cus_1".to_owned(), path: "/v1/customers/cus_1".to_owned() };
        let whole = ThinReference::read(&body("\"evt_2\"", &customer)).unwrap();
        assert_eq!(whole.snapshot_event.as_deref(), Some("evt_2"));
        assert_eq!(whole.object, Some(object.clone()));
        let without_event = ThinReference::read(&body("null", &customer)).unwrap();
        let expected = ThinReference { snapshot_event: None, object: Some(object) };
        assert_eq!(without_event, expected);
        let without_object = ThinReference::read(&body("\"evt_2\"", "null")).unwrap();
        assert_eq!(without_object.object, None);
        let own_id = related("gold-monthly", "/v1/products/gold-monthly");
        assert!(ThinReference::read(&body("null", &own_id)).is_ok());
    }

    #[test]
    fn nothing_but_a_plain_path_is_read() {
        for url in [
            "",
            "https://evil.example/v1/customers/cus_1",
            "//evil.example/v1/customers",
            "/v2/customers/cus_1",
            "/v1/",
            "/v1",
            "/v1//cus_1",
            "/v1/customers/",
            "/v1/customers/../accounts",
            "/v1/customers/cus_1.json",
            "/v1/customers/cus_1?expand[]=x",
            "/v1/customers/cus_1#x",
            "/v1/customers/%2e%2e/accounts",
            "/v1/customers/cus_1\\x",
            "/v1/customers/@evil.example",
            "/v1/customers/cus 1",
            "/v1/customers/ç",
        ] {
            let read = ThinReference::read(&body("\"evt_2\"", &related("cus_1", url)));
            assert_eq!(read, Err(UnreadableReference::ObjectPath), "{url}");
        }
        let long = format!("/v1/customers/{}", "a/".repeat(300) + "a");
        let read = ThinReference::read(&body("null", &related("cus_1", &long)));
        assert_eq!(read, Err(UnreadableReference::ObjectPath));
    }

    #[test]
    fn ids_are_plain_and_short() {
        let long = "a".repeat(256);
        for id in ["", "evt_1/../x", "evt 1", "evt_1?", "evt-1", "évt", long.as_str()] {
            let quoted = serde_json::Value::from(id).to_string();
            let read = ThinReference::read(&body(&quoted, "null"));
            assert_eq!(read, Err(UnreadableReference::SnapshotEvent), "{id}");
        }
        for id in ["", "cus_1/x", "cus_1\u{0}", long.as_str()] {
            let read = ThinReference::read(&body("\"evt_1\"", &related(id, "/v1/customers/cus_1")));
            assert_eq!(read, Err(UnreadableReference::ObjectId), "{id}");
        }
        assert_eq!(
            ThinReference::read(&body("7", "null")),
            Err(UnreadableReference::SnapshotEvent)
        );
        assert_eq!(ThinReference::read(&body("null", "null")), Err(UnreadableReference::Nothing));
        for other in ["", "{}", "[]", r#"{"object":"event","snapshot_event":"evt_1"}"#] {
            assert_eq!(ThinReference::read(other), Err(UnreadableReference::NotThin), "{other}");
        }
    }

    #[test]
    fn only_twins_of_events_that_are_folded_are_worth_fetching() {
        let twin = "customer.subscription.updated";
        assert_eq!(folded_twin("v1.customer.subscription.updated"), Some(twin));
        assert_eq!(folded_twin("v1.invoice.paid"), Some("invoice.paid"));
        for other in [
            "customer.subscription.updated",
            "v1.billing.meter.error_report_triggered",
            "v1.charge.refunded",
            "v2.core.account.created",
            "v1.subledger.observation.customer",
            "v1.",
            "",
        ] {
            assert_eq!(folded_twin(other), None, "{other}");
        }
    }
}
