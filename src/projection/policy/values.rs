//! Values of a policy, key by key, and the keys in which two policies differ.

use std::fmt;

use serde::Serialize;

use super::{PauseEffect, Policy, UnknownStatus};

/// Key of a policy, or the user keys, with two values that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleChange {
    /// Key of the policy (a key in a table is written `table.key`), or `user_keys`.
    pub key: &'static str,
    /// Old value, as a policy file writes it.
    pub from: String,
    /// New value.
    pub to: String,
}

impl fmt::Display for RuleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.from, self.to)
    }
}

impl Policy {
    /// All keys with their values, as a policy file writes them. Policies of the same meaning have the same values:
    /// lists, whose order has no effect, are sorted.
    pub fn values(&self) -> [(&'static str, String); 9] {
        let mut grant: Vec<&str> = self.grant.iter().map(String::as_str).collect();
        grant.sort_unstable();
        let mut sources = self.user_sources.clone();
        sources.sort_unstable();
        let pause = &self.pause_collection;
        [
            ("grant", list(grant)),
            ("past_due_grace_days", self.past_due_grace_days.0.to_string()),
            ("grace_requires_payment", self.grace_requires_payment.to_string()),
            ("stale_after_period_end_days", self.stale_after_period_end_days.0.to_string()),
            ("unknown_status", word(self.unknown_status.as_str())),
            ("user_sources", list(sources.into_iter().map(super::UserSource::as_str).collect())),
            ("pause_collection.keep_as_draft", word(pause.keep_as_draft.as_str())),
            ("pause_collection.mark_uncollectible", word(pause.mark_uncollectible.as_str())),
            ("pause_collection.void", word(pause.void.as_str())),
        ]
    }

    /// Keys whose values differ in another policy.
    pub fn changes_to(&self, other: &Self) -> Vec<RuleChange> {
        let pairs = self.values().into_iter().zip(other.values());
        let differing = pairs.filter(|((_, from), (_, to))| from != to);
        differing.map(|((key, from), (_, to))| RuleChange { key, from, to }).collect()
    }
}

impl PauseEffect {
    /// Word in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::UntilPaidThrough => "until_paid_through",
            Self::Deny => "deny",
        }
    }
}

impl UnknownStatus {
    /// Word in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Grant => "grant",
        }
    }
}

/// Sorted words as a list of TOML, each once.
fn list(mut words: Vec<&str>) -> String {
    words.dedup();
    toml::Value::from(words).to_string()
}

fn word(word: &str) -> String {
    toml::Value::from(word).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(from: &str, to: &str) -> Vec<String> {
        let (from, to) = (Policy::parse(from).unwrap(), Policy::parse(to).unwrap());
        from.changes_to(&to).iter().map(RuleChange::to_string).collect()
    }

    #[test]
    fn each_key_of_the_built_in_policy_has_its_value_and_all_values_are_a_policy() {
        let values = Policy::default().values();
        assert_eq!(values.len(), super::super::omitted_keys("").len());
        let text: Vec<_> = values.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let (before, tables) = text.split_at(6);
        let text = format!("{}\n{}", before.join("\n"), tables.join("\n"));
        let parsed = Policy::parse(&text).unwrap();
        assert_eq!(Policy::default().changes_to(&parsed), []);
    }

    #[test]
    fn each_key_that_differs_is_named_with_both_values() {
        let to = "grant = [\"unpaid\", \"active\"]\npast_due_grace_days = 3\n\
                  grace_requires_payment = true\nstale_after_period_end_days = 0\n\
                  unknown_status = \"grant\"\nuser_sources = [\"customer.metadata\"]\n\
                  [pause_collection]\nkeep_as_draft = \"until_paid_through\"\n\
                  mark_uncollectible = \"deny\"\nvoid = \"deny\"\n";
        let found = changes("", to);
        assert_eq!(found.len(), Policy::default().values().len(), "{found:?}");
        assert_eq!(
            found[0],
            r#"grant: ["active", "past_due", "trialing"] -> ["active", "unpaid"]"#
        );
        assert_eq!(found[1], "past_due_grace_days: 7 -> 3");
        assert_eq!(found[6], r#"pause_collection.keep_as_draft: "grant" -> "until_paid_through""#);
    }

    #[test]
    fn what_has_no_effect_is_no_difference() {
        for text in [
            "# Ours\npast_due_grace_days = 7",
            "grant = [\"past_due\", \"active\", \"trialing\", \"active\"]",
            "user_sources = [\"customer.checkout\", \"subscription.metadata\", \
             \"checkout.metadata\", \"customer.metadata\", \"checkout.client_reference_id\"]",
        ] {
            assert_eq!(changes("", text), [""; 0], "{text}");
        }
    }
}
