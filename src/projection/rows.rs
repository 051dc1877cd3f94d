//! From a customer's state to the rows of `current_subscriptions`: a pure function of state and
//! logic.

use super::Logic;
use super::column::Json;
use super::doubt;
use super::entitlement::{self, Judgement, judge};
use super::group::{Standing, Winner};
use super::payments::Payments;
use super::row::{ItemRow, PauseCollection, ScheduledChange, SubscriptionRow};
use super::state::CustomerState;
use super::user::UserLink;
use crate::ids::{CustomerKey, EventId, SubscriptionId};
use crate::stripe::discount::DiscountFacts;
use crate::stripe::price::ItemFacts;
use crate::stripe::subscription::{Driver, SubscriptionFacts};
use crate::time::StripeTime;

/// The rows of a customer, one a subscription of which a snapshot is known, in the order of their
/// ids.
pub fn rows(key: &CustomerKey, state: &CustomerState, logic: &Logic) -> Vec<SubscriptionRow> {
    let rows = state.subscriptions.keys().filter_map(|id| {
        let mut row = row(key, state, id, logic)?;
        row.order_ambiguous = doubt::any_other(state, id, |other| {
            self::row(key, other, id, logic).is_some_and(|other| !says_the_same(&row, other))
        });
        Some(row)
    });
    rows.collect()
}

/// Of a row whose order is in doubt, the events that might each have been the last of their second,
/// object by object; the first of each is the one that was taken for it.
pub fn rivals(
    key: &CustomerKey,
    state: &CustomerState,
    id: &SubscriptionId,
    logic: &Logic,
) -> Vec<Vec<EventId>> {
    let Some(row) = row(key, state, id, logic) else { return Vec::new() };
    doubt::rivals(state, id, |other| {
        self::row(key, other, id, logic).is_some_and(|other| !says_the_same(&row, other))
    })
}

/// How the policy judges a subscription, and why. None where no snapshot of it is known.
pub fn judgement(state: &CustomerState, id: &SubscriptionId, logic: &Logic) -> Option<Judgement> {
    Circumstances::of(state, id).map(|it| it.judge(logic))
}

/// Whether two rows differ in nothing but the event that they come from.
fn says_the_same(row: &SubscriptionRow, mut other: SubscriptionRow) -> bool {
    other.last_event_id.clone_from(&row.last_event_id);
    other.api_version.clone_from(&row.api_version);
    *row == other
}

