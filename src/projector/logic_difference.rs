//! Difference between the logic of two generations, in words.

use std::fmt;

use crate::projection::Logic;
use crate::projection::policy::RuleChange;
use crate::store::GenerationLogic;

/// Difference between two stored logics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogicDifference {
    /// Rules with other values: keys of the policy, and the user keys.
    rules: Vec<RuleChange>,
    /// Other parts that differ, and are known by name only.
    parts: Vec<&'static str>,
    /// True if the rules mean something else, or one of the policies cannot be read.
    has_other_rules: bool,
}

impl LogicDifference {
    /// Compares two logics. Policies that this version cannot read are not compared key by key.
    pub(super) fn between(from: &GenerationLogic, to: &GenerationLogic) -> Self {
        let parse = |it: &GenerationLogic| Logic::parse(&it.policy, &it.user_keys).ok();
        let has_other_policy = from.policy != to.policy;
        let mut parts = Vec::new();
        let (rules, has_other_rules) = if let (Some(from), Some(to)) = (parse(from), parse(to)) {
            let rules = from.changes_to(&to);
            let is_same = rules.is_empty();
            parts.extend((is_same && has_other_policy).then_some("only the policy's text"));
            (rules, !is_same)
        } else {
            parts.extend(has_other_policy.then_some("the policy"));
            parts.extend((from.user_keys != to.user_keys).then_some("the user keys"));
            (Vec::new(), !parts.is_empty())
        };
        parts.extend((from.fold_version != to.fold_version).then_some("the version of the fold"));
        if rules.is_empty() && parts.is_empty() && from.fingerprint != to.fingerprint {
            parts.push("the schema");
        }
        Self { rules, parts, has_other_rules }
    }

    /// True if the policy or the user keys differ in meaning, and not only the version of the program or a comment.
    pub(super) const fn has_other_rules(&self) -> bool {
        self.has_other_rules
    }
}

/// Parts of a line, separated by semicolons; `nothing` if nothing differs.
impl fmt::Display for LogicDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.iter().map(RuleChange::to_string);
        let parts: Vec<String> = rules.chain(self.parts.iter().map(|&it| it.to_owned())).collect();
        if parts.is_empty() { f.write_str("nothing") } else { f.write_str(&parts.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::read_model::PROJECTIONS;
    use crate::projector::generation::stored_logic;

    fn logic(policy: &str, user_keys: &str) -> GenerationLogic {
        stored_logic(PROJECTIONS, &Logic::parse(policy, user_keys).unwrap())
    }

    fn between(from: &GenerationLogic, to: &GenerationLogic) -> (String, bool) {
        let difference = LogicDifference::between(from, to);
        (difference.to_string(), difference.has_other_rules())
    }

    #[test]
    fn what_differs_is_named_with_its_values_where_they_are_known() {
        let built_in = logic("", "user_id");
        let other = logic("past_due_grace_days = 3", "id,user_id");
        let words = "past_due_grace_days: 7 -> 3; user_keys: user_id -> id,user_id";
        assert_eq!(between(&built_in, &other), (words.to_owned(), true));
        assert_eq!(between(&built_in, &built_in), ("nothing".to_owned(), false));
        let commented = logic("# Ours", "user_id");
        assert_eq!(between(&built_in, &commented), ("only the policy's text".to_owned(), false));

        let older = GenerationLogic { fold_version: 1, ..built_in.clone() };
        assert_eq!(between(&older, &built_in), ("the version of the fold".to_owned(), false));
        let tables = GenerationLogic { fingerprint: "other".to_owned(), ..built_in.clone() };
        assert_eq!(between(&tables, &built_in), ("the schema".to_owned(), false));
        let unreadable = GenerationLogic { policy: "mercy = true".to_owned(), ..tables };
        assert_eq!(between(&unreadable, &built_in), ("the policy".to_owned(), true));
    }
}
