//! Novelty of an observation: whether it says something that the folded state does not say.
//!
//! An observation that says nothing new need not be logged. It confirms the state.

use super::group::Precedence;
use super::latest::Latest;
use super::state::{CustomerState, StateChange, SubscriptionState};
use crate::stripe::discount::DiscountFacts;
use crate::stripe::subscription::SubscriptionFacts;

/// Novelty of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Novelty {
    /// The state says the same.
    Confirmed,
    /// A later event is known already, so the observation would change nothing.
    Outdated,
    /// The state would say something else after it.
    New,
}

impl CustomerState {
    /// Novelty of the change that an observation makes to this state.
    pub fn novelty(&self, change: &StateChange) -> Novelty {
        match change {
            StateChange::Customer(seen) => compare(self.customer.as_ref(), seen),
            StateChange::Subscription(id, seen, _) => {
                let known = self.subscriptions.get(id).and_then(|it| it.snapshots.as_ref());
                compare_by(known, seen, |known, seen| self.have_same_content(known, seen))
            }
            StateChange::Invoice(id, seen, _) => {
                let novelty = seen.iter().map(|(subscription, seen)| {
                    let known = self.subscriptions.get(subscription);
                    let known = known.and_then(|it: &SubscriptionState| it.invoices.get(id));
                    compare(known.map(|it| &it.snapshots), &seen.snapshots)
                });
                // An invoice of no subscription says an address at most, and that is no reason to log it.
                novelty.max().unwrap_or(Novelty::Confirmed)
            }
            StateChange::Session(id, seen) => compare(self.sessions.get(id), seen),
            StateChange::Schedule(id, seen) => compare(self.schedules.get(id), seen),
            StateChange::Features(seen) => compare(self.features.as_ref(), seen),
            StateChange::Discount(id, (_, code)) => match self.discount_codes.get(id) {
                Some((_, known)) if known == code => Novelty::Confirmed,
                _ => Novelty::New,
            },
            StateChange::UserLink(link) => match &self.user_link {
                Some(known) if known.user_id == link.user_id => Novelty::Confirmed,
                Some(known) if known > link => Novelty::Outdated,
                _ => Novelty::New,
            },
        }
    }
}

impl CustomerState {
    /// True if two snapshots of a subscription say the same, with what is known of their discounts: a webhook names a
    /// discount by its id, and the API shows its coupon.
    fn have_same_content(&self, known: &SubscriptionFacts, seen: &SubscriptionFacts) -> bool {
        if known == seen {
            return true;
        }
        let with_codes = |facts: &SubscriptionFacts| {
            let mut facts = facts.clone();
            for DiscountFacts { id, code } in &mut facts.discounts {
                let known = id.as_ref().and_then(|id| self.discount_codes.get(id));
                *code = code.take().or_else(|| known.map(|(_, code)| code.clone()));
            }
            facts
        };
        with_codes(known) == with_codes(seen)
    }
}

fn compare<F: Clone + PartialEq>(known: Option<&Latest<F>>, seen: &Latest<F>) -> Novelty {
    compare_by(known, seen, PartialEq::eq)
}

fn compare_by<F: Clone + PartialEq>(
    known: Option<&Latest<F>>,
    seen: &Latest<F>,
    have_same_content: impl Fn(&F, &F) -> bool,
) -> Novelty {
    let Some(known) = known else { return Novelty::New };
    let has_ended = |it: &Latest<F>| it.precedence() == Precedence::Terminal;
    let says_the_same = {
        let (known, seen) = (known.winner(), seen.winner());
        !known.is_ambiguous && have_same_content(known.facts, seen.facts)
    };
    // An object that is gone has hardly any facts.
    if has_ended(known) == has_ended(seen) && (says_the_same || seen.is_gone()) {
        return Novelty::Confirmed;
    }
    let mut joined = known.clone();
    joined.join(seen.clone());
    if joined == *known { Novelty::Outdated } else { Novelty::New }
}
