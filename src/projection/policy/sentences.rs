//! Policy in sentences, for people who do not know its keys.

use super::{Days, KNOWN_STATUSES, PauseEffect, Policy, UnknownStatus, UserSource};

/// Sentence for days of grace that no subscription can use.
const NO_GRACE: &str = "No effect, because `past_due` does not grant access.";

impl Policy {
    /// All keys, each with a sentence that says what its value does.
    pub fn sentences(&self) -> [(&'static str, String); 9] {
        let pause = &self.pause_collection;
        [
            ("grant", self.grant_sentence()),
            ("past_due_grace_days", self.grace_sentence()),
            ("grace_requires_payment", self.earned_sentence()),
            ("stale_after_period_end_days", stale_sentence(self.stale_after_period_end_days)),
            ("unknown_status", unknown_sentence(self.unknown_status)),
            ("user_sources", sources_sentence(&self.user_sources)),
            ("pause_collection.keep_as_draft", pause_sentence("stay drafts", pause.keep_as_draft)),
            (
                "pause_collection.mark_uncollectible",
                pause_sentence("are marked uncollectible", pause.mark_uncollectible),
            ),
            ("pause_collection.void", pause_sentence("are voided", pause.void)),
        ]
    }

    fn grant_sentence(&self) -> String {
        let mut granting: Vec<&str> = self.grant.iter().map(String::as_str).collect();
        granting.sort_unstable();
        granting.dedup();
        let others: Vec<&str> =
            KNOWN_STATUSES.into_iter().filter(|status| !granting.contains(status)).collect();
        if granting.is_empty() {
            return "No known status grants access.".to_owned();
        }
        let (granting, others) = (listed(&granting, "or"), listed(&others, "or"));
        format!(
            "A subscription grants access while its status is {granting}. It grants none while its status is {others}."
        )
    }

    fn grace_sentence(&self) -> String {
        match self.past_due_grace_days {
            _ if !self.grants("past_due") => NO_GRACE.to_owned(),
            Days(0) => "A past-due subscription loses access at once.".to_owned(),
            days => format!(
                "A past-due subscription keeps access for {} after its first unpaid moment.",
                counted(days)
            ),
        }
    }

    fn earned_sentence(&self) -> String {
        let sentence = match self.grace_requires_payment {
            _ if !self.grants("past_due") => NO_GRACE,
            true => {
                "Grace must be earned: a subscription of which no invoice with a total above zero was ever settled \
                 gets none."
            }
            false => "A subscription gets days of grace even if it has never paid.",
        };
        sentence.to_owned()
    }
}

/// Sentence about the metadata keys that hold the user's id.
pub fn user_keys_sentence(keys: &[String]) -> String {
    match keys {
        [key] => format!("The user's id is the value of the metadata key `{key}`."),
        keys => format!(
            "The user's id is the value of the first of these metadata keys that has one: {}.",
            keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn stale_sentence(days: Days) -> String {
    match days {
        Days(0) => {
            "Access does not end because nothing more is heard of a subscription.".to_owned()
        }
        days => format!(
            "If nothing more is heard of a subscription, access ends {} after the end of its period, or of what is \
             paid for if that is later.",
            counted(days)
        ),
    }
}

fn unknown_sentence(unknown: UnknownStatus) -> String {
    let sentence = match unknown {
        UnknownStatus::Deny => {
            "A status that this version does not know grants no access, unless `grant` lists it."
        }
        UnknownStatus::Grant => "A status that this version does not know grants access.",
    };
    sentence.to_owned()
}

fn sources_sentence(sources: &[UserSource]) -> String {
    let named = |is_used: bool| {
        let chosen = UserSource::ALL.into_iter().filter(|it| sources.contains(it) == is_used);
        chosen.map(UserSource::as_str).collect::<Vec<_>>().join(", ")
    };
    match (named(true), named(false)) {
        (used, unused) if unused.is_empty() => {
            format!("The first of these sources that names the user counts: {used}.")
        }
        (used, unused) if used.is_empty() => {
            format!("Only an imported link names a user. Not used: {unused}.")
        }
        (used, unused) => format!(
            "The first of these sources that names the user counts: {used}. Not used: {unused}."
        ),
    }
}

fn pause_sentence(invoices: &str, effect: PauseEffect) -> String {
    let effect = match effect {
        PauseEffect::Grant => "the status alone decides",
        PauseEffect::UntilPaidThrough => "access ends with the time that is paid for",
        PauseEffect::Deny => "there is no access",
    };
    format!("While collection is paused and invoices {invoices}, {effect}.")
}

fn counted(Days(days): Days) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

/// Words separated by commas, with a conjunction before the last.
fn listed(words: &[&str], conjunction: &str) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => {
            format!("{} {conjunction} {last}", first.join(", "))
        }
        words => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(policy: &str, key: &str) -> String {
        let sentences = Policy::parse(policy).unwrap().sentences();
        sentences.into_iter().find(|(name, _)| *name == key).unwrap().1
    }

    #[test]
    fn every_key_has_a_sentence() {
        let policy = Policy::default();
        let keys = |of: [(&'static str, String); 9]| of.map(|(key, _)| key);
        assert_eq!(keys(policy.sentences()), keys(policy.values()));
        for (key, sentence) in policy.sentences() {
            assert!(sentence.ends_with('.'), "{key}: {sentence}");
        }
    }

    #[test]
    fn a_sentence_says_what_the_value_does() {
        for (policy, key, part) in [
            ("", "grant", "while its status is active, past_due or trialing. "),
            ("grant = [\"active\"]", "grant", "while its status is active. "),
            ("grant = []", "grant", "No known status"),
            ("grant = []", "past_due_grace_days", "No effect"),
            ("grant = [\"active\"]", "grace_requires_payment", "No effect"),
            ("past_due_grace_days = 0", "past_due_grace_days", "at once"),
            ("past_due_grace_days = 1", "past_due_grace_days", "for 1 day after"),
            ("grace_requires_payment = true", "grace_requires_payment", "must be earned"),
            ("stale_after_period_end_days = 0", "stale_after_period_end_days", "does not end"),
            ("", "stale_after_period_end_days", "ends 30 days after"),
            ("", "unknown_status", "grants no access, unless"),
            ("unknown_status = \"grant\"", "unknown_status", "grants access."),
            ("user_sources = []", "user_sources", "Only an imported link"),
            ("user_sources = [\"customer.metadata\"]", "user_sources", "Not used: subscription."),
            ("[pause_collection]\nvoid = \"deny\"", "pause_collection.void", "no access"),
        ] {
            let found = sentence(policy, key);
            assert!(found.contains(part), "{policy}: {found}");
        }
        let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        assert!(user_keys_sentence(&keys(&["user_id"])).ends_with("the metadata key `user_id`."));
        assert!(user_keys_sentence(&keys(&["a", "b"])).ends_with("has one: `a`, `b`."));
    }
}
