//! Expected final state, computed from the simulated objects and not from the events.

pub(super) mod catalogue;
pub(super) mod planned;

use std::collections::BTreeSet;

use serde::Serialize;

use super::objects::Metadata;
use super::objects::checkout_session::CheckoutSession;
use super::objects::customer::Customer;
use super::objects::features::Features;
use super::objects::invoice::{Invoice, Status};
use super::objects::line::Line;
use super::objects::subscription::{STATUS_DETAILS_SINCE, Subscription};
use super::recorder::Tracked;
use super::stage::Stage;
use super::version::ApiVersion;
use crate::time::StripeTime;
use planned::{Planned, TrueChange};

/// Expected final state of one subscription.
///
/// Names and JSON forms are those of a row of `current_subscriptions`, so that every key of this row must have the
/// same value in that one. It holds only what events state, not what a policy adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are documented where the row of the projection is")]
#[expect(clippy::struct_excessive_bools, reason = "the row of the projection has them")]
pub struct TruthRow {
    pub subscription_id: String,
    pub account: String,
    pub livemode: bool,
    pub customer_id: String,
    pub user_id: Option<String>,
    pub user_id_source: Option<&'static str>,
    pub user_id_conflict: bool,
    pub email: Option<String>,
    pub status: &'static str,
    pub price_id: Option<&'static str>,
    pub product_id: Option<&'static str>,
    pub price_nickname: Option<&'static str>,
    pub lookup_key: Option<&'static str>,
    pub quantity: Option<i64>,
    pub currency: Option<&'static str>,
    pub unit_amount: Option<i64>,
    pub interval: Option<&'static str>,
    pub interval_count: Option<i64>,
    pub current_period_start: Option<StripeTime>,
    pub current_period_end: Option<StripeTime>,
    pub paid_through: Option<StripeTime>,
    pub trial_start: Option<StripeTime>,
    pub trial_end: Option<StripeTime>,
    pub cancel_at_period_end: bool,
    pub cancel_at: Option<StripeTime>,
    pub canceled_at: Option<StripeTime>,
    pub ended_at: Option<StripeTime>,
    pub ends_at: Option<StripeTime>,
    pub cancellation_reason: Option<&'static str>,
    pub paused_reason: Option<&'static str>,
    pub pause_collection: Option<TruePause>,
    pub scheduled_change: Option<TrueChange>,
    pub discounts: Vec<String>,
    pub features: Vec<&'static str>,
    pub features_truncated: bool,
    pub test_clock_id: Option<String>,
    pub collection_method: Option<&'static str>,
    pub latest_invoice_id: Option<String>,
    pub latest_invoice_status: Option<&'static str>,
    pub past_due_since: Option<StripeTime>,
    pub payment_failed_at: Option<StripeTime>,
    pub next_payment_attempt: Option<StripeTime>,
    pub paid_at: Option<StripeTime>,
    pub created_at: Option<StripeTime>,
    pub started_at: Option<StripeTime>,
    pub metadata: Metadata,
    /// Absent if two endpoints at two versions get the events: then the first arrival decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<&'static str>,
    pub order_ambiguous: bool,
    pub last_event_id: String,
    pub last_event_at: StripeTime,
}

/// Pause of the collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TruePause {
    /// `void`, `keep_as_draft` or `mark_uncollectible`.
    pub behavior: &'static str,
    /// Time at which the collection resumes by itself.
    pub resumes_at: Option<StripeTime>,
}

/// User of the application, and the source of the id.
struct User {
    id: Option<String>,
    source: Option<&'static str>,
    conflict: bool,
}

