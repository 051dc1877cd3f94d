//! View of one event of the log.

use serde::Serialize;

use crate::exchange::EventRecord;
use crate::store::{LoggedEvent, Redelivery};

/// Event of the log, without its payload.
#[derive(Clone, Debug, Serialize)]
pub struct EventView {
    /// Record of the event.
    #[serde(flatten)]
    pub record: EventRecord,
    /// True if only Stripe's API has shown it: no webhook has delivered it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub never_delivered: bool,
    /// Link between a thin event and what was fetched for it, in words. Absent for other events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thin: Option<String>,
}

impl EventView {
    /// View of an event with its redeliveries, and its link to a thin event.
    pub fn new(event: LoggedEvent, redeliveries: Vec<Redelivery>, thin: Option<String>) -> Self {
        let again = redeliveries.iter().map(|it| it.count).sum();
        // What was fetched for a thin event was delivered by it.
        let never_delivered = thin.is_none() && event.is_never_delivered(again);
        let record = EventRecord::new(event, redeliveries).without_payload();
        Self { record, never_delivered, thin }
    }
}
