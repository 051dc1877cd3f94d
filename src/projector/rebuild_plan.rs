//! Plan of a rebuild: the least work that is right, and the reason.

use std::fmt;

use super::generation::{is_of_this_log, stored_logic};
use super::progress::grouped;
use crate::projection::Logic;
use crate::store::{FoldLayer, Generation, GenerationLogic, Store, StoreError, layer_fingerprint};

/// Plan of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildPlan {
    /// Source of the rows.
    pub source: RebuildSource,
    /// Rules that differ from those of the live generation.
    pub differing: Vec<&'static str>,
}

/// Source of the rows of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildSource {
    /// States of the customers in the fold layer of the live generation, which this program would fold in the same way.
    States {
        /// Fold layer.
        layer: FoldLayer,
        /// Number of customers.
        customers: i64,
    },
    /// Log, from its beginning.
    Log(FromLog),
}

/// Reason why a rebuild begins at the first event of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromLog {
    /// The caller asked for it.
    Asked,
    /// No generation of this log is live.
    NothingToShare,
    /// The live generation was folded by another version of the fold, or into other tables.
    OtherFold,
    /// A state cannot be read.
    Damaged,
}

impl RebuildPlan {
    /// Plans a rebuild with this logic.
    pub(super) async fn new(
        store: &Store,
        logic: &Logic,
        is_log_asked: bool,
    ) -> Result<Self, StoreError> {
        let ours = stored_logic(store.read_model.projections(), logic);
        let live = store.read_model.live().await?;
        let differing = live.as_ref().map(|live| differing_rules(&live.logic, &ours));
        let source = match live {
            _ if is_log_asked => RebuildSource::Log(FromLog::Asked),
            None => RebuildSource::Log(FromLog::NothingToShare),
            Some(live) => source(store, &live, &ours).await?,
        };
        Ok(Self { source, differing: differing.unwrap_or_default() })
    }

    /// Plan for a layer that turned out to be damaged.
    pub(super) fn without_states(self) -> Self {
        Self { source: RebuildSource::Log(FromLog::Damaged), ..self }
    }
}

async fn source(
    store: &Store,
    live: &Generation,
    ours: &GenerationLogic,
) -> Result<RebuildSource, StoreError> {
    if !is_of_this_log(store, live).await? {
        return Ok(RebuildSource::Log(FromLog::NothingToShare));
    }
    let layer = match live.layer {
        Some(layer) => store.read_model.layer(layer).await?,
        None => None,
    };
    let same_fold = |it: &FoldLayer| it.fingerprint == layer_fingerprint(ours.fold_version);
    let Some(layer) = layer.filter(same_fold) else {
        return Ok(RebuildSource::Log(FromLog::OtherFold));
    };
    let customers = store.read_model.customer_count(live.tables()).await?;
    Ok(RebuildSource::States { layer, customers })
}

/// Rules that differ between two generations. The schema is known by its hash alone, so it is named if nothing else
/// explains the difference.
pub(super) fn differing_rules(old: &GenerationLogic, new: &GenerationLogic) -> Vec<&'static str> {
    let mut rules = Vec::new();
    for (name, differs) in [
        ("policy", old.policy != new.policy),
        ("user keys", old.user_keys != new.user_keys),
        ("version of the fold", old.fold_version != new.fold_version),
    ] {
        rules.extend(differs.then_some(name));
    }
    if rules.is_empty() && old.fingerprint != new.fingerprint {
        rules.push("schema");
    }
    rules
}

impl fmt::Display for RebuildPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let customers = match &self.source {
            RebuildSource::States { customers, .. } => *customers,
            RebuildSource::Log(FromLog::Asked) => return f.write_str("as asked: from the log"),
            RebuildSource::Log(FromLog::NothingToShare) => {
                return f.write_str("no generation of this log is live: from the log");
            }
            RebuildSource::Log(FromLog::OtherFold) => {
                return f.write_str("the fold differs: from the log");
            }
            RebuildSource::Log(FromLog::Damaged) => {
                return f.write_str("a state of a customer cannot be read: from the log");
            }
        };
        match &*self.differing {
            [] => f.write_str("no rule differs")?,
            [rule] if rule.ends_with('s') => write!(f, "{rule} differ")?,
            [rule] => write!(f, "{rule} differs")?,
            rules => write!(f, "{} differ", rules.join(" and "))?,
        }
        let states = if customers == 1 { "customer's state" } else { "customers' states" };
        write!(f, ": rows made from {} {states}", grouped(customers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Position;
    use crate::time::ReceivedAt;

    #[test]
    fn a_plan_says_what_differs_and_where_the_rows_come_from() {
        let states = |customers| RebuildSource::States {
            layer: FoldLayer {
                id: 1,
                fingerprint: String::new(),
                position: Position::ZERO,
                leaf_hash: None,
                folded_received_at: ReceivedAt(0),
            },
            customers,
        };
        let said = |source, differing: &[&'static str]| {
            RebuildPlan { source, differing: differing.to_vec() }.to_string()
        };
        let expected = "policy differs: rows made from 29,542 customers' states";
        assert_eq!(said(states(29_542), &["policy"]), expected);
        let expected = "policy and user keys differ: rows made from 1 customer's state";
        assert_eq!(said(states(1), &["policy", "user keys"]), expected);
        let expected = "user keys differ: rows made from 0 customers' states";
        assert_eq!(said(states(0), &["user keys"]), expected);
        let expected = "no rule differs: rows made from 2 customers' states";
        assert_eq!(said(states(2), &[]), expected);
        let log = |why| said(RebuildSource::Log(why), &["policy"]);
        assert_eq!(log(FromLog::OtherFold), "the fold differs: from the log");
        assert_eq!(log(FromLog::Asked), "as asked: from the log");
    }
}
