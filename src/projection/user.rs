//! Owner of a subscription: the application's user id.
//!
//! Several objects may name it, arrive in any order and disagree. A fixed precedence decides. The row shows the
//! source, and whether another source names another user.

use std::collections::BTreeMap;

use super::Logic;
use super::policy::UserSource;
use super::state::CustomerState;
use super::user_link::{self, UserLink};
use crate::ids::SubscriptionId;
use crate::stripe::checkout_session::SessionFacts;
use crate::stripe::subscription::SubscriptionFacts;

/// Owner of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOwner {
    /// Id of the application's user.
    pub user_id: Option<String>,
    /// Source of that id.
    pub source: Option<&'static str>,
    /// True if another source names another user.
    pub has_conflict: bool,
}

impl SubscriptionOwner {
    /// Finds the owner. The precedence is: the subscription's metadata; the reference and then the metadata of the
    /// checkout session that created it; the customer's metadata; the reference of the latest other session of
    /// the customer; the link that an operator imported. Only sources that the policy uses count, and only completed
    /// sessions: the user of an abandoned one bought nothing. A policy cannot leave out the link, which is the
    /// merchant's own.
    pub fn find(
        id: &SubscriptionId,
        subscription: &SubscriptionFacts,
        customer: &CustomerState,
        logic: &Logic,
    ) -> Self {
        // The latest session has the greatest (time, id).
        let mut sessions: Vec<_> = customer
            .sessions
            .iter()
            .map(|(id, group)| (group.winner(), id))
            .filter(|(winner, _)| winner.facts.is_completed)
            .map(|(winner, id)| {
                let facts = winner.facts;
                (facts.created.unwrap_or(winner.created), id, facts)
            })
            .collect();
        sessions.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)));
        let is_own = |session: &SessionFacts| session.subscription.as_deref() == Some(id.as_str());
        let own = || sessions.iter().map(|s| s.2).filter(|session| is_own(session));
        let other = sessions.iter().map(|s| s.2).filter(|session| !is_own(session));

        let mut owner = Self::default();
        let mut consider = |source: UserSource, user: Option<&str>| {
            if logic.policy.user_sources.contains(&source) {
                owner.consider(source.as_str(), user);
            }
        };
        let by_metadata = |metadata| named_by_metadata(metadata, logic);
        consider(UserSource::SubscriptionMetadata, by_metadata(&subscription.metadata));
        own().for_each(|s| consider(UserSource::CheckoutReference, named_by_reference(s)));
        own().for_each(|s| consider(UserSource::CheckoutMetadata, by_metadata(&s.metadata)));
        consider(UserSource::CustomerMetadata, user_named_by_customer(customer, logic));
        if owner.user_id.is_none()
            && logic.policy.user_sources.contains(&UserSource::CustomerCheckout)
        {
            // Another session of the customer is a hint. It does not contradict the sources above.
            other.for_each(|s| {
                owner.consider(UserSource::CustomerCheckout.as_str(), named_by_reference(s));
            });
        }
        let link = customer.user_link.as_ref();
        owner.consider(user_link::SOURCE, link.and_then(named_by_link));
        owner
    }

    fn consider(&mut self, source: &'static str, user: Option<&str>) {
        match (&self.user_id, user) {
            (_, None) => {}
            (None, Some(user)) => {
                (self.user_id, self.source) = (Some(user.to_owned()), Some(source));
            }
            (Some(present), Some(user)) => self.has_conflict |= present != user,
        }
    }
}

/// User that the metadata of a customer names.
pub fn user_named_by_customer<'a>(customer: &'a CustomerState, logic: &Logic) -> Option<&'a str> {
    let facts = &customer.customer.as_ref()?.winner().facts;
    named_by_metadata(&facts.metadata, logic)
}

/// User that metadata names. The first key that has a value counts.
fn named_by_metadata<'a>(metadata: &'a BTreeMap<String, String>, logic: &Logic) -> Option<&'a str> {
    let named = |key: &String| metadata.get(key).filter(|user| !user.is_empty());
    logic.user_keys.iter().find_map(named).map(String::as_str)
}

fn named_by_link(link: &UserLink) -> Option<&str> {
    link.user_id.as_deref()
}

fn named_by_reference(session: &SessionFacts) -> Option<&str> {
    session.client_reference_id.as_deref().filter(|id| !id.is_empty())
}
