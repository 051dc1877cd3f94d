//! Cancellations: requested, revoked, carried out.

use crate::simulate::objects::subscription::{Cancellation, Status};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;

const DAY: i64 = 86_400;

impl Stage {
    /// Requests the end with the current period, and may revoke that.
    pub(crate) fn cancel_later(&mut self, is_revoked: bool) -> Act {
        self.request_end();
        let left = self.subscription.next_period_end() - self.recorder.now();
        if is_revoked {
            let days = self.recorder.dice.between(0, (left / DAY - 1).clamp(0, 10));
            self.recorder.wait(days * DAY + 7_200)?;
            self.subscription.cancellation = Cancellation::default();
            self.send_updated();
            return Act::Continue(());
        }
        if self.recorder.dice.percent(15) && left > 3 * DAY {
            // The end comes before the period's; `canceled_at` stays the first request.
            self.recorder.wait(2 * DAY)?;
            self.subscription.cancellation.at = None;
            self.subscription.cancellation.at_period_end = false;
            return self.end(Some("cancellation_requested"));
        }
        self.recorder.wait_until(self.subscription.next_period_end())?;
        self.end(Some("cancellation_requested"))
    }

    fn request_end(&mut self) {
        // In flexible billing the portal sets a date and not the flag.
        let by_date = self.subscription.flexible && self.recorder.dice.percent(60);
        self.subscription.cancellation = Cancellation {
            at_period_end: !by_date,
            at: Some(self.subscription.next_period_end()),
            requested_at: Some(self.recorder.now()),
            reason: Some("cancellation_requested"),
        };
        self.send_updated();
    }

    /// Cancels at once, within a period.
    pub(crate) fn cancel_now(&mut self) -> Act {
        let days = self.recorder.dice.between(0, 5);
        self.recorder.wait(days * DAY + 3_600)?;
        self.end(Some("cancellation_requested"))
    }

    /// Ends the subscription, and so its script.
    pub(crate) fn end(&mut self, reason: Option<&'static str>) -> Act {
        let now = self.recorder.now();
        let subscription = &mut self.subscription;
        subscription.status = Status::Canceled;
        subscription.paused = None;
        subscription.ended_at = Some(now);
        subscription.cancellation.requested_at.get_or_insert(now);
        subscription.cancellation.reason = subscription.cancellation.reason.or(reason);
        self.send("customer.subscription.deleted");
        Act::Break(())
    }
}