fn row(
    key: &CustomerKey,
    customer: &CustomerState,
    id: &SubscriptionId,
    logic: &Logic,
) -> Option<SubscriptionRow> {
    let found = Circumstances::of(customer, id)?;
    let entitlement = found.judge(logic).entitlement;
    let Circumstances { winner, payments, ending, past_due_since, plan } = found;
    let facts = &winner.snapshot.facts;
    let user = UserLink::of(id, facts, customer, logic);
    let features = customer.features.as_ref().map(|group| &group.winner().snapshot.facts);
    let items: Vec<ItemRow> = facts.items.iter().map(item_row).collect();
    let first = items.first().cloned().unwrap_or_default();
    Some(SubscriptionRow {
        subscription_id: id.to_string(),
        account: key.scope.account.to_string(),
        livemode: key.scope.livemode,
        customer_id: key.customer.to_string(),
        user_id: user.user_id,
        user_id_source: user.source.map(str::to_owned),
        user_id_conflict: user.conflict,
        email: email(customer, id, &payments),
        status: if ending.over && !facts.is_terminal() {
            "canceled".to_owned()
        } else {
            facts.status.clone()
        },
        entitled: entitlement.entitled,
        entitled_until: entitlement.until,
        price_id: first.price_id,
        product_id: first.product_id,
        product_name: first.product_name,
        price_nickname: first.price_nickname,
        lookup_key: first.lookup_key,
        quantity: first.quantity,
        currency: first.currency.or_else(|| facts.currency.clone()),
        unit_amount: first.unit_amount,
        unit_amount_decimal: first.unit_amount_decimal,
        interval: first.interval,
        interval_count: first.interval_count,
        items: Json(items),
        items_truncated: facts.items_truncated,
        current_period_start: facts.current_period_start(),
        current_period_end: facts.current_period_end(),
        paid_through: payments.paid_through,
        trial_start: facts.trial_start,
        trial_end: facts.trial_end,
        cancel_at_period_end: facts.cancel_at_period_end,
        cancel_at: facts.cancel_at,
        canceled_at: facts.canceled_at,
        ended_at: ending.ended_at,
        ends_at: ending
            .ended_at
            .or(facts.cancel_at)
            .or_else(|| facts.cancel_at_period_end.then(|| facts.earliest_period_end()).flatten())
            .or(plan.ends_at),
        cancellation_reason: facts.cancellation_reason.clone(),
        paused_reason: facts.paused_reason.clone(),
        pause_collection: facts
            .pause_collection
            .clone()
            .map(|(behavior, resumes_at)| Json(PauseCollection { behavior, resumes_at })),
        scheduled_change: plan.change.map(Json),
        discounts: Json(facts.discounts.iter().map(|it| discount_label(customer, it)).collect()),
        features: Json(features.map(|it| it.features.clone()).unwrap_or_default()),
        features_truncated: features.is_some_and(|it| it.truncated),
        test_clock_id: facts.test_clock.clone(),
        parked: 0,
        collection_method: facts.collection_method.clone(),
        latest_invoice_id: payments.latest.map(|(id, _)| id.to_owned()),
        latest_invoice_status: payments.latest.and_then(|it| it.1).map(str::to_owned),
        past_due_since,
        payment_failed_at: payments.failed_at,
        next_payment_attempt: payments.next_attempt,
        paid_at: payments.paid_at,
        created_at: facts.created,
        started_at: facts.started,
        metadata: Json(facts.metadata.clone()),
        api_version: winner.snapshot.evidence.api_version.clone(),
        order_ambiguous: false,
        last_event_id: winner.event_id.to_string(),
        last_event_at: winner.created,
        event_count: 0,
        billing_currency: facts.currency.clone(),
        transform_quantity: first.transform_quantity.map(Json),
        paid_through_unknown: payments.paid_through_unknown,
    })
}

/// What there is to know of a subscription beside its latest snapshot.
struct Circumstances<'a> {
    winner: Winner<'a, SubscriptionFacts>,
    payments: Payments<'a>,
    ending: Ending,
    past_due_since: Option<StripeTime>,
    plan: Plan,
}

impl<'a> Circumstances<'a> {
    fn of(customer: &'a CustomerState, id: &SubscriptionId) -> Option<Self> {
        let subscription = customer.subscriptions.get(id)?;
        let winner = subscription.snapshots.as_ref()?.winner();
        let ending = Ending::of(customer, &winner);
        let past_due = winner.snapshot.facts.status == "past_due" && !ending.over;
        Some(Self {
            payments: Payments::of(subscription, &winner),
            past_due_since: past_due.then(|| subscription.overdue.since()).flatten(),
            plan: if ending.over { Plan::default() } else { Plan::of(id, customer, &winner) },
            winner,
            ending,
        })
    }

    fn judge(&self, logic: &Logic) -> Judgement {
        let standing = entitlement::Standing {
            over: self.ending.over,
            ends_as_scheduled: self.plan.ends_at,
            past_due_since: self.past_due_since,
            paid_through: self.payments.paid_through,
            paid_through_unknown: self.payments.paid_through_unknown,
            ever_paid: self.payments.ever_paid,
        };
        judge(&self.winner.snapshot.facts, standing, &logic.policy)
    }
}

/// Whether and when a subscription ended.
struct Ending {
    over: bool,
    ended_at: Option<StripeTime>,
}

