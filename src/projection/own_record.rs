//! Records of the ledger's own, in the form of Stripe's events, so that a reader of the log needs to know no other.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ids::{EventId, Scope};
use crate::time::StripeTime;

#[derive(Serialize, Deserialize)]
struct Body<O> {
    id: String,
    object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    created: i64,
    livemode: bool,
    r#type: String,
    data: Data<O>,
}

#[derive(Serialize, Deserialize)]
struct Data<O> {
    object: O,
}

/// Reads the record of a type from the body of an event. None if the body is no such record.
pub(super) fn read<O: DeserializeOwned>(event_type: &str, body: &str) -> Option<O> {
    let body: Body<O> = serde_json::from_str(body).ok()?;
    (body.r#type == event_type).then_some(body.data.object)
}

/// Writes the body of a record's event.
pub(super) fn write<O: Serialize>(
    event_type: &str,
    id: &EventId,
    scope: &Scope,
    at: StripeTime,
    object: O,
) -> String {
    let account = scope.account.as_str();
    let body = Body {
        id: id.as_str().to_owned(),
        object: "event".to_owned(),
        account: (!account.is_empty()).then(|| account.to_owned()),
        created: at.0,
        livemode: scope.livemode,
        r#type: event_type.to_owned(),
        data: Data { object },
    };
    // Text, numbers and lists of them are always written.
    serde_json::to_string(&body).unwrap_or_default()
}
