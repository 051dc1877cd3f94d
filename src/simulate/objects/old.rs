//! Subscriptions, invoices and plans as they were sent before 2019: so much is different that
//! they have renderers of their own.

use super::invoice::{Invoice, Status};
use super::line::Line;
use super::price::Price;
use super::render_metadata;
use super::subscription::{DAYS_UNTIL_DUE, Item, Subscription};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NULL, Object, Wire, embedded_list, object};

/// One plan on top, to which 2018 adds a list of items, metadata and a way of billing.
pub(super) fn subscription(of: &Subscription, version: ApiVersion) -> Object {
    let first = &of.items[0];
    let single = of.items.len() == 1;
    let mut subscription = object! {
        "id": &of.id,
        "object": "subscription",
        "application_fee_percent": NULL,
        "cancel_at_period_end": of.cancellation.at_period_end,
        "canceled_at": of.cancellation.asked_at,
        "current_period_end": of.period_end(),
        "current_period_start": of.period_start(),
        "customer": &of.customer,
        "discount": NULL,
        "ended_at": of.ended_at,
        "plan": single.then(|| plan(first.price, version, of.home.livemode)),
        "quantity": first.price.shown_quantity(first.quantity).filter(|_| single),
        "start": of.start_date,
        "status": of.status.as_str(),
        "tax_percent": NULL,
        "trial_end": of.trial.map(|(_, end)| end),
        "trial_start": of.trial.map(|(start, _)| start),
    };
    if version >= ApiVersion::V2018 {
        let items = of.items.iter().map(|it| item(it, of, version).into()).collect();
        let url = format!("/v1/subscription_items?subscription={}", of.id);
        subscription.set("billing", of.collection_method());
        subscription.set("billing_cycle_anchor", first.anchor);
        subscription.set("created", of.created);
        subscription.set("days_until_due", of.send_invoice.then_some(DAYS_UNTIL_DUE));
        subscription.set("items", embedded_list(items, url));
        subscription.set("livemode", of.home.livemode);
        subscription.set("metadata", render_metadata(&of.metadata));
    }
    subscription
}

fn item(of: &Item, subscription: &Subscription, version: ApiVersion) -> Object {
    object! {
        "id": &of.id,
        "object": "subscription_item",
        "created": of.created,
        "metadata": Object::EMPTY,
        "plan": plan(of.price, version, subscription.home.livemode),
        "quantity": of.price.shown_quantity(of.quantity),
        "subscription": &subscription.id,
    }
}

/// A plan of 2014 has a name; since February 2018 it has a product, and a nickname instead.
fn plan(of: &Price, version: ApiVersion, livemode: bool) -> Object {
    let mut plan = object! {
        "id": of.id,
        "object": "plan",
        "amount": of.unit_amount,
        "created": super::price::CREATED,
        "currency": of.currency,
        "interval": of.interval.as_str(),
        "interval_count": of.interval_count,
        "livemode": livemode,
        "metadata": Object::EMPTY,
        "trial_period_days": NULL,
    };
    if version >= ApiVersion::V2018 {
        plan.set("nickname", of.nickname);
        plan.set("product", of.product);
    } else {
        plan.set("name", of.nickname.unwrap_or(of.product_name));
        plan.set("statement_descriptor", NULL);
    }
    plan
}

/// An invoice has no status: it is paid, closed or forgiven. In 2014 it is linked to its
/// subscription by its lines alone.
pub(super) fn invoice(of: &Invoice, version: ApiVersion) -> Object {
    let settled = matches!(of.status, Status::Paid | Status::Void);
    let lines: Vec<Wire> = of.lines.iter().map(|it| line(it, of, version).into()).collect();
    let url = format!("/v1/invoices/{}/lines", of.id);
    let mut invoice = object! {
        "id": &of.id,
        "object": "invoice",
        "amount_due": of.amount_due(),
        "application_fee": NULL,
        "attempt_count": of.attempt_count,
        "attempted": of.attempt_count > 0 || of.status == Status::Paid,
        "charge": of.payment.as_ref().map(|(_, charge)| charge),
        "closed": settled,
        "currency": of.lines[0].price.currency,
        "customer": &of.customer,
        "date": of.created,
        "description": NULL,
        "discount": NULL,
        "ending_balance": of.finalized_at.map(|_| 0_i64),
        "forgiven": of.status == Status::Uncollectible,
        "livemode": of.home.livemode,
        "metadata": Object::EMPTY,
        "next_payment_attempt": of.next_payment_attempt,
        "paid": of.status == Status::Paid,
        "period_end": of.period_end,
        "period_start": of.period_start,
        "receipt_number": NULL,
        "starting_balance": 0_i64,
        "statement_descriptor": NULL,
        "subtotal": of.total(),
        "tax": NULL,
        "total": of.total(),
        "webhooks_delivered_at": of.finalized_at,
    };
    if version >= ApiVersion::V2018 {
        let billing = if of.due_date.is_some() { "send_invoice" } else { "charge_automatically" };
        invoice.set("billing", billing);
        invoice.set("due_date", of.due_date);
        invoice.set("lines", embedded_list(lines, url));
        invoice.set("number", of.number());
        invoice.set("subscription", &of.subscription);
    } else {
        let count = i64::try_from(lines.len()).unwrap_or(0);
        let lines = object! { "object": "list", "count": count, "data": lines, "url": url };
        invoice.set("lines", lines);
    }
    invoice
}

/// Until 2014 the line of a subscription has the subscription's own id.
fn line(of: &Line, invoice: &Invoice, version: ApiVersion) -> Object {
    let own = if of.proration { of.id.replacen("il_", "ii_", 1) } else { of.id.clone() };
    let id = if version >= ApiVersion::V2018 || of.proration {
        own
    } else {
        invoice.subscription.clone()
    };
    let mut line = object! {
        "id": id,
        "object": "line_item",
        "amount": of.amount,
        "currency": of.price.currency,
        "description": of.proration.then(|| of.description()),
        "discountable": !of.proration,
        "livemode": invoice.home.livemode,
        "metadata": Object::EMPTY,
        "period": object! { "end": of.end, "start": of.start },
        "plan": plan(of.price, version, invoice.home.livemode),
        "proration": of.proration,
        "quantity": of.quantity,
        "type": if of.proration { "invoiceitem" } else { "subscription" },
    };
    if version >= ApiVersion::V2018 || of.proration {
        line.set("subscription", &invoice.subscription);
    }
    if version >= ApiVersion::V2018 {
        line.set("subscription_item", &of.item);
    }
    line
}
