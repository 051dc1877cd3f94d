//! Coupons: redeemed and removed.

use crate::simulate::objects::Render;
use crate::simulate::objects::discount::{COUPONS, Discount};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

const DAY: i64 = 86_400;

impl Stage {
    /// Redeems a coupon; if the subscription has the maximum already, the oldest discount ends.
    pub(crate) fn redeem_or_lose_coupon(&mut self) -> Act {
        // Several discounts are possible since there is a list of them.
        let max = if self.era() >= ApiVersion::Acacia { 2 } else { 1 };
        let hours = self.recorder.dice.between(1, 30);
        self.recorder.wait(hours * 3_600)?;
        if self.subscription.discounts.len() < max {
            self.redeem_coupon();
        } else {
            let lost = self.subscription.discounts.remove(0).render(self.version());
            self.recorder.send_once("customer.discount.deleted", lost);
            self.send_updated();
        }
        Act::Continue(())
    }

    fn redeem_coupon(&mut self) {
        let coupon = self.recorder.dice.pick(&COUPONS);
        let start = self.recorder.now();
        let discount = Discount {
            id: self.recorder.id("di"),
            coupon,
            customer: self.customer.id.clone(),
            subscription: self.subscription.id.clone(),
            start,
            end: coupon.months.map(|months| start + months * 30 * DAY),
            livemode: self.customer.home.livemode,
        };
        let snapshot = discount.render(self.version());
        self.recorder.send_once("customer.discount.created", snapshot);
        self.subscription.discounts.push(discount);
        self.send_updated();
    }
}
