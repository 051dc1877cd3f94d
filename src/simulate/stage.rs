//! State of one simulated subscription: its objects, and the steps of which acts are made.

use super::objects::Metadata;
use super::objects::checkout_session::CheckoutSession;
use super::objects::customer::Customer;
use super::objects::invoice::Invoice;
use super::objects::line::Line;
use super::objects::payment::Payment;
use super::objects::price::{ADD_ON, CLASSIC, METERED, MODULES, PRICES, Price};
use super::objects::schedule::Schedule;
use super::objects::subscription::{Cancellation, Item, Status, Subscription};
use super::recorder::{Recorder, Sent, Tracked};
use super::version::ApiVersion;

/// One subscription and the objects that belong to it alone.
pub(super) struct Stage {
    pub(super) recorder: Recorder,
    pub(super) customer: Customer,
    pub(super) subscription: Tracked<Subscription>,
    /// Invoices so far, the oldest first.
    pub(super) invoices: Vec<Tracked<Invoice>>,
    /// Ids of the drafts that were deleted.
    pub(super) deleted_invoices: Vec<String>,
    /// Payments that succeeded.
    pub(super) payments: Vec<Payment>,
    pub(super) sessions: Vec<CheckoutSession>,
    /// Schedules so far; the last one may still be in force.
    pub(super) schedules: Vec<Tracked<Schedule>>,
    /// Prorations that wait for the next invoice.
    pub(super) prorations: Vec<Line>,
    /// Sources of the application's user id.
    pub(super) naming: Naming,
    pub(super) facts: EventFacts,
}

/// Sources of the application's user id that a life uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Naming {
    pub(super) user_id: String,
    /// User id in the subscription's metadata; usually the same user.
    pub(super) subscription_metadata: Option<String>,
    pub(super) client_reference: bool,
    pub(super) session_metadata: bool,
}

/// Facts that the events state and the objects do not hold.
#[derive(Clone, Debug, Default)]
pub(super) struct EventFacts {
    /// Last event of the subscription.
    pub(super) last: Option<Sent>,
    /// True if the subscription was unchanged when it was sent.
    pub(super) last_is_unchanged: bool,
    pub(super) past_due_since: Option<i64>,
    pub(super) payment_failed_at: Option<i64>,
}

impl Stage {
    /// Creates a random subscription, of which no event was sent yet. A wide one has more items than Stripe embeds.
    pub(super) fn new(
        mut recorder: Recorder,
        customer: Customer,
        naming: Naming,
        wide: bool,
    ) -> Self {
        let mut subscription = draw_subscription(&mut recorder, &customer, &naming);
        if wide {
            subscription.items = modules(&mut recorder);
        }
        let subscription = Tracked::new(subscription);
        Self {
            recorder,
            customer,
            subscription,
            invoices: Vec::new(),
            deleted_invoices: Vec::new(),
            payments: Vec::new(),
            sessions: Vec::new(),
            schedules: Vec::new(),
            prorations: Vec::new(),
            naming,
            facts: EventFacts::default(),
        }
    }

    /// Sends a snapshot of the subscription.
    pub(super) fn send(&mut self, event_type: &'static str) {
        let owed = self.subscription.sent().map(|it| it.status) == Some(Status::PastDue);
        let unchanged = self.subscription.sent() == Some(&*self.subscription);
        let mut sent = self.recorder.send(event_type, &mut self.subscription);
        if let Some(last) = &self.facts.last
            && unchanged
            && self.facts.last_is_unchanged
            && last.created == sent.created
            && !last.event_type.ends_with(".created")
        {
            // Two events of one second with the same snapshot have no order, so the greater id stands for both.
            sent.event_id = sent.event_id.max(last.event_id.clone());
        }
        if owed != (self.subscription.status == Status::PastDue) {
            // Only this event states the time since which an amount is owed.
            self.subscription.require_last();
        }
        self.facts.past_due_since = match self.subscription.status {
            Status::PastDue => self.facts.past_due_since.or(Some(sent.created)),
            _ => None,
        };
        self.facts.last = Some(sent);
        self.facts.last_is_unchanged = unchanged;
    }