/// Expected row of a subscription; `None` if no event was sent.
pub(super) fn row(
    stage: &Stage,
    (customer, features): (&Tracked<Customer>, &Tracked<Features>),
    sessions: &[&CheckoutSession],
    customer_deleted_at: Option<i64>,
) -> Option<TruthRow> {
    let last = stage.facts.last.as_ref()?;
    let subscription = stage.subscription.sent()?;
    let (customer, features) = (customer.sent()?, features.sent()?);
    let first = &subscription.items[0];
    let invoices = InvoiceSummary::new(stage);
    let user = user(subscription, customer, sessions);
    // A deleted customer has no subscriptions, whether or not an event of their own was sent.
    let lost_end = customer_deleted_at.filter(|_| !subscription.status.is_terminal());
    let ended_at = subscription.ended_at.or(lost_end);
    let cancellation = &subscription.cancellation;
    let planned = Planned::new(stage, ended_at.is_some());
    let at_period_end = cancellation.at_period_end.then(|| subscription.next_period_end());
    let time = |seconds: Option<i64>| seconds.map(StripeTime);
    Some(TruthRow {
        subscription_id: subscription.id.clone(),
        account: stage.recorder.endpoint.account.clone(),
        livemode: subscription.home.livemode,
        customer_id: customer.id.clone(),
        user_id: user.id,
        user_id_source: user.source,
        user_id_conflict: user.conflict,
        email: Some(customer.email.clone()),
        status: if lost_end.is_some() { "canceled" } else { subscription.status.as_str() },
        price_id: Some(first.price.id),
        product_id: Some(first.price.product),
        price_nickname: first.price.nickname,
        lookup_key: first.price.lookup_key,
        quantity: first.price.shown_quantity(first.quantity),
        currency: Some(first.price.currency),
        unit_amount: Some(first.price.unit_amount),
        interval: Some(first.price.interval.as_str()),
        interval_count: Some(i64::from(first.price.interval_count)),
        current_period_start: time(Some(subscription.period_start())),
        current_period_end: time(Some(subscription.period_end())),
        paid_through: time(invoices.paid_through),
        trial_start: time(subscription.trial.map(|(start, _)| start)),
        trial_end: time(subscription.trial.map(|(_, end)| end)),
        cancel_at_period_end: cancellation.at_period_end,
        cancel_at: time(cancellation.at),
        canceled_at: time(cancellation.requested_at),
        ended_at: time(ended_at),
        ends_at: time(ended_at.or(cancellation.at).or(at_period_end).or(planned.ends_at)),
        cancellation_reason: cancellation.reason.filter(|_| last.version >= ApiVersion::Acacia),
        paused_reason: subscription
            .paused
            .as_ref()
            .map(|paused| paused.reason)
            .filter(|_| last.version >= STATUS_DETAILS_SINCE),
        pause_collection: subscription.pause_collection.as_ref().map(|pause| TruePause {
            behavior: pause.behavior,
            resumes_at: time(pause.resumes_at),
        }),
        scheduled_change: planned.change,
        discounts: subscription.discounts.iter().map(|it| it.coupon.id.to_owned()).collect(),
        features: features.embedded().to_vec(),
        features_truncated: features.is_truncated(),
        test_clock_id: subscription.home.test_clock.clone(),
        collection_method: Some(subscription.collection_method()),
        latest_invoice_id: invoices.latest.map(|invoice| invoice.id.clone()),
        latest_invoice_status: invoices.latest.map(|invoice| invoice.status.as_str()),
        past_due_since: time(stage.facts.past_due_since),
        payment_failed_at: time(stage.facts.payment_failed_at),
        next_payment_attempt: time(invoices.latest.and_then(|i| i.next_payment_attempt)),
        paid_at: time(invoices.paid_at),
        created_at: time(Some(subscription.created)),
        started_at: time(Some(subscription.start_date)),
        metadata: subscription.metadata.clone(),
        api_version: match stage.recorder.endpoint.second {
            None => Some(last.version.as_str()),
            Some(_) => None,
        },
        order_ambiguous: false,
        last_event_id: last.event_id.clone(),
        last_event_at: StripeTime(last.created),
    })
}

