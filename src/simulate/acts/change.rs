//! Changes of a running subscription: another plan, another quantity, other metadata.

use crate::simulate::objects::Render;
use crate::simulate::objects::line::Line;
use crate::simulate::objects::price::{PRICES, Price};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

impl Stage {
    /// Another plan. With another interval the period begins anew and is billed at once; with the
    /// same, the difference waits for the next invoice.
    pub(crate) fn change_plan(&mut self) -> Act {
        self.live_some_days()?;
        let Some(price) = self.another_price() else { return self.change_quantity() };
        let first = &self.subscription.items[0];
        let same_interval = first.price.interval == price.interval
            && first.price.interval_count == price.interval_count;
        let single = self.subscription.items.len() == 1;
        // In classic billing all items share one interval.
        if !(same_interval || single || self.subscription.flexible) {
            return self.change_quantity();
        }
        self.credit_and_charge(price, self.subscription.items[0].quantity);
        let now = self.recorder.now();
        self.subscription.items[0].price = price;
        if same_interval {
            self.send_updated();
        } else {
            self.subscription.items[0].restart(now);
            let lines = self.lines_of_a_new_period();
            let invoice = self.draft("subscription_update", lines);
            self.bill_at_once(invoice);
            self.send_updated();
        }
        Act::Continue(())
    }

    /// More or fewer.
    pub(crate) fn change_quantity(&mut self) -> Act {
        self.live_some_days()?;
        let first = &self.subscription.items[0];
        let (price, before) = (first.price, first.quantity);
        if price.metered {
            // What is used is not asked for.
            self.note("usage_seen_at");
            return Act::Continue(());
        }
        let none = before > 0 && self.recorder.dice.percent(10);
        let quantity = if none { 0 } else { before + self.recorder.dice.between(1, 5) };
        self.credit_and_charge(price, quantity);
        self.subscription.items[0].quantity = quantity;
        self.send_updated();
        Act::Continue(())
    }

    /// Two changes in one request of the application, often within one second: only
    /// `previous_attributes` say which came first.
    pub(crate) fn change_twice(&mut self) -> Act {
        self.change_quantity()?;
        self.note("seats_changed_at");
        Act::Continue(())
    }

    /// Another plan is asked for and takes effect only when it is paid. It is paid, or the wish
    /// lapses: the event of that shows an earlier state, and is no news.
    pub(crate) fn wish_for_a_plan(&mut self, granted: bool) -> Act {
        let Some(price) = self.another_price() else { return Act::Continue(()) };
        let first = &self.subscription.items[0];
        if (price.interval, price.interval_count)
            != (first.price.interval, first.price.interval_count)
        {
            return Act::Continue(());
        }
        self.live_some_days()?;
        self.subscription.pending_update = Some((price, self.recorder.now() + 23 * HOUR));
        self.send_updated();
        if granted {
            self.recorder.wait(HOUR)?;
            self.subscription.pending_update = None;
            self.subscription.items[0].price = price;
            self.send_updated();
            self.send("customer.subscription.pending_update_applied");
            return Act::Continue(());
        }
        let earlier = self.subscription.clone();
        self.recorder.wait(HOUR)?;
        self.note("wished_at");
        self.recorder.wait(22 * HOUR)?;
        let snapshot = earlier.render(self.version());
        self.recorder.send_once("customer.subscription.pending_update_expired", snapshot);
        self.subscription.pending_update = None;
        self.send_updated();
        Act::Continue(())
    }

    /// The application writes the time of something into the metadata, if there is any.
    pub(super) fn note(&mut self, key: &str) {
        if self.era() < ApiVersion::V2018 {
            return;
        }
        let now = self.recorder.now().to_string();
        self.subscription.metadata.insert(key.to_owned(), now);
        self.send_updated();
    }

    pub(super) fn another_price(&mut self) -> Option<&'static Price> {
        let current = self.subscription.items[0].price;
        let others: Vec<&'static Price> = PRICES
            .iter()
            .filter(|price| price.currency == current.currency && price.id != current.id)
            .collect();
        (!others.is_empty()).then(|| *self.recorder.dice.pick(&others))
    }

    fn lines_of_a_new_period(&mut self) -> Vec<Line> {
        // The charge for the rest of the old period makes no sense beside a new one.
        self.prorations.retain(|line| line.amount < 0);
        self.period_lines(&[0], false)
    }

    /// Corrections for the rest of the period: the old price back, the new one to pay.
    fn credit_and_charge(&mut self, price: &'static Price, quantity: i64) {
        let now = self.recorder.now();
        let item = self.subscription.items[0].clone();
        if item.price.metered {
            return;
        }
        let length = (item.period_end - item.period_start).max(1);
        let share = |amount: i64| amount * (item.period_end - now).max(0) / length;
        let old = -share(item.price.unit_amount * item.quantity);
        let new = share(price.unit_amount * quantity);
        for (price, quantity, amount) in [(item.price, item.quantity, old), (price, quantity, new)]
        {
            let id = self.recorder.id("il");
            self.prorations.push(Line {
                id,
                item: item.id.clone(),
                price,
                quantity,
                amount,
                proration: true,
                start: now,
                end: item.period_end,
            });
        }
    }

    /// Some days of the current period pass, never all of it.
    fn live_some_days(&mut self) -> Act {
        let left = (self.subscription.next_period_end() - self.recorder.now()) / DAY;
        let days = self.recorder.dice.between(0, (left - 2).clamp(0, 12));
        self.recorder.wait(days * DAY + 600)
    }
}
