//! Subscriptions and their items.

use super::discount::Discount;
use super::old;
use super::price::Price;
use super::{Home, Metadata, Render, render_metadata};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, Wire, embedded_list, object};

/// Subscription. Instants are Unix seconds by the clock of the object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) status: Status,
    pub(crate) items: Vec<Item>,
    pub(crate) created: i64,
    pub(crate) start_date: i64,
    pub(crate) trial: Option<(i64, i64)>,
    pub(crate) cancellation: Cancellation,
    pub(crate) ended_at: Option<i64>,
    pub(crate) pause_collection: Option<Pause>,
    /// Reason and time of the status `paused`.
    pub(crate) paused: Option<Paused>,
    pub(crate) latest_invoice: Option<String>,
    pub(crate) default_payment_method: Option<String>,
    /// Behavior at the end of a trial without a card.
    pub(crate) missing_payment_method: &'static str,
    /// Collection method `send_invoice` instead of `charge_automatically`.
    pub(crate) send_invoice: bool,
    /// Flexible billing mode, rendered since Clover.
    pub(crate) flexible: bool,
    /// Change that waits for its payment: the new price, and the time at which it expires.
    pub(crate) pending_update: Option<(&'static Price, i64)>,
    /// Discounts in force, the oldest first.
    pub(crate) discounts: Vec<Discount>,
    /// Id of the schedule that drives it.
    pub(crate) schedule: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) home: Home,
}

/// Item: price, quantity and current period.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) price: &'static Price,
    pub(crate) quantity: i64,
    pub(crate) period_start: i64,
    pub(crate) period_end: i64,
    /// Start of the count of periods, and the number that have begun.
    pub(crate) anchor: i64,
    pub(crate) cycle: u32,
}

/// Stripe's status of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Paused,
    Canceled,
}

/// Requested end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cancellation {
    pub(crate) at_period_end: bool,
    pub(crate) at: Option<i64>,
    /// Time of the request.
    pub(crate) requested_at: Option<i64>,
    pub(crate) reason: Option<&'static str>,
}

/// Pause of the collection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pause {
    pub(crate) behavior: &'static str,
    pub(crate) resumes_at: Option<i64>,
}

/// Reason and time of the status `paused`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Paused {
    pub(crate) reason: &'static str,
    pub(crate) at: i64,
}

/// First version with the reason of a pause.
pub(crate) const STATUS_DETAILS_SINCE: ApiVersion = ApiVersion::Endive;

impl Paused {
    fn render(&self) -> Object {
        object! {
            "paused": object! {
                "subscription": object! { "type": self.reason },
                "transitioned_at": self.at,
                "type": "subscription",
            },
        }
    }
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }

    pub(crate) const fn is_terminal(self) -> bool {
        matches!(self, Self::IncompleteExpired | Self::Canceled)
    }
}

impl Item {
    /// Moves into the next period.
    pub(crate) fn roll(&mut self) {
        self.cycle += 1;
        self.period_start = self.period_end;
        self.period_end = self.price.period_end(self.anchor, self.cycle);
    }

    /// Restarts the count of periods.
    pub(crate) fn restart(&mut self, anchor: i64) {
        self.anchor = anchor;
        self.cycle = 1;
        self.period_start = anchor;
        self.period_end = self.price.period_end(anchor, 1);
    }

    pub(crate) fn render(&self, subscription: &Subscription, version: ApiVersion) -> Object {
        let livemode = subscription.home.livemode;
        let mut item = object! {
            "id": &self.id,
            "object": "subscription_item",
            "created": self.created,
            "metadata": Object::EMPTY,
            "plan": self.price.render_plan(version, livemode),
            "price": self.price.render_price(version, livemode),
            "subscription": &subscription.id,
            "tax_rates": NONE,
        };
        // A metered item has no quantity, not even null.
        if let Some(quantity) = self.price.shown_quantity(self.quantity) {
            item.set("quantity", quantity);
        }
        if version != ApiVersion::Basil {
            item.set("billing_thresholds", NULL);
        }
        if version < ApiVersion::V2020 {
            old::item(&mut item);
        }
        if version >= ApiVersion::Acacia {
            item.set("discounts", NONE);
        }
        if version >= ApiVersion::Basil {
            item.set("current_period_end", self.period_end);
            item.set("current_period_start", self.period_start);
        }
        item
    }
}

impl Subscription {
    /// Start of the current period: the earliest of the items.
    pub(crate) fn period_start(&self) -> i64 {
        self.items.iter().map(|item| item.period_start).min().unwrap_or(self.created)
    }

    /// Next end of a period of an item.
    pub(crate) fn next_period_end(&self) -> i64 {
        self.items.iter().map(|item| item.period_end).min().unwrap_or(self.created)
    }

    /// End of the current period: the latest of the items.
    pub(crate) fn period_end(&self) -> i64 {
        self.items.iter().map(|item| item.period_end).max().unwrap_or(self.created)
    }

