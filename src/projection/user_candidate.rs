//! Candidates for a user: the values by which events may name one, whatever the rules.
//!
//! The rules decide which sources and which metadata keys name a user. So every value is kept, and the rules of
//! a generation choose among them when the history of a user is asked for. Other rules need no new fold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Logic;
use super::policy::UserSource;
use super::state::StateChange;
use super::user_link;

/// Greatest length of a candidate, in bytes. PostgreSQL cannot index a value of more than 2,700 bytes. Stripe's metadata
/// values have at most 500 characters.
const VALUE_BYTES_MAX: usize = 1_000;

/// Value by which an event may name a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserCandidate {
    /// Part of an object that holds it.
    pub source: CandidateSource,
    /// Metadata key; empty for a value that is no metadata.
    pub key: String,
    /// The value: the id of a user, if the rules say so.
    pub value: String,
}

/// Part of an object that may name a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CandidateSource {
    /// Metadata of a subscription.
    SubscriptionMetadata,
    /// Reference of a completed checkout session.
    CheckoutReference,
    /// Metadata of a completed checkout session.
    CheckoutMetadata,
    /// Metadata of a customer.
    CustomerMetadata,
    /// Link that an operator imported.
    Operator,
}

impl CandidateSource {
    /// Word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SubscriptionMetadata => UserSource::SubscriptionMetadata.as_str(),
            Self::CheckoutReference => UserSource::CheckoutReference.as_str(),
            Self::CheckoutMetadata => UserSource::CheckoutMetadata.as_str(),
            Self::CustomerMetadata => UserSource::CustomerMetadata.as_str(),
            Self::Operator => user_link::SOURCE,
        }
    }

    /// Source of the candidates that a source of the policy counts.
    const fn of(source: UserSource) -> Self {
        match source {
            UserSource::SubscriptionMetadata => Self::SubscriptionMetadata,
            UserSource::CheckoutReference | UserSource::CustomerCheckout => Self::CheckoutReference,
            UserSource::CheckoutMetadata => Self::CheckoutMetadata,
            UserSource::CustomerMetadata => Self::CustomerMetadata,
        }
    }
}

/// Candidates of one change of a customer's state. The user of an abandoned checkout session bought nothing.
pub fn candidates_of(change: &StateChange) -> BTreeSet<UserCandidate> {
    let mut found = Found::default();
    match change {
        StateChange::Customer(group) => {
            let source = CandidateSource::CustomerMetadata;
            group.facts().for_each(|facts| found.add_metadata(source, &facts.metadata));
        }
        StateChange::Subscription(_, group, _) => {
            let source = CandidateSource::SubscriptionMetadata;
            group.facts().for_each(|facts| found.add_metadata(source, &facts.metadata));
        }
        StateChange::Session(_, group) => {
            for facts in group.facts().filter(|facts| facts.is_completed) {
                found.add_metadata(CandidateSource::CheckoutMetadata, &facts.metadata);
                let reference = facts.client_reference_id.as_deref().unwrap_or_default();
                found.add(CandidateSource::CheckoutReference, "", reference);
            }
        }
        StateChange::UserLink(link) => {
            found.add(CandidateSource::Operator, "", link.user_id.as_deref().unwrap_or_default());
        }
        _ => {}
    }
    found.0
}

/// Candidates that were found.
#[derive(Default)]
struct Found(BTreeSet<UserCandidate>);

impl Found {
    fn add(&mut self, source: CandidateSource, key: &str, value: &str) {
        if !value.is_empty() && value.len() <= VALUE_BYTES_MAX {
            let (key, value) = (key.to_owned(), value.to_owned());
            self.0.insert(UserCandidate { source, key, value });
        }
    }

    fn add_metadata(&mut self, source: CandidateSource, metadata: &BTreeMap<String, String>) {
        for (key, value) in metadata {
            self.add(source, key, value);
        }
    }
}

impl Logic {
    /// Sources and keys of the candidates that name a user by these rules. By any of them the history of a user finds
    /// every customer that ever was theirs, whoever owns its subscriptions now.
    pub fn counted_candidates(&self) -> Vec<(&'static str, &str)> {
        let sources = self.policy.user_sources.iter().map(|it| CandidateSource::of(*it));
        let sources: BTreeSet<_> = sources.chain([CandidateSource::Operator]).collect();
        let keys_of = |source| match source {
            CandidateSource::CheckoutReference | CandidateSource::Operator => vec![""],
            _ => self.user_keys.iter().map(String::as_str).collect(),
        };
        let pairs = |source: CandidateSource| {
            keys_of(source).into_iter().map(move |key| (source.as_str(), key))
        };
        sources.into_iter().flat_map(pairs).collect()
    }
}