impl Ending {
    /// By its own terminal snapshot; else, where its customer was deleted, by that: Stripe cancels
    /// a deleted customer's subscriptions, and their own events may be lost.
    fn of(customer: &CustomerState, winner: &Winner<'_, SubscriptionFacts>) -> Self {
        let facts = &winner.snapshot.facts;
        if winner.standing == Standing::Terminal {
            return Self { over: true, ended_at: facts.ended_at };
        }
        let group = customer.customer.as_ref().map(super::group::Group::winner);
        match group.filter(|group| group.standing == Standing::Terminal) {
            Some(deletion) => Self { over: true, ended_at: Some(deletion.created) },
            None => Self { over: false, ended_at: facts.ended_at },
        }
    }
}

/// What a schedule has in store for a subscription.
#[derive(Default)]
struct Plan {
    change: Option<ScheduledChange>,
    ends_at: Option<StripeTime>,
}

impl Plan {
    /// By the schedule in force that drives it. There is one at most; should more be known, the one that
    /// was heard of last, by Stripe's clock. What the subscription says of its schedule at a later second
    /// wins over the schedule's own word: it may have been released, and the event of that lost.
    fn of(
        id: &SubscriptionId,
        customer: &CustomerState,
        subscription: &Winner<'_, SubscriptionFacts>,
    ) -> Self {
        let schedules = customer.schedules.iter().map(|(id, group)| (group.winner(), id));
        let driving = schedules.filter(|(winner, schedule_id)| {
            let facts = &winner.snapshot.facts;
            let is_said_later = subscription.created > winner.created;
            let is_denied = match &subscription.snapshot.facts.schedule {
                Driver::Unsaid => false,
                Driver::None => is_said_later,
                Driver::Schedule(id) => is_said_later && *id != schedule_id.as_str(),
            };
            facts.is_in_force() && facts.subscription.as_deref() == Some(id.as_str()) && !is_denied
        });
        let latest = driving.max_by_key(|(winner, id)| (winner.created, *id));
        let Some((winner, schedule_id)) = latest else { return Self::default() };
        let facts = &winner.snapshot.facts;
        let change = facts.next.clone().map(|planned| ScheduledChange {
            schedule_id: schedule_id.to_string(),
            at: planned.at,
            action: planned.action,
            items: planned.items,
        });
        Self { change, ends_at: facts.ends_at }
    }
}

/// The customer's own address, else that of the subscription's latest invoice, else the one given at its
/// checkout, else the last that any invoice or checkout of the customer gave.
fn email(customer: &CustomerState, id: &SubscriptionId, payments: &Payments<'_>) -> Option<String> {
    let own = customer.customer.as_ref().and_then(|g| g.winner().snapshot.facts.email.clone());
    let of_invoice = || payments.email.map(str::to_owned);
    let of_checkout = || {
        let sessions = customer.sessions.values().map(|group| &group.winner().snapshot.facts);
        let mut made_it = sessions.filter(|s| s.subscription.as_deref() == Some(id.as_str()));
        made_it.find_map(|session| session.email.clone())
    };
    let of_any = || customer.email_heard.as_ref().map(|(_, email)| email.clone());
    own.or_else(of_invoice).or_else(of_checkout).or_else(of_any)
}

/// The code of a discount where any event says it, else its id.
fn discount_label(customer: &CustomerState, discount: &DiscountFacts) -> String {
    let known = || customer.discount_codes.get(discount.id.as_ref()?).map(|(_, code)| code.clone());
    discount.code.clone().or_else(known).unwrap_or_else(|| discount.label().to_owned())
}

fn item_row(item: &ItemFacts) -> ItemRow {
    let price = item.price.clone();
    ItemRow {
        item_id: item.item_id.clone(),
        price_id: price.price_id,
        product_id: price.product_id,
        product_name: price.product_name,
        price_nickname: price.nickname,
        lookup_key: price.lookup_key,
        quantity: item.quantity,
        currency: price.currency,
        unit_amount: price.unit_amount,
        unit_amount_decimal: price.unit_amount_decimal,
        interval: price.interval,
        interval_count: price.interval_count,
        current_period_start: item.current_period_start,
        current_period_end: item.current_period_end,
        transform_quantity: price.package,
    }
}
