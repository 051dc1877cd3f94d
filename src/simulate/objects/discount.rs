//! Discounts and their coupons.

use super::{Render, old};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NULL, Object, object};

/// Coupon applied to one subscription.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Discount {
    pub(crate) id: String,
    pub(crate) coupon: &'static Coupon,
    pub(crate) customer: String,
    pub(crate) subscription: String,
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
    pub(crate) livemode: bool,
}

/// Coupon with a percentage.
#[derive(Debug, PartialEq)]
pub(crate) struct Coupon {
    pub(crate) id: &'static str,
    pub(crate) percent_off: i64,
    /// Duration in months; `None`: forever.
    pub(crate) months: Option<i64>,
}

/// Coupons of the shop.
pub(crate) static COUPONS: [Coupon; 3] = [
    Coupon { id: "WELCOME25", percent_off: 25, months: Some(3) },
    Coupon { id: "LOYAL10", percent_off: 10, months: None },
    Coupon { id: "Z4OV52SU", percent_off: 50, months: Some(1) },
];

impl Coupon {
    fn render(&self, livemode: bool) -> Object {
        object! {
            "id": self.id,
            "object": "coupon",
            "amount_off": NULL,
            "created": 1_577_880_000_i64,
            "currency": NULL,
            "duration": if self.months.is_some() { "repeating" } else { "forever" },
            "duration_in_months": self.months,
            "livemode": livemode,
            "max_redemptions": NULL,
            "metadata": Object::EMPTY,
            "name": NULL,
            "percent_off": self.percent_off,
            "redeem_by": NULL,
            "times_redeemed": 1_i64,
            "valid": true,
        }
    }
}

impl Render for Discount {
    fn render(&self, version: ApiVersion) -> Object {
        let mut discount = object! {
            "id": &self.id,
            "object": "discount",
            "checkout_session": NULL,
            "customer": &self.customer,
            "end": self.end,
            "invoice": NULL,
            "invoice_item": NULL,
            "promotion_code": NULL,
            "start": self.start,
            "subscription": &self.subscription,
        };
        if version >= ApiVersion::Acacia {
            discount.set("subscription_item", NULL);
        }
        if version >= ApiVersion::Clover {
            discount.set("source", object! { "coupon": self.coupon.id, "type": "coupon" });
        } else {
            discount.set("coupon", self.coupon.render(self.livemode));
        }
        if version < ApiVersion::V2020 {
            old::discount(&mut discount);
        }
        discount
    }
}
