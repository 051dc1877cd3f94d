//! Rows of `current_subscriptions`, computed from a customer's state and the logic. Pure.

use super::Logic;
use super::ambiguity;
use super::column::Json;
use super::entitlement::{Judgement, PolicyInputs, judge};
use super::group::{Precedence, Winner};
use super::latest::Latest;
use super::payments::Payments;
use super::row::{ItemRow, PauseCollection, ScheduledChange, SubscriptionRow};
use super::state::{CustomerState, SubscriptionState};
use super::user::SubscriptionOwner;
use crate::ids::{CustomerKey, EventId, SubscriptionId};
use crate::stripe::discount::DiscountFacts;
use crate::stripe::invoice::InvoiceFacts;
use crate::stripe::price::{ItemFacts, PriceFacts};
use crate::stripe::subscription::{ScheduleReference, SubscriptionFacts};
use crate::time::StripeTime;

/// Rows of a customer, in the order of their ids: one for each subscription of which a snapshot is known.
pub fn rows(key: &CustomerKey, state: &CustomerState, logic: &Logic) -> Vec<SubscriptionRow> {
    let rows = state.subscriptions.keys().filter_map(|id| {
        let mut row = row(key, state, id, logic)?;
        row.order_ambiguous = ambiguity::has_other_outcome(state, id, |other| {
            self::row(key, other, id, logic).is_some_and(|other| !same_except_origin(&row, other))
        });
        Some(row)
    });
    rows.collect()
}

/// Events of an ambiguous row that might each have been the last of their second, object by object. The
/// first of each is the one that the fold takes for the last.
pub fn rivals(
    key: &CustomerKey,
    state: &CustomerState,
    id: &SubscriptionId,
    logic: &Logic,
) -> Vec<Vec<EventId>> {
    let Some(row) = row(key, state, id, logic) else { return Vec::new() };
    ambiguity::rivals(state, id, |other| {
        self::row(key, other, id, logic).is_some_and(|other| !same_except_origin(&row, other))
    })
}

/// True if the row of a subscription would match with another order of its events of one second: an order that is
/// ambiguous, or that a status decided.
pub fn has_outcome(
    key: &CustomerKey,
    state: &CustomerState,
    id: &SubscriptionId,
    logic: &Logic,
    matches: impl Fn(&SubscriptionRow) -> bool,
) -> bool {
    let matches =
        |other: &CustomerState| row(key, other, id, logic).is_some_and(|other| matches(&other));
    ambiguity::has_other_outcome(state, id, matches)
        || ambiguity::has_outcome_against_status(state, id, matches)
}

/// Judgement of the policy on a subscription. None if no snapshot of it is known.
pub fn judgement(state: &CustomerState, id: &SubscriptionId, logic: &Logic) -> Option<Judgement> {
    RowInputs::new(state, id).map(|it| it.apply_policy(logic))
}

/// True if two rows are equal but for the event that they come from.
fn same_except_origin(row: &SubscriptionRow, mut other: SubscriptionRow) -> bool {
    other.last_event_id.clone_from(&row.last_event_id);
    other.api_version.clone_from(&row.api_version);
    *row == other
}

