//! Uniqueness of event ids, checked without the index that enforces it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use super::VerifyReport;
use crate::ids::Position;
use crate::store::{Damage, EventFacts, Log, StoreError};

/// Events that are read at once to compare their ids.
const COMPARED_AT_ONCE: usize = 256;

/// Hash of an identity: id, account and mode. Two equal hashes are a reason to compare the identities.
pub(super) fn hash(facts: &EventFacts, keys: &RandomState) -> u64 {
    keys.hash_one((&facts.event_id, &facts.scope))
}

/// Hash of each identity with its position: sixteen bytes an event.
#[derive(Debug, Default)]
pub(super) struct EventIds(Vec<(u64, Position)>);

impl EventIds {
    pub(super) fn note(&mut self, hash: u64, position: Position) {
        self.0.push((hash, position));
    }

    /// Reports every event whose id the log also has at an earlier position. Returns the number of distinct ids.
    pub(super) async fn compare(
        mut self,
        log: &Log,
        report: &mut VerifyReport,
    ) -> Result<i64, StoreError> {
        self.0.sort_unstable();
        let alike = self.0.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1);
        let mut repeated = BTreeMap::new();
        for alike in alike {
            let mut first = BTreeMap::new();
            for some in alike.chunks(COMPARED_AT_ONCE) {
                let positions: Vec<_> = some.iter().map(|(_, position)| *position).collect();
                let entries = log.entries_at(&positions).await?.into_iter();
                let events = entries.filter_map(|it| it.map_or_else(Damage::into_rest, Some));
                for event in events {
                    let identity = (event.facts.event_id, event.facts.scope);
                    let (at, id) = (event.position, identity.0.clone());
                    let earlier = *first.entry(identity).or_insert(at);
                    if earlier != at {
                        repeated.insert(at, (id, earlier));
                    }
                }
            }
        }
        let distinct = self.0.len() - repeated.len();
        for (position, (id, earlier)) in repeated {
            let message = format!("the log has {id} at position {earlier} already");
            report.find(Some(position), message);
        }
        Ok(i64::try_from(distinct).unwrap_or(i64::MAX))
    }
}
