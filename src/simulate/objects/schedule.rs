//! Subscription schedules with their phases.

use super::price::Price;
use super::{Home, Metadata, Render, render_metadata};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, Wire, object};

/// Schedule. Instants are Unix seconds by the clock of the object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) id: String,
    pub(crate) customer: String,
    /// Id of the subscription that it drives or drove.
    pub(crate) subscription: Option<String>,
    pub(crate) status: Status,
    /// Phases, the first to the last.
    pub(crate) phases: Vec<Phase>,
    /// Index of the current phase; `None` before the first and after the last.
    pub(crate) current: Option<usize>,
    /// True if the subscription ends with the last phase.
    pub(crate) cancels: bool,
    pub(crate) created: i64,
    /// Time of the end that the status names.
    pub(crate) over_at: Option<i64>,
    pub(crate) home: Home,
}

/// Phase: items for a span of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phase {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) items: Vec<(&'static Price, i64)>,
}

/// Stripe's status of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    NotStarted,
    Active,
    Completed,
    Released,
    Canceled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Released => "released",
            Self::Canceled => "canceled",
        }
    }
}

impl Schedule {
    /// True if it still drives its subscription.
    pub(crate) const fn is_in_force(&self) -> bool {
        matches!(self.status, Status::NotStarted | Status::Active)
    }

    /// Next phase.
    pub(crate) fn next_phase(&self) -> Option<&Phase> {
        self.phases.get(self.current.map_or(0, |current| current + 1))
    }

    /// Time at which it ends its subscription.
    pub(crate) fn ends_subscription_at(&self) -> Option<i64> {
        self.phases.last().map(|phase| phase.end).filter(|_| self.cancels)
    }

    /// Time of the end that a status names, if that is its status.
    pub(crate) fn over_at(&self, status: Status) -> Option<i64> {
        self.over_at.filter(|_| self.status == status)
    }
}

impl Phase {
    fn render(&self, version: ApiVersion) -> Wire {
        let items = self.items.iter().map(|(price, quantity)| {
            let mut item = object! {
                "billing_thresholds": NULL,
                "metadata": Object::EMPTY,
                "plan": price.id,
                "price": price.id,
                "tax_rates": NONE,
            };
            // A metered price has no quantity, not even null.
            if let Some(quantity) = price.shown_quantity(*quantity) {
                item.set("quantity", quantity);
            }
            if version >= ApiVersion::Acacia {
                item.set("discounts", NONE);
            }
            Wire::Object(item)
        });
        let mut rendered = object! {
            "add_invoice_items": NONE,
            "application_fee_percent": NULL,
            "billing_cycle_anchor": NULL,
            "collection_method": NULL,
            "default_payment_method": NULL,
            "default_tax_rates": NONE,
            "end_date": self.end,
            "invoice_settings": NULL,
            "items": items.collect::<Vec<_>>(),
            "proration_behavior": "none",
            "start_date": self.start,
            "transfer_data": NULL,
            "trial_end": NULL,
        };
        if version < ApiVersion::Basil {
            rendered.set("coupon", NULL);
        }
        if version >= ApiVersion::Acacia {
            rendered.set("currency", self.items.first().map(|(price, _)| price.currency));
            rendered.set("description", NULL);
            rendered.set("discounts", NONE);
            rendered.set("metadata", Object::EMPTY);
            rendered.set("on_behalf_of", NULL);
        }
        rendered.into()
    }
}

impl Render for Schedule {
    fn render(&self, version: ApiVersion) -> Object {
        let released = self.status == Status::Released;
        let phases: Vec<Wire> = self.phases.iter().map(|phase| phase.render(version)).collect();
        let current = self.current.and_then(|current| self.phases.get(current));
        let mut schedule = object! {
            "id": &self.id,
            "object": "subscription_schedule",
            "canceled_at": self.over_at(Status::Canceled),
            "completed_at": self.over_at(Status::Completed),
            "created": self.created,
            "current_phase": current.map(|phase| object! {
                "end_date": phase.end,
                "start_date": phase.start,
            }),
            "customer": &self.customer,
            "default_settings": object! {
                "billing_cycle_anchor": "automatic",
                "collection_method": "charge_automatically",
                "default_payment_method": NULL,
                "invoice_settings": NULL,
                "transfer_data": NULL,
            },
            "end_behavior": if self.cancels { "cancel" } else { "release" },
            "livemode": self.home.livemode,
            "metadata": render_metadata(&Metadata::new()),
            "phases": phases,
            "released_at": self.over_at(Status::Released),
            "released_subscription": self.subscription.as_ref().filter(|_| released),
            "renewal_interval": NULL,
            "status": self.status.as_str(),
            "subscription": self.subscription.as_ref().filter(|_| !released),
            "test_clock": &self.home.test_clock,
        };
        if version >= ApiVersion::Acacia {
            schedule.set("application", NULL);
        }
        if version >= ApiVersion::Dahlia {
            schedule.set("customer_account", NULL);
        }
        schedule
    }
}
