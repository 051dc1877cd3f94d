//! Starts of a subscription.

use crate::simulate::objects::checkout_session::CheckoutSession;
use crate::simulate::objects::invoice::Status as InvoiceStatus;
use crate::simulate::objects::other::payment_method;
use crate::simulate::objects::subscription::Status;
use crate::simulate::objects::{Metadata, Render};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

impl Stage {
    /// Purchase at the checkout, within a second or two: the subscription is incomplete until its first invoice is
    /// paid.
    pub(crate) fn open_at_checkout(&mut self) -> Act {
        let visited = self.recorder.now();
        let typing = self_service_seconds(self);
        self.recorder.wait(typing)?;
        self.begin_periods();
        self.attach_card();
        let invoice = self.first_invoice(false);
        if self.recorder.dice.percent(70) {
            // Stripe sends both orders; mostly the subscription is first.
            self.send("customer.subscription.created");
            self.bill_at_once(invoice);
        } else {
            self.send_invoice("invoice.created", invoice);
            self.send("customer.subscription.created");
            self.finalize(invoice);
            self.collect(invoice);
        }
        self.adopt_card();
        self.enter(Status::Active);
        self.complete_session(visited, "paid");
        Act::Continue(())
    }

    /// Creation by the application through the API, paid with a stored card.
    pub(crate) fn open_by_api(&mut self) -> Act {
        self.recorder.wait(MINUTE)?;
        self.begin_periods();
        self.adopt_card();
        self.subscription.status = Status::Active;
        let invoice = self.first_invoice(false);
        self.bill_at_once(invoice);
        self.send("customer.subscription.created");
        Act::Continue(())
    }

    /// Invoice by e-mail: active at once, paid by bank transfer some days later.
    pub(crate) fn open_by_invoice(&mut self) -> Act {
        self.recorder.wait(MINUTE)?;
        self.begin_periods();
        self.subscription.send_invoice = true;
        self.subscription.status = Status::Active;
        let invoice = self.first_invoice(false);
        self.send("customer.subscription.created");
        self.send_invoice("invoice.created", invoice);
        self.recorder.wait(HOUR)?;
        self.finalize(invoice);
        let days = self.recorder.dice.between(1, 5);
        self.recorder.wait(days * 24 * HOUR)?;
        self.collect(invoice);
        Act::Continue(())
    }

    /// Payment that the bank must authenticate. The subscription is active minutes later, or expires a day later.
    pub(crate) fn open_with_authentication(&mut self, succeeds: bool) -> Act {
        self.recorder.wait(MINUTE)?;
        self.begin_periods();
        self.attach_card();
        let invoice = self.first_invoice(false);
        self.send("customer.subscription.created");
        self.send_invoice("invoice.created", invoice);
        self.finalize(invoice);
        if succeeds {
            self.send_invoice("invoice.payment_action_required", invoice);
            let typing = self_service_seconds(self);
            self.recorder.wait(typing)?;
            self.collect(invoice);
            self.adopt_card();
            self.enter(Status::Active);
            return Act::Continue(());
        }
        self.refuse(invoice, None);
        self.recorder.wait(23 * HOUR)?;
        let now = self.recorder.now();
        self.invoices[invoice].status = InvoiceStatus::Void;
        self.invoices[invoice].voided_at = Some(now);
        self.send_invoice("invoice.voided", invoice);
        self.subscription.ended_at = Some(now);
        self.enter(Status::IncompleteExpired);
        Act::Break(())
    }

    /// Trial, at the checkout or by the API, with or without a card.
    pub(crate) fn open_with_trial(&mut self, days: i64, card: bool) -> Act {
        let visited = self.recorder.now();
        let typing = self_service_seconds(self);
        self.recorder.wait(typing)?;
        self.begin_periods();
        let now = self.recorder.now();
        self.begin_trial(now, now + days * 24 * HOUR);
        self.subscription.status = Status::Trialing;
        if card {
            self.attach_card();
            self.adopt_card();
        } else {
            self.subscription.missing_payment_method =
                *self.recorder.dice.pick(&["pause", "pause", "cancel", "create_invoice"]);
            if self.era() < ApiVersion::V2020 {
                self.subscription.missing_payment_method = "create_invoice";
            }
        }
        let invoice = self.first_invoice(true);
        self.send("customer.subscription.created");
        self.bill_at_once(invoice);
        if self.naming.client_reference || self.naming.session_metadata {
            self.complete_session(visited, "no_payment_required");
        }
        Act::Continue(())
    }

