//! Changes of a running subscription: plan, quantity, metadata.

use crate::simulate::objects::Render;
use crate::simulate::objects::line::Line;
use crate::simulate::objects::price::{PRICES, Price};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

impl Stage {
    /// Changes the plan. With another interval a new period starts and is billed at once; with the same interval the
    /// proration waits for the next invoice.
    pub(crate) fn change_plan(&mut self) -> Act {
        self.wait_some_days()?;
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

    /// Changes the quantity.
    pub(crate) fn change_quantity(&mut self) -> Act {
        self.wait_some_days()?;
        let first = &self.subscription.items[0];
        let (price, before) = (first.price, first.quantity);
        if price.metered {
            // A metered price has no quantity.
            self.stamp_metadata("usage_seen_at");
            return Act::Continue(());
        }
        let none = before > 0 && self.recorder.dice.percent(10);
        let quantity = if none { 0 } else { before + self.recorder.dice.between(1, 5) };
        self.credit_and_charge(price, quantity);
        self.subscription.items[0].quantity = quantity;
        self.send_updated();
        Act::Continue(())
    }

    /// Makes two changes, often within one second: only `previous_attributes` give their order.
    pub(crate) fn change_twice(&mut self) -> Act {
        self.change_quantity()?;
        self.stamp_metadata("seats_changed_at");
        Act::Continue(())
    }

    /// Requests another plan, which takes effect only when it is paid. If it is not paid, the update expires: that
    /// event has an earlier snapshot and changes nothing.
    pub(crate) fn request_plan(&mut self, is_paid: bool) -> Act {
        let Some(price) = self.another_price() else { return Act::Continue(()) };
        let first = &self.subscription.items[0];
        if (price.interval, price.interval_count)
            != (first.price.interval, first.price.interval_count)
        {
            return Act::Continue(());
        }
        self.wait_some_days()?;
        self.subscription.pending_update = Some((price, self.recorder.now() + 23 * HOUR));
        self.send_updated();
        if is_paid {
            self.recorder.wait(HOUR)?;
            self.subscription.pending_update = None;
            self.subscription.items[0].price = price;
            self.send_updated();
            self.send("customer.subscription.pending_update_applied");
            return Act::Continue(());
        }
        let earlier = self.subscription.clone();
        self.recorder.wait(HOUR)?;
        self.stamp_metadata("wished_at");
        self.recorder.wait(22 * HOUR)?;
        let snapshot = earlier.render(self.version());
        self.recorder.send_once("customer.subscription.pending_update_expired", snapshot);
        self.subscription.pending_update = None;
        self.send_updated();
        Act::Continue(())
    }

    /// Writes the current time into the metadata, if the era has metadata.
    pub(super) fn stamp_metadata(&mut self, key: &str) {
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
        // A new period replaces the charge for the rest of the old one.
        self.prorations.retain(|line| line.amount < 0);
        self.period_lines(&[0], false)
    }

    /// Prorations for the rest of the period: a credit for the old price, a charge for the new one.
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

    /// Waits some days, always less than the rest of the period.
    fn wait_some_days(&mut self) -> Act {
        let left = (self.subscription.next_period_end() - self.recorder.now()) / DAY;
        let days = self.recorder.dice.between(0, (left - 2).clamp(0, 12));
        self.recorder.wait(days * DAY + 600)
    }
}
