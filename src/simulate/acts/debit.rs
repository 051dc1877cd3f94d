//! Direct debits: the subscription starts before its payment arrives.

use super::Dunning;
use crate::simulate::objects::Render;
use crate::simulate::objects::subscription::Status;
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;

const DAY: i64 = 86_400;

impl Stage {
    /// Purchase by direct debit, which the bank returns days later.
    pub(crate) fn open_with_a_returned_debit(&mut self) -> Act {
        let visited = self.recorder.now();
        self.recorder.wait(300)?;
        self.begin_periods();
        self.adopt_card();
        self.subscription.status = Status::Active;
        let invoice = self.first_invoice(false);
        if self.invoices[invoice].amount_due() == 0 {
            self.bill_at_once(invoice);
            self.send("customer.subscription.created");
            return Act::Continue(());
        }
        self.send("customer.subscription.created");
        self.send_invoice("invoice.created", invoice);
        self.finalize(invoice);
        let session = self.session(visited, "complete", "unpaid");
        let snapshot = session.render(self.version());
        self.recorder.send_once("checkout.session.completed", snapshot);
        self.sessions.push(session.clone());
        self.recorder.wait(2 * DAY)?;
        let next = self.recorder.now() + DAY;
        self.refuse(invoice, Some(next));
        self.enter(Status::PastDue);
        let snapshot = session.render(self.version());
        self.recorder.send_once("checkout.session.async_payment_failed", snapshot);
        let pays = self.recorder.dice.percent(60);
        let outcome = if pays { Dunning::Pays } else { Dunning::Cancels };
        self.retry_payment(invoice, next, DAY, outcome)
    }
}
