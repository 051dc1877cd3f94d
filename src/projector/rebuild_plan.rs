//! Plan of a rebuild: the least work that is right, and the reason.

use std::fmt;

use super::generation::{is_of_this_log, stored_logic};
use super::progress::grouped;
use crate::projection::Logic;
use crate::projection::read_model::Projections;
use crate::store::{
    FoldLayer, Foundation, Generation, GenerationLogic, ReadModelVersion, Store, StoreError,
    layer_fingerprint,
};

/// Words for a difference in the tables, and in the user keys.
const SCHEMA: &str = "schema";
const USER_KEYS: &str = "user keys";

/// Plan of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildPlan {
    /// Source of the rows.
    pub source: RebuildSource,
    /// Rules that differ from those of the live generation, or the read models whose own logic differs.
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
        /// Read models that stay as they are: the new generation shares their tables with the live one.
        shared: Vec<ReadModelVersion>,
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
    /// Plans a rebuild with this logic: of everything from the log, of one read model, or the least that is right.
    pub(super) async fn new(
        store: &Store,
        logic: &Logic,
        is_log_asked: bool,
        read_model: Option<&str>,
    ) -> Result<Self, StoreError> {
        let ours = stored_logic(store.read_model.projections(), logic);
        let live = store.read_model.live().await?;
        let projections = store.read_model.projections();
        let differing = live.as_ref().map(|live| differing(projections, live, &ours));
        let source = match live {
            _ if is_log_asked => RebuildSource::Log(FromLog::Asked),
            None => RebuildSource::Log(FromLog::NothingToShare),
            Some(live) => source(store, &live, &ours, read_model).await?,
        };
        Ok(Self { source, differing: differing.unwrap_or_default() })
    }

    /// Parts of the live generation that the new one takes over. None if it begins with the log.
    pub(super) fn foundation(&self) -> Option<Foundation> {
        match &self.source {
            RebuildSource::States { layer, shared, .. } => {
                Some(Foundation { layer: layer.id, shared: shared.clone() })
            }
            RebuildSource::Log(_) => None,
        }
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
    read_model: Option<&str>,
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
    let shared = shared(store.read_model.projections(), live, ours, read_model);
    Ok(RebuildSource::States { layer, customers, shared })
}

/// Read models of the live generation that stay as they are: those that this logic makes in the same way, unless they are
/// asked for. If nothing differs and none is asked for, all are made again.
fn shared(
    projections: Projections,
    live: &Generation,
    ours: &GenerationLogic,
    read_model: Option<&str>,
) -> Vec<ReadModelVersion> {
    let is_same = |version: &&ReadModelVersion| {
        let projection = projections.iter().find(|it| it.name() == version.name);
        projection.is_some_and(|it| ours.fingerprint_of(*it) == version.fingerprint)
    };
    let same = live.read_models.iter().filter(is_same);
    let shared: Vec<_> =
        same.filter(|it| read_model.is_none_or(|name| name != it.name)).cloned().collect();
    if shared.len() == projections.len() { Vec::new() } else { shared }
}

/// Rules that differ from the live generation's, or else the read models that do.
fn differing(
    projections: Projections,
    live: &Generation,
    ours: &GenerationLogic,
) -> Vec<&'static str> {
    let rules = differing_rules(&live.logic, ours);
    if rules != [SCHEMA] {
        return rules;
    }
    let same = |name: &str, fingerprint: &str| {
        live.read_models.iter().any(|it| it.name == name && it.fingerprint == fingerprint)
    };
    let other = projections.iter().filter(|it| !same(it.name(), &ours.fingerprint_of(**it)));
    let other: Vec<_> = other.map(|it| it.name()).collect();
    if other.is_empty() { rules } else { other }
}

/// Rules that differ between two generations. The schema is known by its hash alone, so it is named if nothing else
/// explains the difference.
pub(super) fn differing_rules(old: &GenerationLogic, new: &GenerationLogic) -> Vec<&'static str> {
    let mut rules = Vec::new();
    for (name, differs) in [
        ("policy", old.policy != new.policy),
        (USER_KEYS, old.user_keys != new.user_keys),
        ("version of the fold", old.fold_version != new.fold_version),
    ] {
        rules.extend(differs.then_some(name));
    }
    if rules.is_empty() && old.fingerprint != new.fingerprint {
        rules.push(SCHEMA);
    }
    rules
}

impl fmt::Display for RebuildPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (customers, shared) = match &self.source {
            RebuildSource::States { customers, shared, .. } => (*customers, shared),
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
            [rule] if *rule == USER_KEYS => write!(f, "{rule} differ")?,
            [rule] => write!(f, "{rule} differs")?,
            rules => write!(f, "{} differ", rules.join(" and "))?,
        }
        let states = if customers == 1 { "customer's state" } else { "customers' states" };
        write!(f, ": rows made from {} {states}", grouped(customers))?;
        let shared: Vec<_> = shared.iter().map(|it| it.name.as_str()).collect();
        match &shared[..] {
            [] => Ok(()),
            [one] => write!(f, "; {one} stays as it is"),
            several => write!(f, "; {} stay as they are", several.join(" and ")),
        }
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
            shared: Vec::new(),
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