    pub(crate) const fn collection_method(&self) -> &'static str {
        if self.send_invoice { "send_invoice" } else { "charge_automatically" }
    }

    fn version_fields(&self, subscription: &mut Object, version: ApiVersion) {
        if version < ApiVersion::Basil {
            subscription.set("current_period_end", self.period_end());
            subscription.set("current_period_start", self.period_start());
            subscription.set("discount", self.discounts.last().map(|it| it.render(version)));
        }
        if version <= ApiVersion::V2020 {
            return;
        }
        subscription.set("application", NULL);
        subscription.set("billing_cycle_anchor_config", NULL);
        subscription.set(
            "cancellation_details",
            object! { "comment": NULL, "feedback": NULL, "reason": self.cancellation.reason },
        );
        subscription.set("currency", self.items[0].price.currency);
        subscription.set("description", NULL);
        let discounts: Vec<Wire> =
            self.discounts.iter().map(|discount| Wire::from(&discount.id)).collect();
        subscription.set("discounts", discounts);
        subscription.set("on_behalf_of", NULL);
        subscription.set(
            "invoice_settings",
            object! { "account_tax_ids": NULL, "issuer": object! { "type": "self" } },
        );
        subscription.set(
            "trial_settings",
            object! { "end_behavior": object! {
                "missing_payment_method": self.missing_payment_method,
            } },
        );
        if version >= ApiVersion::Clover {
            subscription.set("billing_mode", self.billing_mode());
        }
        if version >= STATUS_DETAILS_SINCE {
            subscription.set("status_details", self.paused.as_ref().map(Paused::render));
        }
        if version >= ApiVersion::Dahlia {
            subscription.set("customer_account", NULL);
            subscription.set("managed_payments", object! { "enabled": false });
        }
    }

    fn billing_mode(&self) -> Object {
        if self.flexible {
            object! {
                "flexible": object! { "proration_discounts": "included" },
                "type": "flexible",
                "updated_at": self.created,
            }
        } else {
            object! { "flexible": NULL, "type": "classic", "updated_at": NULL }
        }
    }

    fn payment_settings(version: ApiVersion) -> Object {
        let mut settings = object! { "payment_method_options": NULL, "payment_method_types": NULL };
        if version >= ApiVersion::Acacia {
            settings.set("save_default_payment_method", "off");
        }
        settings
    }

    fn automatic_tax(version: ApiVersion) -> Object {
        let mut tax = object! { "enabled": false };
        if version >= ApiVersion::Acacia {
            tax.set("disabled_reason", NULL);
            tax.set("liability", NULL);
        }
        tax
    }

    fn render_pending_update(&self) -> Wire {
        let Some((price, expires_at)) = self.pending_update else { return NULL };
        let item = object! {
            "id": &self.items[0].id,
            "price": price.id,
            "quantity": price.shown_quantity(self.items[0].quantity),
        };
        object! {
            "billing_cycle_anchor": NULL,
            "expires_at": expires_at,
            "subscription_items": vec![item.into()],
            "trial_end": NULL,
            "trial_from_plan": NULL,
        }
        .into()
    }
}

impl Render for Subscription {
    fn render(&self, version: ApiVersion) -> Object {
        let first = &self.items[0];
        // The plan of a single item is repeated at the top; with several items it is null.
        let single = self.items.len() == 1;
        let items = self.items.iter().map(|item| item.render(self, version).into()).collect();
        let url = format!("/v1/subscription_items?subscription={}", self.id);
        let mut subscription = object! {
            "id": &self.id,
            "object": "subscription",
            "application_fee_percent": NULL,
            "automatic_tax": Self::automatic_tax(version),
            "billing_cycle_anchor": first.anchor,
            "billing_thresholds": NULL,
            "cancel_at": self.cancellation.at,
            "cancel_at_period_end": self.cancellation.at_period_end,
            "canceled_at": self.cancellation.requested_at,
            "collection_method": self.collection_method(),
            "created": self.created,
            "customer": &self.customer,
            "days_until_due": self.send_invoice.then_some(DAYS_UNTIL_DUE),
            "default_payment_method": &self.default_payment_method,
            "default_source": NULL,
            "default_tax_rates": NONE,
            "ended_at": self.ended_at,
            "items": embedded_list(items, url),
            "latest_invoice": &self.latest_invoice,
            "livemode": self.home.livemode,
            "metadata": render_metadata(&self.metadata),
            "next_pending_invoice_item_invoice": NULL,
            "pause_collection": self.pause_collection.as_ref().map(|pause| object! {
                "behavior": pause.behavior,
                "resumes_at": pause.resumes_at,
            }),
            "payment_settings": Self::payment_settings(version),
            "pending_invoice_item_interval": NULL,
            "pending_setup_intent": NULL,
            "pending_update": self.render_pending_update(),
            "plan": single.then(|| first.price.render_plan(version, self.home.livemode)),
            "quantity": first.price.shown_quantity(first.quantity).filter(|_| single),
            "schedule": &self.schedule,
            "start_date": self.start_date,
            "status": self.status.as_str(),
            "test_clock": &self.home.test_clock,
            "transfer_data": NULL,
            "trial_end": self.trial.map(|(_, end)| end),
            "trial_start": self.trial.map(|(start, _)| start),
        };
        self.version_fields(&mut subscription, version);
        if version < ApiVersion::V2020 {
            old::subscription(&mut subscription, version);
        }
        if version < ApiVersion::V2018 {
            // A subscription had only one plan.
            subscription.set("plan", first.price.render_plan(version, self.home.livemode));
            subscription.set("quantity", first.quantity);
        }
        subscription
    }
}

/// Days to pay an invoice that is sent by e-mail.
pub(crate) const DAYS_UNTIL_DUE: i64 = 14;
