//! Decision of the policy on a field, with the line that decided.

use serde::Serialize;

use crate::projection::Logic;
use crate::projection::entitlement::{AccessRule, EndRule, Judgement};
use crate::projection::policy::{self, line_of_key};

/// Decision about access: a sentence and, if it depends on the policy, the policy's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Reason in words.
    pub why: String,
    /// Key of the policy; none if the decision does not depend on it.
    pub key: Option<String>,
    /// Number of the line in the policy's file; none if the file leaves the key out and the built-in policy counts.
    pub line: Option<usize>,
    /// Text of that line, or of the line in the built-in policy.
    pub text: Option<String>,
}

impl Decision {
    /// Decision whether access is granted.
    pub(super) fn on_access(judgement: &Judgement, status: &str, logic: &Logic) -> Self {
        let granted = judgement.entitlement.entitled;
        let (why, key) = match &judgement.access {
            AccessRule::Over => ("it is over, and no policy can grant it access".to_owned(), None),
            AccessRule::Status if granted => {
                (format!("`{status}` grants access"), Some("grant".to_owned()))
            }
            AccessRule::Status => {
                (format!("`{status}` does not grant access"), Some("grant".to_owned()))
            }
            AccessRule::UnknownStatus => {
                (format!("`{status}` is a status nobody knew"), Some("unknown_status".to_owned()))
            }
            AccessRule::UnearnedGrace => (
                "nothing was ever paid, and grace has to be earned".to_owned(),
                Some("grace_requires_payment".to_owned()),
            ),
            AccessRule::Pause(behavior) => {
                ("collection is paused".to_owned(), Some(format!("pause_collection.{behavior}")))
            }
        };
        Self::by(why, key, logic)
    }

    /// Decision on the end of access. None if no access is granted.
    pub(super) fn on_end(
        judgement: &Judgement,
        pause: Option<&str>,
        logic: &Logic,
    ) -> Option<Self> {
        if !judgement.entitlement.entitled {
            return None;
        }
        let key = |key: &str| Some(key.to_owned());
        let (why, key) = match judgement.end {
            None => ("nothing ends it", key("stale_after_period_end_days")),
            Some(EndRule::CancelAt) => ("it is cancelled then", None),
            Some(EndRule::Schedule) => ("its schedule ends it then", None),
            Some(EndRule::PeriodEnd) => ("it is cancelled with the end of the period", None),
            Some(EndRule::Grace) => {
                ("so many days after `past_due_since` grace ends", key("past_due_grace_days"))
            }
            Some(EndRule::PaidThrough) => (
                "collection is paused, and it is paid until then",
                pause.map(|behavior| format!("pause_collection.{behavior}")),
            ),
            Some(EndRule::Stale) => (
                "so many days after the end of the period, or of what is paid for if that is later, unless \
                 more is heard",
                key("stale_after_period_end_days"),
            ),
        };
        Some(Self::by(why.to_owned(), key, logic))
    }

    fn by(why: String, key: Option<String>, logic: &Logic) -> Self {
        let own = key.as_deref().and_then(|key| line_of_key(&logic.policy_text, key));
        let built_in = key.as_deref().and_then(|key| line_of_key(policy::BUILT_IN, key));
        let line = own.as_ref().map(|(line, _)| *line);
        Self { why, key, line, text: own.or(built_in).map(|(_, text)| text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::entitlement::Entitlement;
    use crate::time::StripeTime;

    fn judgement(access: AccessRule, end: Option<EndRule>) -> Judgement {
        let entitled = access == AccessRule::Status;
        let until = end.map(|_| StripeTime(5));
        Judgement { entitlement: Entitlement { entitled, until }, access, end }
    }

    #[test]
    fn the_line_is_that_of_the_given_policy_or_the_built_in_text_without_one() {
        let own =
            "# mine\n\npast_due_grace_days = 3 # short\n[pause_collection]\nvoid = \"deny\"\n";
        let logic = Logic::parse(own, "user_id").unwrap();
        let grace = judgement(AccessRule::Status, Some(EndRule::Grace));
        let decision = Decision::on_end(&grace, None, &logic).unwrap();
        assert_eq!(
            (decision.line, decision.text.as_deref()),
            (Some(3), Some("past_due_grace_days = 3 # short"))
        );
        let access = Decision::on_access(&grace, "past_due", &logic);
        assert_eq!(access.line, None);
        assert_eq!(
            access.text.as_deref(),
            Some("grant = [\"active\", \"trialing\", \"past_due\"]")
        );
        let paused = judgement(AccessRule::Pause("void".to_owned()), None);
        let decision = Decision::on_access(&paused, "active", &logic);
        assert_eq!((decision.line, decision.text.as_deref()), (Some(5), Some("void = \"deny\"")));
        assert_eq!(Decision::on_end(&paused, Some("void"), &logic), None);
    }

    #[test]
    fn every_ground_and_every_end_that_the_policy_has_a_say_in_names_its_line() {
        let logic = Logic::default();
        for (ground, key) in [
            (AccessRule::Over, None),
            (AccessRule::Status, Some("grant")),
            (AccessRule::UnknownStatus, Some("unknown_status")),
            (AccessRule::UnearnedGrace, Some("grace_requires_payment")),
            (AccessRule::Pause("keep_as_draft".to_owned()), Some("pause_collection.keep_as_draft")),
        ] {
            let decision = Decision::on_access(&judgement(ground, None), "active", &logic);
            assert_eq!(decision.key.as_deref(), key);
            assert_eq!(decision.line.is_some(), key.is_some(), "{decision:?}");
        }
        for (end, key) in [
            (None, Some("stale_after_period_end_days")),
            (Some(EndRule::CancelAt), None),
            (Some(EndRule::Schedule), None),
            (Some(EndRule::PeriodEnd), None),
            (Some(EndRule::Grace), Some("past_due_grace_days")),
            (Some(EndRule::PaidThrough), Some("pause_collection.void")),
            (Some(EndRule::Stale), Some("stale_after_period_end_days")),
        ] {
            let judgement = judgement(AccessRule::Status, end);
            let decision = Decision::on_end(&judgement, Some("void"), &logic).unwrap();
            assert_eq!(decision.key.as_deref(), key);
            assert_eq!(decision.line.is_some(), key.is_some(), "{decision:?}");
        }
    }
}
