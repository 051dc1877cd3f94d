//! Canonical record of an event, which its leaf in the Merkle tree commits to.
//!
//! The record has only salted hashes of the payload and the signature, so that every proof stays valid after an erasure
//! and reveals nothing. (The hash of a signature that an earlier version logged has no salt.)

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::facts::{EventFacts, EventSource};
use crate::time::ReceivedAt;
use crate::tree::{self, Hash};

/// First line of a record: the version of the format.
const VERSION: &str = "subledger-event-v1";

/// Computes `SHA-256(salt || payload)`.
pub fn payload_hash(salt: &[u8; 16], payload: &str) -> Hash {
    Sha256::new().chain_update(salt).chain_update(payload).finalize().into()
}

/// Record of an event.
pub(super) struct Record<'a> {
    pub(super) facts: &'a EventFacts,
    pub(super) source: EventSource,
    pub(super) signature_hash: Option<Hash>,
    pub(super) payload_hash: &'a Hash,
    pub(super) received_at: ReceivedAt,
}

impl Record<'_> {
    pub(super) fn leaf_hash(&self) -> Hash {
        tree::leaf(self.text().as_bytes())
    }

    /// Writes the canonical text, one part on each line.
    fn text(&self) -> String {
        let mut text = String::with_capacity(RECORD_BYTES);
        let mut line = |part: &str| {
            text.push_str(part);
            text.push('\n');
        };
        let facts = self.facts;
        line(VERSION);
        line(facts.scope.account.as_str());
        line(if facts.scope.livemode { "true" } else { "false" });
        line(facts.event_id.as_str());
        line(&facts.event_type);
        let mut created = facts.created.0.to_string();
        if facts.created_nanos != 0 {
            // Writing to a String cannot fail.
            let _ = write!(created, ".{:09}", facts.created_nanos);
        }
        line(&created);
        line(&self.received_at.0.to_string());
        line(self.source.as_str());
        line(&self.signature_hash.map(hex::encode).unwrap_or_default());
        line(&hex::encode(self.payload_hash));
        text
    }
}

/// Capacity for a usual record, in bytes, so that writing it allocates once.
const RECORD_BYTES: usize = 384;

#[cfg(test)]
mod tests {
    use super::super::signature::signature_hash;
    use super::*;
    use crate::ids::Scope;
    use crate::time::StripeTime;

    fn text(created_nanos: u32, signature: Option<&str>, received_at: i64) -> String {
        let facts = EventFacts {
            scope: Scope { account: "acct_1".into(), livemode: true },
            event_id: "evt_1".into(),
            event_type: "customer.created".to_owned(),
            api_version: Some("2020-08-27".to_owned()),
            created: StripeTime(1_700_000_000),
            created_nanos,
        };
        let record = Record {
            facts: &facts,
            source: EventSource::Webhook,
            signature_hash: signature.map(|it| signature_hash(None, it)),
            payload_hash: &payload_hash(&[7; 16], "{}"),
            received_at: ReceivedAt(received_at),
        };
        record.text()
    }

    #[test]
    fn the_record_is_this_text() {
        assert_eq!(
            text(0, Some("t=1,v1=ab"), 1_700_000_000_000_001),
            "subledger-event-v1\nacct_1\ntrue\nevt_1\ncustomer.created\n1700000000\n\
             1700000000000001\nwebhook\n\
             3ea0a4e0d7d4e9f0\n"
                .replace("3ea0a4e0d7d4e9f0", &hex::encode(Sha256::digest("t=1,v1=ab")))
                + &hex::encode(Sha256::digest([&[7; 16][..], b"{}"].concat()))
                + "\n"
        );
    }

    #[test]
    fn a_fraction_is_written_where_there_is_one_and_no_signature_is_an_empty_line() {
        let record = text(60_000_000, None, 1);
        assert!(record.contains("\n1700000000.060000000\n1\nwebhook\n\n"), "{record}");
    }
}
