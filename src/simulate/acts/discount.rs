//! Coupons: redeemed, used up, taken away.

use crate::simulate::objects::Render;
use crate::simulate::objects::discount::{COUPONS, Discount};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

const DAY: i64 = 86_400;

impl Stage {
    /// A coupon is redeemed; or, where the subscription has as many as it may have, the oldest
    /// discount is over.
    pub(crate) fn redeem_or_lose_a_coupon(&mut self) -> Act {
        // Several discounts came with the list of them.
        let most = if self.era() >= ApiVersion::Acacia { 2 } else { 1 };
        let hours = self.recorder.dice.between(1, 30);
        self.recorder.wait(hours * 3_600)?;
        if self.subscription.discounts.len() < most {
            self.redeem_a_coupon();
        } else {
            let lost = self.subscription.discounts.remove(0).render(self.version());
            self.recorder.send_once("customer.discount.deleted", lost);
            self.send_updated();
        }
        Act::Continue(())
    }

    fn redeem_a_coupon(&mut self) {
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