#[expect(clippy::too_many_lines, reason = "one line for each column")]
fn row(
    key: &CustomerKey,
    customer: &CustomerState,
    id: &SubscriptionId,
    logic: &Logic,
) -> Option<SubscriptionRow> {
    let inputs = RowInputs::new(customer, id)?;
    let Judgement { entitlement, .. } = inputs.apply_policy(logic);
    let RowInputs { winner, payments, termination, past_due_since, schedule } = inputs;
    let facts = winner.facts;
    let SubscriptionFacts {
        status,
        items,
        items_truncated,
        currency,
        cancel_at_period_end,
        cancel_at,
        canceled_at,
        cancellation_reason,
        paused_reason,
        pause_collection,
        trial_start,
        trial_end,
        discounts,
        collection_method,
        test_clock,
        created,
        started,
        metadata,
        // Read through `current_period_start` and the like.
        own_period: _,
        // Read by `Termination`, `Payments` and `ScheduleEffect`.
        ended_at: _,
        latest_invoice: _,
        schedule: _,
    } = facts;
    let owner = SubscriptionOwner::find(id, facts, customer, logic);
    let features = customer.features.as_ref().map(|latest| latest.winner().facts);
    let email = email(customer, id, &payments);
    let Payments {
        latest,
        next_attempt,
        paid_at,
        // Read by the policy.
        ever_paid: _,
        paid_through,
        paid_through_unknown,
        failed_at,
        // Read by `email`.
        email: _,
    } = payments;
    let items: Vec<ItemRow> = items.iter().map(item_row).collect();
    let first = items.first().cloned().unwrap_or_default();
    Some(SubscriptionRow {
        subscription_id: id.clone(),
        account: key.scope.account.clone(),
        livemode: key.scope.livemode,
        customer_id: key.customer.clone(),
        user_id: owner.user_id,
        user_id_source: owner.source.map(str::to_owned),
        user_id_conflict: owner.has_conflict,
        email,
        status: if termination.is_over && !facts.is_terminal() {
            "canceled".to_owned()
        } else {
            status.clone()
        },
        entitled: entitlement.entitled,
        entitled_until: entitlement.until,
        price_id: first.price_id,
        product_id: first.product_id,
        product_name: first.product_name,
        price_nickname: first.price_nickname,
        lookup_key: first.lookup_key,
        quantity: first.quantity,
        currency: first.currency.or_else(|| currency.clone()),
        unit_amount: first.unit_amount,
        unit_amount_decimal: first.unit_amount_decimal,
        interval: first.interval,
        interval_count: first.interval_count,
        items: Json(items),
        items_truncated: *items_truncated,
        current_period_start: facts.current_period_start(),
        current_period_end: facts.current_period_end(),
        paid_through,
        trial_start: *trial_start,
        trial_end: *trial_end,
        cancel_at_period_end: *cancel_at_period_end,
        cancel_at: *cancel_at,
        canceled_at: *canceled_at,
        ended_at: termination.ended_at,
        ends_at: termination
            .ended_at
            .or(*cancel_at)
            .or_else(|| cancel_at_period_end.then(|| facts.earliest_period_end()).flatten())
            .or(schedule.ends_at),
        cancellation_reason: cancellation_reason.clone(),
        paused_reason: paused_reason.clone(),
        pause_collection: pause_collection
            .clone()
            .map(|(behavior, resumes_at)| Json(PauseCollection { behavior, resumes_at })),
        scheduled_change: schedule.change.map(Json),
        discounts: Json(discounts.iter().map(|it| discount_label(customer, it)).collect()),
        features: Json(features.map(|it| it.features.clone()).unwrap_or_default()),
        features_truncated: features.is_some_and(|it| it.is_truncated),
        test_clock_id: test_clock.clone(),
        parked: 0,
        collection_method: collection_method.clone(),
        latest_invoice_id: latest.map(|(id, _)| id.clone()),
        latest_invoice_status: latest.and_then(|it| it.1).map(str::to_owned),
        past_due_since,
        payment_failed_at: failed_at,
        next_payment_attempt: next_attempt,
        paid_at,
        created_at: *created,
        started_at: *started,
        metadata: Json(metadata.clone()),
        api_version: winner.api_version.map(str::to_owned),
        order_ambiguous: false,
        last_event_id: winner.event_id.clone(),
        last_event_at: winner.created,
        event_count: 0,
        billing_currency: currency.clone(),
        transform_quantity: first.transform_quantity.map(Json),
        paid_through_unknown,
        observed_at: winner.is_observed.then_some(winner.created),
    })
}

/// Inputs of a row, beside the user and the customer's own fields.
struct RowInputs<'a> {
    winner: Winner<'a, SubscriptionFacts>,
    payments: Payments<'a>,
    termination: Termination,
    past_due_since: Option<StripeTime>,
    schedule: ScheduleEffect,
}

impl<'a> RowInputs<'a> {
    fn new(customer: &'a CustomerState, id: &SubscriptionId) -> Option<Self> {
        let subscription = customer.subscriptions.get(id)?;
        let winner = subscription.snapshots.as_ref()?.winner();
        let termination = Termination::new(customer, &winner);
        let is_past_due = winner.facts.status == "past_due" && !termination.is_over;
        let schedule = if termination.is_over {
            ScheduleEffect::default()
        } else {
            ScheduleEffect::find(id, customer, &winner)
        };
        Some(Self {
            payments: Payments::new(subscription, &winner),
            past_due_since: is_past_due.then(|| past_due_since(subscription)).flatten(),
            schedule,
            winner,
            termination,
        })
    }

    fn apply_policy(&self, logic: &Logic) -> Judgement {
        let inputs = PolicyInputs {
            is_over: self.termination.is_over,
            ends_as_scheduled: self.schedule.ends_at,
            past_due_since: self.past_due_since,
            paid_through: self.payments.paid_through,
            paid_through_unknown: self.payments.paid_through_unknown,
            ever_paid: self.payments.ever_paid,
        };
        judge(self.winner.facts, inputs, &logic.policy)
    }
}

/// Start of the current debt. Where no snapshot says that the debt began with it, its oldest unpaid invoice says since
/// when, and without one the second of the first past-due snapshot counts.
fn past_due_since(subscription: &SubscriptionState) -> Option<StripeTime> {
    let since = subscription.overdue.since()?;
    if since.is_start {
        return Some(since.at);
    }
    let invoices = subscription.invoices.values().map(|it| it.snapshots.winner());
    let own =
        || invoices.clone().filter(|it| it.precedence != Precedence::Terminal && it.facts.is_own);
    // An invoice that was never paid stays open for ever. A later one that was paid ended its debt.
    let last_paid = own().filter(|it| it.facts.is_paid()).filter_map(|it| it.facts.created).max();
    let is_recent = |facts: &InvoiceFacts| last_paid.is_none_or(|paid| facts.created >= Some(paid));
    let owed = own().filter(|it| it.facts.is_owed() && is_recent(it.facts));
    let due_at = owed.filter_map(|it| it.facts.due_at);
    let in_debt = due_at.filter(|at| *at <= since.at && Some(*at) > since.last_current);
    Some(in_debt.min().unwrap_or(since.at))
}

