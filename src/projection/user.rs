//! Whose subscription it is: the application's own user id.
//!
//! It may be said by several objects, in any order of arrival, and they may disagree. One order of
//! precedence decides; the row says who decided and whether others named somebody else.

use std::collections::BTreeMap;

use super::state::CustomerState;
use crate::ids::SubscriptionId;
use crate::stripe::checkout_session::SessionFacts;
use crate::stripe::subscription::SubscriptionFacts;

/// Who a subscription belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserLink {
    /// The application's user.
    pub user_id: Option<String>,
    /// What said it.
    pub source: Option<&'static str>,
    /// Whether anything else named another user.
    pub conflict: bool,
}

impl UserLink {
    /// Looks, in this order, at the subscription's metadata; the reference and then the metadata
    /// of the checkout session that made it; the customer's metadata; the reference of the latest
    /// other session of the customer.
    pub fn of(
        id: &SubscriptionId,
        subscription: &SubscriptionFacts,
        customer: &CustomerState,
        user_keys: &[String],
    ) -> Self {
        // (session's time, session's id): the latest is the greatest.
        let mut sessions: Vec<_> = customer
            .sessions
            .iter()
            .map(|(id, group)| (group.winner(), id))
            .map(|(winner, id)| {
                let facts = &winner.snapshot.facts;
                (facts.created.unwrap_or(winner.created), id, facts)
            })
            .collect();
        sessions.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)));
        let is_own = |session: &SessionFacts| session.subscription.as_deref() == Some(id.as_str());
        let own = || sessions.iter().map(|s| s.2).filter(|session| is_own(session));
        let other = sessions.iter().map(|s| s.2).filter(|session| !is_own(session));
        let by_metadata = |metadata: &BTreeMap<String, String>| {
            let named = |key: &String| metadata.get(key).filter(|user| !user.is_empty());
            user_keys.iter().find_map(named).cloned()
        };
        let by_reference = |session: &SessionFacts| {
            session.client_reference_id.clone().filter(|id| !id.is_empty())
        };
        let of_customer = customer
            .customer
            .as_ref()
            .map(|group| by_metadata(&group.winner().snapshot.facts.metadata));

        let mut link = Self::default();
        link.consider("subscription.metadata", by_metadata(&subscription.metadata));
        own().for_each(|s| link.consider("checkout.client_reference_id", by_reference(s)));
        own().for_each(|s| link.consider("checkout.metadata", by_metadata(&s.metadata)));
        link.consider("customer.metadata", of_customer.flatten());
        if link.user_id.is_none() {
            // Another session of the same customer is a hint, and no objection to anything firmer.
            other.for_each(|s| link.consider("customer.checkout", by_reference(s)));
        }
        link
    }

    fn consider(&mut self, source: &'static str, user: Option<String>) {
        match (&self.user_id, user) {
            (_, None) => {}
            (None, user) => (self.user_id, self.source) = (user, Some(source)),
            (Some(present), Some(user)) => self.conflict |= *present != user,
        }
    }
}
