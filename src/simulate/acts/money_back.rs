//! Refunds and disputes. They do not change the subscription.

use crate::simulate::objects::Render;
use crate::simulate::objects::money_back::{CreditNote, Refund, dispute};
use crate::simulate::recorder::{Act, Tracked};
use crate::simulate::stage::Stage;

const DAY: i64 = 86_400;

impl Stage {
    /// Refund or dispute after the end of a subscription.
    pub(crate) fn return_money_after_end(&mut self) -> Act {
        match self.recorder.dice.below(100) {
            0..12 => self.refund(),
            12..16 => self.dispute_charge(),
            _ => Act::Continue(()),
        }
    }

    /// Refunds the last payment, in part or in full, sometimes with a credit note.
    pub(crate) fn refund(&mut self) -> Act {
        let days = self.recorder.dice.between(0, 3);
        self.recorder.wait(days * DAY + 900)?;
        let Some(last) = self.payments.iter().rposition(|payment| payment.refunded == 0) else {
            return Act::Continue(());
        };
        let version = self.version();
        let share = *self.recorder.dice.pick(&[1, 1, 2]);
        let payment = &mut self.payments[last];
        payment.refunded = (payment.amount / share).max(1);
        let mut refund = Tracked::new(Refund {
            id: self.recorder.id("re"),
            charge: payment.charge.clone(),
            intent: payment.intent.clone(),
            amount: payment.refunded,
            currency: payment.currency,
            created: self.recorder.now(),
            arrived: false,
        });
        let charge = payment.render(version);
        self.recorder.send_once("charge.refunded", charge);
        self.recorder.send("refund.created", &mut refund);
        if self.recorder.dice.percent(40) {
            let note = CreditNote {
                id: self.recorder.id("cn"),
                payment: &self.payments[last],
                refund: &refund,
                home: &self.customer.home,
            };
            self.recorder.send_once("credit_note.created", note.render(version));
        }
        self.recorder.wait(2 * DAY)?;
        refund.arrived = true;
        self.recorder.send("refund.updated", &mut refund);
        Act::Continue(())
    }

    /// Dispute of the last payment, won or lost.
    pub(crate) fn dispute_charge(&mut self) -> Act {
        self.recorder.wait(DAY)?;
        let Some(last) = self.payments.iter().rposition(|payment| !payment.disputed) else {
            return Act::Continue(());
        };
        self.payments[last].disputed = true;
        let id = self.recorder.id("du");
        let at = self.recorder.now();
        let opened = dispute(&id, &self.payments[last], at, "needs_response");
        self.recorder.send_once("charge.dispute.created", opened);
        self.recorder.wait(8 * DAY)?;
        let verdict = if self.recorder.dice.percent(50) { "won" } else { "lost" };
        let closed = dispute(&id, &self.payments[last], at, verdict);
        self.recorder.send_once("charge.dispute.closed", closed);
        Act::Continue(())
    }
}