/// Summary of a subscription's invoices.
struct InvoiceSummary<'a> {
    latest: Option<&'a Invoice>,
    paid_through: Option<i64>,
    paid_at: Option<i64>,
}

impl<'a> InvoiceSummary<'a> {
    fn new(stage: &'a Stage) -> Self {
        let known = || stage.invoices.iter().filter_map(Tracked::sent);
        let paid = || known().filter(|invoice| invoice.status == Status::Paid);
        Self {
            // Of several of one second the last that was made: the subscription points at it.
            latest: known()
                .filter(|invoice| !stage.deleted_invoices.contains(&invoice.id))
                .max_by_key(|invoice| invoice.created),
            paid_through: paid_through(stage, &paid().collect::<Vec<_>>()),
            paid_at: paid().filter_map(|invoice| invoice.paid_at).max(),
        }
    }
}

/// End of the last interval whose last line is a charge. Lines apply in the order of their invoices, in one invoice
/// the credits before the charges; a line applies to its own item.
fn paid_through(stage: &Stage, paid: &[&Invoice]) -> Option<i64> {
    let mut lines: Vec<&Line> = Vec::new();
    for invoice in paid {
        let (credits, charges): (Vec<_>, Vec<_>) =
            invoice.lines.iter().partition(|line| line.amount < 0);
        lines.extend(credits.into_iter().chain(charges));
    }
    let ends_of = |item: &str| -> Option<i64> {
        // A proration of zero is a change between free prices.
        let is_void = |line: &Line| line.proration && line.amount == 0;
        let own = || lines.iter().filter(|line| line.item == item && !is_void(line));
        let edges: BTreeSet<i64> = own().flat_map(|line| [line.start, line.end]).collect();
        let edges: Vec<i64> = edges.into_iter().collect();
        let is_paid = |interval: &&[i64]| {
            let covers = |line: &&&Line| line.start <= interval[0] && interval[1] <= line.end;
            let Some(last) = own().rfind(covers) else { return false };
            // A free interval ends with the next charge.
            let later = own().skip_while(|line| line.id != last.id).skip(1);
            let is_charge = |line: &&&Line| line.amount > 0 && !line.proration;
            let ended = later.filter(is_charge).any(|line| line.start <= interval[0]);
            last.amount > 0 || (last.amount == 0 && !ended)
        };
        edges.windows(2).filter(is_paid).map(|interval| interval[1]).max()
    };
    let current = stage.subscription.items.iter().map(|item| item.id.as_str());
    let all = lines.iter().map(|line| line.item.as_str());
    current.filter_map(ends_of).max().or_else(|| all.filter_map(ends_of).max())
}

/// User by the sources of its id, the most trusted first. Another session of the same customer counts only if no
/// other source has an id.
fn user(subscription: &Subscription, customer: &Customer, sessions: &[&CheckoutSession]) -> User {
    let own = |session: &&&CheckoutSession| session.subscription.as_ref() == Some(&subscription.id);
    let own_session = sessions.iter().find(own);
    let other_session = sessions
        .iter()
        .filter(|session| !own(session) && session.client_reference_id.is_some())
        .max_by_key(|session| session.created);
    let reference = |session: &&CheckoutSession| session.client_reference_id.clone();
    let named = |metadata: &Metadata| metadata.get("user_id").cloned();
    let sources = [
        ("subscription.metadata", named(&subscription.metadata)),
        ("checkout.client_reference_id", own_session.and_then(reference)),
        ("checkout.metadata", own_session.and_then(|session| named(&session.metadata))),
        ("customer.metadata", named(&customer.metadata)),
    ];
    let distinct: BTreeSet<_> = sources.iter().filter_map(|(_, id)| id.as_ref()).collect();
    let conflict = distinct.len() > 1;
    let hint = ("customer.checkout", other_session.and_then(reference));
    let first = sources.into_iter().chain([hint]).find_map(|(source, id)| Some((source, id?)));
    let (source, id) = first.unzip();
    User { id, source, conflict }
}
