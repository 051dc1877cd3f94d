//! Admission of exported events to a log that has events already.
//!
//! Anybody can write a line of an export. A log that is not empty therefore takes only its payload, and only the source
//! that a signature over the payload proves.

use crate::store::{EventFacts, EventSource, NewEvent};
use crate::stripe::Verifier;
use crate::stripe::envelope::Envelope;
use crate::time::StripeTime;

/// Advice for records that only a restore accepts.
const RESTORE: &str = "import the whole export into an empty ledger";

/// Event that may be appended.
pub(super) struct AdmittedEvent {
    pub(super) event: NewEvent,
    /// True if the line has a source that no signature proves.
    pub(super) unproven: bool,
}

/// Checks an exported event. Returns it as it may be appended, or the reason why it may not.
///
/// Its source is `webhook` if a secret that may sign such an event verifies the signature header; otherwise it is
/// `import`.
pub(super) fn admit(
    exported: &NewEvent,
    verifier: Option<&Verifier>,
) -> Result<AdmittedEvent, String> {
    if exported.source() == EventSource::Subledger {
        return Err(format!("a record of Subledger itself can only be restored: {RESTORE}"));
    }
    let Some(body) = exported.body() else {
        return Err(format!("an event without payload can only be restored: {RESTORE}"));
    };
    let envelope = Envelope::parse(body).map_err(|error| error.to_string())?;
    let signed_with = match (exported.source(), exported.signature(), verifier) {
        (EventSource::Webhook, Some(signature), Some(verifier)) => {
            // The verifier has no tolerance, so the time does not matter.
            let signers =
                verifier.verify(Some(signature.as_bytes()), body.as_bytes(), StripeTime(0));
            signers.ok().and_then(|it| it.signer_for(&envelope.scope()).ok())
        }
        _ => None,
    };
    let signature = exported.signature().filter(|_| signed_with.is_some()).map(str::to_owned);
    let source = if signed_with.is_some() { EventSource::Webhook } else { EventSource::Import };
    let mut facts = EventFacts::from(&envelope);
    // The API lists the events of a connected account without naming it.
    if exported.source() == EventSource::Api && facts.scope.account.as_str().is_empty() {
        facts.scope.account.clone_from(&exported.facts().scope.account);
    }
    let event = NewEvent::new(facts, source, signature, body.to_owned())
        .map_err(|error| error.to_string())?
        .signed_with(signed_with);
    Ok(AdmittedEvent { event, unproven: exported.source() != source })
}
