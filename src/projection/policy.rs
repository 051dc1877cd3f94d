//! Access policy: a text file that says which states of a subscription grant access.

mod sentences;
mod values;

pub use sentences::user_keys_sentence;
use serde::{Deserialize, Deserializer};
pub use values::RuleChange;

/// Text of the built-in policy, with its comments.
pub const BUILT_IN: &str = include_str!("../../projections/current_subscriptions/policy.toml");

/// Maximum of a number of days: a hundred years.
const DAYS_MAX: u32 = 36_500;

/// Policy that decides which states of a subscription grant access, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Statuses that grant access.
    #[serde(deserialize_with = "granting")]
    pub grant: Vec<String>,
    /// Days of access after a subscription became past due.
    pub past_due_grace_days: Days,
    /// True if a subscription that never paid gets no days of grace.
    pub grace_requires_payment: bool,
    /// Effects of a paused collection.
    pub pause_collection: PausePolicy,
    /// Days of access after the end of a period if no more events arrive; 0 for no end.
    pub stale_after_period_end_days: Days,
    /// Effect of a status that this version does not know.
    pub unknown_status: UnknownStatus,
    /// Sources of a user's id that are used.
    pub user_sources: Vec<UserSource>,
}

/// Source of a user's id. The variants are in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum UserSource {
    /// The subscription's metadata, which only the merchant writes.
    #[serde(rename = "subscription.metadata")]
    SubscriptionMetadata,
    /// The reference of the checkout session that created the subscription. With a payment link, the buyer can
    /// write it.
    #[serde(rename = "checkout.client_reference_id")]
    CheckoutReference,
    /// The metadata of that session.
    #[serde(rename = "checkout.metadata")]
    CheckoutMetadata,
    /// The customer's metadata.
    #[serde(rename = "customer.metadata")]
    CustomerMetadata,
    /// The reference of another completed session of the same customer.
    #[serde(rename = "customer.checkout")]
    CustomerCheckout,
}

impl UserSource {
    /// All sources.
    pub const ALL: [Self; 5] = [
        Self::SubscriptionMetadata,
        Self::CheckoutReference,
        Self::CheckoutMetadata,
        Self::CustomerMetadata,
        Self::CustomerCheckout,
    ];

    /// Name of the source in a policy and in `user_id_source`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SubscriptionMetadata => "subscription.metadata",
            Self::CheckoutReference => "checkout.client_reference_id",
            Self::CheckoutMetadata => "checkout.metadata",
            Self::CustomerMetadata => "customer.metadata",
            Self::CustomerCheckout => "customer.checkout",
        }
    }
}

/// Effects of a paused collection on access, by its `behavior`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PausePolicy {
    /// Invoices stay drafts.
    pub keep_as_draft: PauseEffect,
    /// Invoices are marked uncollectible.
    pub mark_uncollectible: PauseEffect,
    /// Invoices are voided.
    pub void: PauseEffect,
}

/// Effect of a paused collection on access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseEffect {
    /// None: the status alone counts.
    #[default]
    Grant,
    /// Access ends with the time that is paid for.
    UntilPaidThrough,
    /// No access while paused.
    Deny,
}

/// Effect of a status that this version does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownStatus {
    /// No access.
    #[default]
    Deny,
    /// Access.
    Grant,
}

/// All statuses that Stripe has had so far.
pub const KNOWN_STATUSES: [&str; 8] = [
    "active",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
];

/// Number of days, at most a hundred years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Days(pub u32);

/// Error in the text of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PolicyError {
    /// Line number, from 1.
    pub line: usize,
    /// Description of the error.
    pub message: String,
}

impl Policy {
    /// Parses the text of a policy file.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| PolicyError {
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            message: error.message().trim().replace('\n', ", "),
        })
    }

    /// True if this status grants access.
    pub fn grants(&self, status: &str) -> bool {
        self.grant.iter().any(|granted| granted == status)
            || (self.unknown_status == UnknownStatus::Grant && !self.is_known(status))
    }

    /// True if `grant` decides about this status, and not `unknown_status`.
    pub fn is_known(&self, status: &str) -> bool {
        KNOWN_STATUSES.contains(&status) || self.grant.iter().any(|granted| granted == status)
    }

    /// Effect of a pause of this behavior. One that this version does not know grants access, which is the
    /// default of the others.
    pub fn pause_effect(&self, behavior: &str) -> PauseEffect {
        match behavior {
            "keep_as_draft" => self.pause_collection.keep_as_draft,
            "mark_uncollectible" => self.pause_collection.mark_uncollectible,
            "void" => self.pause_collection.void,
            _ => PauseEffect::Grant,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            grant: ["active", "trialing", "past_due"].map(str::to_owned).to_vec(),
            past_due_grace_days: Days(7),
            grace_requires_payment: false,
            pause_collection: PausePolicy::default(),
            stale_after_period_end_days: Days(30),
            unknown_status: UnknownStatus::Deny,
            user_sources: UserSource::ALL.to_vec(),
        }
    }
}

/// Deserializes statuses, and refuses final ones, which never grant access.
fn granting<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Granting(String);

    impl TryFrom<String> for Granting {
        type Error = String;

        fn try_from(status: String) -> Result<Self, String> {
            if matches!(status.as_str(), "canceled" | "incomplete_expired") {
                return Err(format!("`{status}` is final and can never grant access"));
            }
            Ok(Self(status))
        }
    }

    let statuses = Vec::<Granting>::deserialize(deserializer)?;
    Ok(statuses.into_iter().map(|status| status.0).collect())
}