    /// `customer.subscription.updated`.
    pub(super) fn send_updated(&mut self) {
        self.send("customer.subscription.updated");
    }

    /// Changes the status and sends an update.
    pub(super) fn enter(&mut self, status: Status) {
        self.subscription.status = status;
        self.send_updated();
    }

    /// True if an event of the subscription was sent, and it has not ended.
    pub(super) fn is_running(&self) -> bool {
        self.facts.last.is_some() && !self.subscription.status.is_terminal()
    }

    /// Sends a snapshot of an invoice.
    pub(super) fn send_invoice(&mut self, event_type: &'static str, index: usize) -> Sent {
        let invoice = &mut self.invoices[index];
        let was_paid = invoice.sent().is_some_and(Invoice::is_paid);
        let sent = self.recorder.send(event_type, invoice);
        if event_type == "invoice.payment_failed" || (invoice.is_paid() && !was_paid) {
            // Only this event states the time of the failure, or of the payment.
            invoice.require_last();
        }
        sent
    }

    /// Length of a period of the first item, in seconds.
    pub(super) fn period_seconds(&self) -> i64 {
        let price = self.subscription.items[0].price;
        price.period_end(self.recorder.now(), 1) - self.recorder.now()
    }
}

fn draw_subscription(
    recorder: &mut Recorder,
    customer: &Customer,
    naming: &Naming,
) -> Subscription {
    let now = recorder.now();
    let era = recorder.endpoint.era;
    let flexible = era >= ApiVersion::Clover && recorder.dice.percent(70);
    let mut metadata = Metadata::new();
    if let Some(user) = &naming.subscription_metadata {
        metadata.insert("user_id".to_owned(), user.clone());
    }
    if recorder.dice.percent(30) && era >= ApiVersion::V2018 {
        metadata.insert("campaign".to_owned(), format!("spring-{}", recorder.dice.below(9)));
    }
    Subscription {
        id: recorder.id("sub"),
        customer: customer.id.clone(),
        status: Status::Incomplete,
        items: draw_items(recorder, flexible),
        created: now,
        start_date: now,
        trial: None,
        cancellation: Cancellation::default(),
        ended_at: None,
        pause_collection: None,
        paused: None,
        latest_invoice: None,
        default_payment_method: None,
        missing_payment_method: "create_invoice",
        send_invoice: false,
        flexible,
        pending_update: None,
        discounts: Vec::new(),
        schedule: None,
        metadata,
        home: customer.home.clone(),
    }
}

fn draw_items(recorder: &mut Recorder, flexible: bool) -> Vec<Item> {
    let has_items = recorder.endpoint.era >= ApiVersion::V2018;
    let first = match recorder.dice.below(100) {
        0..5 => &CLASSIC,
        5..11 if has_items => &METERED,
        _ => recorder.dice.pick(&PRICES),
    };
    let mut prices: Vec<&'static Price> = vec![first];
    // Items of different intervals need flexible billing.
    let may_add = first.currency == ADD_ON.currency
        && (flexible || (first.interval == ADD_ON.interval && first.interval_count == 1));
    if may_add && has_items && recorder.dice.percent(20) {
        prices.push(&ADD_ON);
    }
    prices.into_iter().map(|price| draw_item(recorder, price)).collect()
}

/// Items of all modules.
fn modules(recorder: &mut Recorder) -> Vec<Item> {
    MODULES.iter().map(|price| draw_item(recorder, price)).collect()
}

fn draw_item(recorder: &mut Recorder, price: &'static Price) -> Item {
    let now = recorder.now();
    let quantity = if recorder.dice.percent(60) { 1 } else { recorder.dice.between(2, 40) };
    let mut item = Item {
        id: recorder.short_id("si"),
        created: now,
        price,
        quantity,
        period_start: now,
        period_end: now,
        anchor: now,
        cycle: 0,
    };
    item.restart(now);
    item
}