    /// Abandoned checkout: the session expires a day later.
    pub(crate) fn abandon_checkout(&mut self) -> Act {
        let visited = self.recorder.now();
        self.recorder.wait(24 * HOUR)?;
        let mut session = self.session(visited, "expired", "unpaid");
        session.customer = None;
        session.subscription = None;
        session.invoice = None;
        let snapshot = session.render(self.version());
        self.recorder.send_once("checkout.session.expired", snapshot);
        Act::Continue(())
    }

    /// Single purchase: a session without a subscription, which names the user too.
    pub(crate) fn buy_once(&mut self) -> Act {
        let visited = self.recorder.now();
        self.recorder.wait(5 * MINUTE)?;
        let session = CheckoutSession {
            mode: "payment",
            subscription: None,
            invoice: None,
            client_reference_id: Some(self.naming.user_id.clone()),
            ..self.session(visited, "complete", "paid")
        };
        let snapshot = session.render(self.version());
        self.recorder.send_once("checkout.session.completed", snapshot);
        self.sessions.push(session);
        Act::Continue(())
    }

    /// Starts the subscription and the periods of its items now.
    pub(super) fn begin_periods(&mut self) {
        let now = self.recorder.now();
        self.subscription.created = now;
        self.subscription.start_date = now;
        for item in &mut self.subscription.items {
            item.created = now;
            item.restart(now);
        }
    }

    pub(super) fn first_invoice(&mut self, trial: bool) -> usize {
        let items: Vec<usize> = (0..self.subscription.items.len()).collect();
        let lines = self.period_lines(&items, trial);
        self.draft("subscription_create", lines)
    }

    /// Attaches a card to the customer.
    pub(super) fn attach_card(&mut self) {
        let id = self.recorder.id("pm");
        let card = payment_method(&id, self.recorder.now(), &self.customer);
        self.recorder.send_once("payment_method.attached", card);
        self.customer.default_payment_method = Some(id);
    }

    /// Makes the customer's card the default of the subscription.
    pub(super) fn adopt_card(&mut self) {
        let card = match self.customer.default_payment_method.clone() {
            Some(card) => card,
            None => self.recorder.id("pm"),
        };
        self.subscription.default_payment_method = Some(card);
    }

    fn complete_session(&mut self, visited: i64, payment_status: &'static str) {
        if payment_status == "paid" && self.recorder.dice.percent(5) {
            // A direct debit is confirmed later; the session is complete before it is paid.
            let session = self.session(visited, "complete", "unpaid");
            let completed = session.render(self.version());
            self.recorder.send_once("checkout.session.completed", completed);
            let session = CheckoutSession { payment_status: "paid", ..session };
            let paid = session.render(self.version());
            self.recorder.send_once("checkout.session.async_payment_succeeded", paid);
            self.sessions.push(session);
            return;
        }
        let session = self.session(visited, "complete", payment_status);
        let snapshot = session.render(self.version());
        self.recorder.send_once("checkout.session.completed", snapshot);
        self.sessions.push(session);
    }

    pub(super) fn session(
        &mut self,
        visited: i64,
        status: &'static str,
        payment_status: &'static str,
    ) -> CheckoutSession {
        let mode = if self.recorder.endpoint.livemode { "live" } else { "test" };
        let mut metadata = Metadata::new();
        if self.naming.session_metadata {
            metadata.insert("user_id".to_owned(), self.naming.user_id.clone());
        }
        let user = &self.naming.user_id;
        CheckoutSession {
            id: format!("cs_{mode}_b1{}", self.recorder.dice.letters(56)),
            created: visited,
            customer: Some(self.customer.clone()),
            subscription: Some(self.subscription.id.clone()),
            invoice: self.subscription.latest_invoice.clone(),
            mode: "subscription",
            status,
            payment_status,
            client_reference_id: self.naming.client_reference.then(|| user.clone()),
            metadata,
            amount: self.invoices.last().map_or(0, |invoice| invoice.amount_due()),
            currency: self.subscription.items[0].price.currency,
            home: self.customer.home.clone(),
        }
    }
}

/// Time that a person needs to type a card number.
fn self_service_seconds(stage: &mut Stage) -> i64 {
    stage.recorder.dice.between(MINUTE, 10 * MINUTE)
}