impl TryFrom<u32> for Days {
    type Error = String;

    fn try_from(days: u32) -> Result<Self, String> {
        if days <= DAYS_MAX { Ok(Self(days)) } else { Err(format!("at most {DAYS_MAX} days")) }
    }
}

/// Number (from 1) and text of the line that has a key of a policy; a key in a table is written `table.key`.
/// None if the text does not contain it.
pub fn line_of_key(text: &str, key: &str) -> Option<(usize, String)> {
    let parsed = toml::de::DeTable::parse(text).ok()?;
    let mut table = parsed.get_ref();
    let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
    if !tables.is_empty() {
        table = table.get(tables)?.get_ref().as_table()?;
    }
    let (key, _) = table.get_key_value(name)?;
    let line = line_of(text, key.span().start);
    Some((line, text.lines().nth(line - 1)?.trim().to_owned()))
}

/// Keys that the text of a policy omits, each with its built-in value, as `key = value`.
pub fn omitted_keys(text: &str) -> Vec<String> {
    let built_in: toml::Table = toml::from_str(BUILT_IN).unwrap_or_default();
    let keys = built_in.iter().flat_map(|(key, value)| match value.as_table() {
        Some(table) => {
            table.iter().map(|(inner, value)| (format!("{key}.{inner}"), value)).collect()
        }
        None => vec![(key.clone(), value)],
    });
    keys.filter(|(key, _)| line_of_key(text, key).is_none())
        .map(|(key, value)| format!("{key} = {value}"))
        .collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text.char_indices().filter(|(offset, c)| *offset < at && *c == '\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_file_says_what_the_defaults_are() {
        assert_eq!(Policy::parse(BUILT_IN).unwrap(), Policy::default());
        assert_eq!(Policy::parse("").unwrap(), Policy::default());
    }

    #[test]
    fn what_a_policy_leaves_out_is_written_as_a_policy() {
        assert_eq!(omitted_keys(BUILT_IN), [""; 0]);
        assert_eq!(Policy::parse(&omitted_keys("").join("\n")).unwrap(), Policy::default());
        let text = "past_due_grace_days = 3\npause_collection.void = \"deny\"\n";
        let omitted = omitted_keys(text);
        assert!(omitted.contains(&"pause_collection.keep_as_draft = \"grant\"".to_owned()));
        assert!(omitted.iter().all(|it| !it.contains("days = 7") && !it.contains("void")));
        assert_eq!(omitted.len(), 7);
    }

    #[test]
    fn sources_of_users_are_written_as_rows_show_them() {
        for source in UserSource::ALL {
            let text = format!("user_sources = [\"{}\"]", source.as_str());
            assert_eq!(Policy::parse(&text).unwrap().user_sources, [source]);
        }
        assert!(Policy::parse("user_sources = []").unwrap().user_sources.is_empty());
    }

    #[test]
    fn the_line_of_a_key_is_found_wherever_it_stands() {
        let text =
            "# grant = []\n\"grant\" = [\n  \"active\",\n]\npause_collection.void = \"deny\"\n";
        assert_eq!(line_of_key(text, "grant"), Some((2, "\"grant\" = [".to_owned())));
        let void = "pause_collection.void = \"deny\"".to_owned();
        assert_eq!(line_of_key(text, "pause_collection.void"), Some((5, void)));
        assert_eq!(line_of_key(text, "pause_collection.keep_as_draft"), None);
        assert_eq!(line_of_key(text, "unknown_status"), None);
        let tables = "[pause_collection]\nkeep_as_draft = \"deny\"";
        let (line, _) = line_of_key(tables, "pause_collection.keep_as_draft").unwrap();
        assert_eq!(line, 2);
        for key in ["grant", "grace_requires_payment", "pause_collection.void"] {
            let (_, found) = line_of_key(BUILT_IN, key).unwrap();
            assert!(found.starts_with(key.rsplit('.').next().unwrap()), "{found}");
        }
    }

    #[test]
    fn a_wrong_key_or_value_is_refused_with_its_line() {
        for (text, line, word) in [
            ("past_due_grace_days = 3\nmercy = true\n", 2, "mercy"),
            ("\n[pause_collection]\nvoid = \"maybe\"", 3, "maybe"),
            ("past_due_grace_days = -1", 1, "-1"),
            ("past_due_grace_days = \"7\"", 1, "string"),
            ("\n\npast_due_grace_days = 99999", 3, "36500"),
            ("# mine\ngrant = [\"active\", \"canceled\"]", 2, "canceled"),
            ("# what may grant\n\ngrant = [\n\"active\",\n\"incomplete_expired\"]", 3, "final"),
            ("grant = \"active\"", 1, "string"),
            ("unknown_status = \"maybe\"", 1, "maybe"),
            ("grace_requires_payment = 1", 1, "integer"),
            ("[pause_collection]\nvoid = \"deny\"\nkeep = \"deny\"", 3, "keep"),
            ("grant = [\"active\"", 1, ""),
            ("\nuser_sources = [\"customer.email\"]", 2, "customer.email"),
        ] {
            let error = Policy::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.message.contains(word), "{text}: {error}");
        }
    }
}