/// End of a subscription that is over.
struct Termination {
    is_over: bool,
    ended_at: Option<StripeTime>,
}

impl Termination {
    /// Takes the subscription's own terminal snapshot, else the deletion of its customer: Stripe cancels a
    /// deleted customer's subscriptions, and the events of that may be lost.
    fn new(customer: &CustomerState, winner: &Winner<'_, SubscriptionFacts>) -> Self {
        let facts = winner.facts;
        if winner.precedence == Precedence::Terminal {
            return Self { is_over: true, ended_at: facts.ended_at };
        }
        let customer = customer.customer.as_ref().map(Latest::winner);
        match customer.filter(|winner| winner.precedence == Precedence::Terminal) {
            Some(deletion) => Self { is_over: true, ended_at: Some(deletion.created) },
            None => Self { is_over: false, ended_at: facts.ended_at },
        }
    }
}

/// Effect of a schedule on its subscription.
#[derive(Default)]
struct ScheduleEffect {
    change: Option<ScheduledChange>,
    ends_at: Option<StripeTime>,
}

impl ScheduleEffect {
    /// Finds the schedule in force that drives the subscription. There is one at most; if more are known, the
    /// latest by Stripe's clock counts. If a later snapshot of the subscription does not name the schedule, it
    /// counts no more: it may have been released by an event that was lost.
    fn find(
        id: &SubscriptionId,
        customer: &CustomerState,
        subscription: &Winner<'_, SubscriptionFacts>,
    ) -> Self {
        let schedules = customer.schedules.iter().map(|(id, group)| (group.winner(), id));
        let driving = schedules.filter(|(winner, schedule_id)| {
            let facts = winner.facts;
            let is_older = winner.created < subscription.created;
            let is_released = match &subscription.facts.schedule {
                ScheduleReference::NotReported => false,
                ScheduleReference::None => is_older,
                ScheduleReference::Schedule(id) => is_older && *id != schedule_id.as_str(),
            };
            facts.is_in_force()
                && facts.subscription.as_deref() == Some(id.as_str())
                && !is_released
        });
        let latest = driving.max_by_key(|(winner, id)| (winner.created, *id));
        let Some((winner, schedule_id)) = latest else { return Self::default() };
        let facts = winner.facts;
        let change = facts.next.clone().map(|planned| ScheduledChange {
            schedule_id: schedule_id.to_string(),
            at: planned.at,
            action: planned.action,
            items: planned.items,
        });
        Self { change, ends_at: facts.ends_at }
    }
}

/// The customer's own address, else that of the subscription's latest invoice, else that of its checkout,
/// else the last one of any invoice or checkout of the customer.
fn email(customer: &CustomerState, id: &SubscriptionId, payments: &Payments<'_>) -> Option<String> {
    let own = customer.customer.as_ref().and_then(|g| g.winner().facts.email.clone());
    let of_invoice = || payments.email.map(str::to_owned);
    let of_checkout = || {
        let sessions = customer.sessions.values().map(|latest| latest.winner().facts);
        let mut own = sessions.filter(|s| s.subscription.as_deref() == Some(id.as_str()));
        own.find_map(|session| session.email.clone())
    };
    let of_any = || customer.last_email.as_ref().map(|(_, email)| email.clone());
    own.or_else(of_invoice).or_else(of_checkout).or_else(of_any)
}

/// The code of a discount if any event contains it, else its id.
fn discount_label(customer: &CustomerState, discount: &DiscountFacts) -> String {
    let known = || customer.discount_codes.get(discount.id.as_ref()?).map(|(_, code)| code.clone());
    discount.code.clone().or_else(known).unwrap_or_else(|| discount.label().to_owned())
}

fn item_row(item: &ItemFacts) -> ItemRow {
    let ItemFacts { item_id, price, quantity, current_period_start, current_period_end } =
        item.clone();
    let PriceFacts {
        price_id,
        product_id,
        product_name,
        nickname,
        lookup_key,
        currency,
        unit_amount,
        unit_amount_decimal,
        package,
        interval,
        interval_count,
    } = price;
    ItemRow {
        item_id,
        price_id,
        product_id,
        product_name,
        price_nickname: nickname,
        lookup_key,
        quantity,
        currency,
        unit_amount,
        unit_amount_decimal,
        interval,
        interval_count,
        current_period_start,
        current_period_end,
        transform_quantity: package,
    }
}
