//! Pauses of the collection: the status stays `active`, and invoices are not collected.

use crate::simulate::objects::invoice::Status;
use crate::simulate::objects::subscription::Pause;
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

impl Stage {
    /// Pauses the collection over one or two renewals, until a date or a request.
    pub(crate) fn pause_collection(&mut self) -> Act {
        let behavior = *self.recorder.dice.pick(&["void", "keep_as_draft", "mark_uncollectible"]);
        let renewals = self.recorder.dice.between(1, 2);
        let resumes_at = self.recorder.dice.percent(50).then(|| {
            let first = &self.subscription.items[0];
            let cycles = u32::try_from(renewals).unwrap_or(1) - 1;
            first.price.period_end(first.period_end, cycles) + 3 * DAY
        });
        self.subscription.pause_collection = Some(Pause { behavior, resumes_at });
        self.send_updated();
        for _ in 0..renewals {
            self.recorder.wait_until(self.subscription.next_period_end())?;
            let invoice = self.roll_into_next_period();
            self.recorder.wait(HOUR)?;
            self.apply_pause(invoice, behavior);
        }
        match resumes_at {
            Some(instant) => self.recorder.wait_until(instant)?,
            None => self.recorder.wait(DAY)?,
        }
        self.subscription.pause_collection = None;
        self.send_updated();
        self.clear_drafts()
    }

    /// Treats an invoice as the behavior of the pause demands.
    fn apply_pause(&mut self, invoice: usize, behavior: &str) {
        let now = self.recorder.now();
        match behavior {
            "void" => {
                self.finalize(invoice);
                self.invoices[invoice].status = Status::Void;
                self.invoices[invoice].voided_at = Some(now);
                self.send_invoice("invoice.voided", invoice);
            }
            "mark_uncollectible" => {
                self.finalize(invoice);
                self.invoices[invoice].status = Status::Uncollectible;
                self.invoices[invoice].marked_uncollectible_at = Some(now);
                self.send_invoice("invoice.marked_uncollectible", invoice);
            }
            _ => {}
        }
    }

    /// Deletes some of the drafts that the pause left.
    fn clear_drafts(&mut self) -> Act {
        self.recorder.wait(HOUR)?;
        for index in 0..self.invoices.len() {
            let draft = self.invoices[index].status == Status::Draft;
            let id = self.invoices[index].id.clone();
            if draft && !self.deleted_invoices.contains(&id) && self.recorder.dice.percent(50) {
                self.send_invoice("invoice.deleted", index);
                self.deleted_invoices.push(id);
            }
        }
        Act::Continue(())
    }
}
