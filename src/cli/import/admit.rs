//! Admission of exported events to a log that has events of its own.
//!
//! A line of an export can be written by anybody. A log that is not empty therefore takes from it the payload
//! alone, and what a signature over that payload proves.

use crate::store::{EventFacts, EventSource, NewEvent};
use crate::stripe::Verifier;
use crate::stripe::envelope::Envelope;
use crate::time::StripeTime;

/// The way out for records that are taken by a restore alone.
const RESTORE: &str = "a restore takes it: import the whole export into an empty ledger";

/// An event that may be appended.
pub(super) struct AdmittedEvent {
    pub(super) event: NewEvent,
    /// True if the line named a source that no signature proves.
    pub(super) unproven: bool,
}

/// The event of a line as it may be appended, or the reason why it may not.
///
/// Its source is `webhook`, with the signature header, if a secret that may vouch for such an event verifies
/// that header; it is `import` otherwise.
pub(super) fn admit(
    exported: &NewEvent,
    verifier: Option<&Verifier>,
) -> Result<AdmittedEvent, String> {
    if exported.source() == EventSource::Subledger {
        return Err(format!("it is a record of Subledger itself; only {RESTORE}"));
    }
    let Some(body) = exported.body() else {
        return Err(format!("its payload was erased; only {RESTORE}"));
    };
    let envelope = Envelope::parse(body).map_err(|error| error.to_string())?;
    let signed_with = match (exported.source(), exported.signature(), verifier) {
        (EventSource::Webhook, Some(signature), Some(verifier)) => {
            // The verifier has no tolerance, so the time does not matter.
            let signers =
                verifier.verify(Some(signature.as_bytes()), body.as_bytes(), StripeTime(0));
            signers.ok().and_then(|it| it.vouching_for(&envelope.scope()).ok())
        }
        _ => None,
    };
    let signature = exported.signature().filter(|_| signed_with.is_some()).map(str::to_owned);
    let source = if signed_with.is_some() { EventSource::Webhook } else { EventSource::Import };
    let facts = EventFacts::from(&envelope);
    let event = NewEvent::new(facts, source, signature, body.to_owned())
        .map_err(|error| error.to_string())?
        .signed_with(signed_with);
    Ok(AdmittedEvent { event, unproven: exported.source() != source })
}
