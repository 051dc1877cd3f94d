//! Final objects of simulated lives, as Stripe's API would show them.

use super::objects::checkout_session::CheckoutSession;
use super::objects::customer::Customer;
use super::objects::event::SimulatedEvent;
use super::objects::features::Features;
use super::objects::invoice::Invoice;
use super::objects::product::{Offer, Product};
use super::objects::schedule::Schedule;
use super::objects::subscription::{Status, Subscription};
use super::recorder::Tracked;
use super::stage::Stage;

/// Final objects of one customer.
#[derive(Clone, Debug)]
pub(super) struct CustomerObjects {
    /// Connected account, `acct_…`; empty for the platform's own.
    pub(super) account: String,
    pub(super) customer: Customer,
    pub(super) deleted_at: Option<i64>,
    pub(super) features: Features,
    pub(super) clock: Option<TestClock>,
    pub(super) subscriptions: Vec<Subscription>,
    /// Invoices, without drafts that were deleted.
    pub(super) invoices: Vec<Invoice>,
    /// Sessions that were completed.
    pub(super) sessions: Vec<CheckoutSession>,
    pub(super) schedules: Vec<Schedule>,
}

/// Final objects of the catalogue of one account and mode, without deleted ones.
#[derive(Clone, Debug)]
pub(super) struct CatalogueObjects {
    /// Connected account, `acct_…`; empty for the platform's own.
    pub(super) account: String,
    pub(super) livemode: bool,
    pub(super) products: Vec<Product>,
    pub(super) prices: Vec<Offer>,
}

/// Test clock.
#[derive(Clone, Debug)]
pub(super) struct TestClock {
    pub(super) id: String,
    pub(super) created: i64,
    /// Time of the objects that it moves.
    pub(super) frozen_time: i64,
}

impl TestClock {
    /// Test clock of a customer, if there is one.
    pub(super) fn of(customer: &Customer, frozen_time: i64) -> Option<Self> {
        let id = customer.home.test_clock.clone()?;
        Some(Self { id, created: customer.created, frozen_time })
    }
}

impl CustomerObjects {
    /// Creates the objects of a customer without subscriptions.
    pub(super) fn new(
        account: String,
        (customer, features): (Customer, Features),
        deleted_at: Option<i64>,
        clock: Option<TestClock>,
    ) -> Self {
        Self {
            account,
            customer,
            deleted_at,
            features,
            clock,
            subscriptions: Vec::new(),
            invoices: Vec::new(),
            sessions: Vec::new(),
            schedules: Vec::new(),
        }
    }

    /// Adds the objects of a stage. Returns its events.
    pub(super) fn take(&mut self, stage: Stage) -> Vec<SimulatedEvent> {
        if let Some(mut subscription) = stage.subscription.into_sent() {
            if let Some(at) = self.deleted_at.filter(|_| !subscription.status.is_terminal()) {
                // A deleted customer has no subscriptions, whether or not an event of their own was sent.
                subscription.status = Status::Canceled;
                subscription.ended_at = Some(at);
            }
            self.subscriptions.push(subscription);
        }
        let deleted = stage.deleted_invoices;
        let invoices = stage.invoices.into_iter().filter_map(Tracked::into_sent);
        self.invoices.extend(invoices.filter(|invoice| !deleted.contains(&invoice.id)));
        self.sessions.extend(stage.sessions);
        self.schedules.extend(stage.schedules.into_iter().filter_map(Tracked::into_sent));
        stage.recorder.events
    }
}
