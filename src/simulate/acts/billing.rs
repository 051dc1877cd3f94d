//! Steps of billing: draft, finalization, successful or failed payment.

use crate::simulate::objects::Render;
use crate::simulate::objects::invoice::{Invoice, Status};
use crate::simulate::objects::line::Line;
use crate::simulate::objects::payment::Payment;
use crate::simulate::objects::subscription::DAYS_UNTIL_DUE;
use crate::simulate::recorder::Tracked;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

impl Stage {
    /// Lines for the current period of these items, and the waiting prorations.
    pub(super) fn period_lines(&mut self, items: &[usize], trial: bool) -> Vec<Line> {
        let mut lines = std::mem::take(&mut self.prorations);
        for &index in items {
            let id = self.recorder.id("il");
            let item = &self.subscription.items[index];
            // Usage is billed after its period.
            let unused = item.price.metered && item.cycle <= 1;
            lines.push(Line {
                id,
                item: item.id.clone(),
                price: item.price,
                quantity: item.quantity,
                amount: if trial || unused { 0 } else { item.price.unit_amount * item.quantity },
                proration: false,
                start: item.period_start,
                end: item.period_end,
            });
        }
        lines
    }

    /// Creates a draft, which becomes the latest invoice of the subscription. Sends nothing.
    pub(super) fn draft(&mut self, billing_reason: &'static str, lines: Vec<Line>) -> usize {
        let id = self.recorder.id("in");
        self.subscription.latest_invoice = Some(id.clone());
        let now = self.recorder.now();
        let invoice =
            Invoice::draft(id, now, billing_reason, &self.subscription, &self.customer, lines);
        self.invoices.push(Tracked::new(invoice));
        self.invoices.len() - 1
    }

    /// Finalizes an invoice.
    pub(super) fn finalize(&mut self, index: usize) {
        let now = self.recorder.now();
        let send_invoice = self.subscription.send_invoice;
        let invoice = &mut self.invoices[index];
        invoice.status = Status::Open;
        invoice.finalized_at = Some(now);
        invoice.next_payment_attempt = None;
        if send_invoice {
            invoice.due_date = Some(now + DAYS_UNTIL_DUE * 86_400);
        }
        self.send_invoice("invoice.finalized", index);
        if send_invoice {
            self.send_invoice("invoice.sent", index);
        }
    }

    /// Pays an invoice by card; an amount of zero needs no payment.
    pub(super) fn collect(&mut self, index: usize) {
        if self.invoices[index].amount_due() > 0 {
            let payment = self.try_payment(index, true);
            self.recorder.send_once("charge.succeeded", payment.render(self.version()));
            let intent = payment.render_intent(self.version());
            self.recorder.send_once("payment_intent.succeeded", intent);
            self.mark_paid(index);
            let paid = payment.render_invoice_payment();
            self.recorder.send_once("invoice_payment.paid", paid);
            self.payments.push(payment);
        } else {
            self.mark_paid(index);
        }
    }

    fn mark_paid(&mut self, index: usize) {
        let now = self.recorder.now();
        let invoice = &mut self.invoices[index];
        invoice.status = Status::Paid;
        invoice.paid_at = Some(now);
        invoice.next_payment_attempt = None;
        invoice.auto_advance = false;
        self.send_invoice("invoice.paid", index);
        self.send_invoice("invoice.payment_succeeded", index);
    }

    /// Fails a payment. `next` is the time of the next attempt.
    pub(super) fn refuse(&mut self, index: usize, next: Option<i64>) {
        let payment = self.try_payment(index, false);
        self.recorder.send_once("charge.failed", payment.render(self.version()));
        let intent = payment.render_intent(self.version());
        self.recorder.send_once("payment_intent.payment_failed", intent);
        self.invoices[index].next_payment_attempt = next;
        self.send_invoice("invoice.updated", index);
        let failed = self.send_invoice("invoice.payment_failed", index);
        self.facts.payment_failed_at = Some(failed.created);
    }

    fn try_payment(&mut self, index: usize, succeeded: bool) -> Payment {
        let created = self.recorder.now();
        let intent = match &self.invoices[index].payment {
            Some((intent, _)) => intent.clone(),
            None => self.recorder.id("pi"),
        };
        let charge = self.recorder.id("ch");
        let method = match &self.subscription.default_payment_method {
            Some(method) => method.clone(),
            None => self.recorder.id("pm"),
        };
        let invoice = &mut self.invoices[index];
        invoice.payment = Some((intent.clone(), charge.clone()));
        invoice.attempt_count += 1;
        Payment {
            intent,
            charge,
            method,
            invoice: invoice.id.clone(),
            customer: invoice.customer.clone(),
            created,
            amount: invoice.amount_due(),
            currency: invoice.lines[0].price.currency,
            succeeded,
            refunded: 0,
            disputed: false,
            home: invoice.home.clone(),
        }
    }

    /// Creates, finalizes and pays an invoice within a second or two, as at the checkout.
    pub(super) fn bill_at_once(&mut self, index: usize) {
        self.send_invoice("invoice.created", index);
        self.finalize(index);
        self.collect(index);
    }

    /// Version whose features of Stripe are simulated.
    pub(crate) const fn era(&self) -> ApiVersion {
        self.recorder.endpoint.era
    }

    pub(super) const fn version(&self) -> ApiVersion {
        self.recorder.endpoint.version
    }
}
