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
    /// True if the texts of the policies or the user keys differ, even if they mean the same.
    has_other_rules: bool,
}

impl LogicDifference {
    /// Compares two logics. Policies that this version cannot read are not compared key by key.
    pub(super) fn between(from: &GenerationLogic, to: &GenerationLogic) -> Self {
        let parse = |it: &GenerationLogic| Logic::parse(&it.policy, &it.user_keys).ok();
        let has_other_policy = from.policy != to.policy;
        let has_other_rules = has_other_policy || from.user_keys != to.user_keys;
        let mut parts = Vec::new();
        let rules = match (parse(from), parse(to)) {
            (Some(from), Some(to)) => {
                let rules = from.changes_to(&to);
                parts.extend(
                    (rules.is_empty() && has_other_rules).then_some("only the policy's text"),
                );
                rules
            }
            _ => {
                parts.extend(has_other_policy.then_some("the policy"));
                parts.extend((from.user_keys != to.user_keys).then_some("the user keys"));
                Vec::new()
            }
        };
        parts.extend((from.fold_version != to.fold_version).then_some("the version of the fold"));
        if rules.is_empty() && parts.is_empty() && from.fingerprint != to.fingerprint {
            parts.push("the schema");
        }
        Self { rules, parts, has_other_rules }
    }

    /// True if the policy or the user keys differ, and not only the version of the program.
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
    use crate::projector::generation::stored_logic;

    fn logic(policy: &str, user_keys: &str) -> GenerationLogic {
        stored_logic(&Logic::parse(policy, user_keys).unwrap())
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
        assert_eq!(between(&built_in, &commented), ("only the policy's text".to_owned(), true));

        let older = GenerationLogic { fold_version: 1, ..built_in.clone() };
        assert_eq!(between(&older, &built_in), ("the version of the fold".to_owned(), false));
        let tables = GenerationLogic { fingerprint: "other".to_owned(), ..built_in.clone() };
        assert_eq!(between(&tables, &built_in), ("the schema".to_owned(), false));
        let unreadable = GenerationLogic { policy: "mercy = true".to_owned(), ..tables };
        assert_eq!(between(&unreadable, &built_in), ("the policy".to_owned(), true));
    }
}
