//! Classes of differences.

use serde::{Deserialize, Serialize};

/// Class of a difference between the ledger and Stripe. Each difference has exactly one, [by
/// precedence](super::classify).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Events that the API lists never arrived, or Stripe shows a change of which no event is listed any more.
    MissedDelivery,
    /// The ledger has no row, and no listed event explains it.
    UnknownHere,
    /// An event of the subscription is in the log and could not be folded.
    Parked,
    /// A thin event announced the change, and what it announced was not fetched.
    ThinNotFetched,
    /// The customer was deleted at Stripe.
    DeletedCustomer,
    /// Stripe has no such subscription any more.
    GoneAtStripe,
    /// Only the user differs.
    UserDiffers,
    /// Events of one second have no certain order, and Stripe shows another one than the ledger assumed.
    AmbiguousOrder,
    /// Only a list differs that Stripe cut in the event: items or features.
    CutList,
    /// The change is so recent that its event may be on its way. No drift.
    NotYetDelivered,
    /// A checkout that was not paid, without access on either side. No drift.
    AbandonedCheckout,
    /// The subscription is on a test clock. No drift.
    TestClock,
}

impl Class {
    /// All classes; first those that are drift.
    pub const ALL: [Self; 12] = [
        Self::MissedDelivery,
        Self::UnknownHere,
        Self::Parked,
        Self::ThinNotFetched,
        Self::DeletedCustomer,
        Self::GoneAtStripe,
        Self::UserDiffers,
        Self::AmbiguousOrder,
        Self::CutList,
        Self::NotYetDelivered,
        Self::AbandonedCheckout,
        Self::TestClock,
    ];

    /// Name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissedDelivery => "missed_delivery",
            Self::UnknownHere => "unknown_here",
            Self::Parked => "parked",
            Self::ThinNotFetched => "thin_not_fetched",
            Self::DeletedCustomer => "deleted_customer",
            Self::GoneAtStripe => "gone_at_stripe",
            Self::UserDiffers => "user_differs",
            Self::AmbiguousOrder => "ambiguous_order",
            Self::CutList => "cut_list",
            Self::NotYetDelivered => "not_yet_delivered",
            Self::AbandonedCheckout => "abandoned_checkout",
            Self::TestClock => "test_clock",
        }
    }

    /// True if the ledger is wrong. The other classes are differences that are to be expected.
    pub const fn is_drift(self) -> bool {
        !matches!(self, Self::NotYetDelivered | Self::AbandonedCheckout | Self::TestClock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_json() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
        let drift = Class::ALL.iter().filter(|it| it.is_drift()).count();
        assert_eq!(drift, 9);
    }
}
