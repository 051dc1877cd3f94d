//! Admission of exported events to a log that has events of its own.
//!
//! A line of an export can be written by anybody. A log that is not empty therefore takes from it the payload
//! alone, and what a signature over that payload proves.

use crate::store::{EventFacts, NewEvent, Source};
use crate::stripe::Verifier;
use crate::stripe::envelope::Envelope;
use crate::time::StripeTime;

/// The way out for records that are taken by a restore alone.
const RESTORE: &str = "a restore takes it: import the whole export into an empty ledger";

/// An event that may be appended.
pub(super) struct Admitted {
    pub(super) event: NewEvent,
    /// Whether the line named a source that no signature proves.
    pub(super) unproven: bool,
}

/// The event of a line as it may be appended, or the reason why it may not.
///
/// Its source is `webhook`, with the signature header, if that header verifies; it is `import` otherwise.
pub(super) fn admit(exported: &NewEvent, verifier: Option<&Verifier>) -> Result<Admitted, String> {
    if exported.source() == Source::Subledger {
        return Err(format!("it is a record of Subledger itself; only {RESTORE}"));
    }
    let Some(body) = exported.body() else {
        return Err(format!("its payload was erased; only {RESTORE}"));
    };
    let envelope = Envelope::parse(body).map_err(|error| error.to_string())?;
    let signature = match (exported.source(), exported.signature(), verifier) {
        (Source::Webhook, Some(signature), Some(verifier)) => {
            // The verifier has no tolerance, so the time does not matter.
            let verified =
                verifier.verify(Some(signature.as_bytes()), body.as_bytes(), StripeTime(0));
            verified.is_ok().then(|| signature.to_owned())
        }
        _ => None,
    };
    let source = if signature.is_some() { Source::Webhook } else { Source::Import };
    let facts = EventFacts::from(&envelope);
    let event = NewEvent::new(facts, source, signature, body.to_owned())
        .map_err(|error| error.to_string())?;
    Ok(Admitted { event, unproven: exported.source() != source })
}
