//! API versions of rendered events.

/// API version of Stripe, oldest first. A change of a shape is written as a comparison:
/// `version >= ApiVersion::Basil`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiVersion {
    /// `2014-09-08`: one plan on top of a subscription, and no version in the envelope.
    V2014,
    /// `2018-02-28`: a list of items, invoices with `closed` and `forgiven` instead of a status.
    V2018,
    /// `2020-08-27`: the last of the old versions, still pinned by many accounts.
    V2020,
    /// `2024-12-18.acacia`.
    Acacia,
    /// `2025-03-31.basil`: periods move to the items, an invoice names its subscription in
    /// `parent`.
    Basil,
    /// `2025-09-30.clover`: flexible billing mode.
    Clover,
    /// `2026-03-25.dahlia`.
    Dahlia,
    /// `2026-09-30.endive`: a subscription has the reason of its pause.
    Endive,
}

impl ApiVersion {
    /// All versions, oldest first.
    pub const ALL: [Self; 8] = [
        Self::V2014,
        Self::V2018,
        Self::V2020,
        Self::Acacia,
        Self::Basil,
        Self::Clover,
        Self::Dahlia,
        Self::Endive,
    ];

    /// Versions of [`Versions::Mixed`], oldest first. The shapes before 2020 leave out too much.
    pub const MIXED: [Self; 6] =
        [Self::V2020, Self::Acacia, Self::Basil, Self::Clover, Self::Dahlia, Self::Endive];

    /// Text of `api_version`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2014 => "2014-09-08",
            Self::V2018 => "2018-02-28",
            Self::V2020 => "2020-08-27",
            Self::Acacia => "2024-12-18.acacia",
            Self::Basil => "2025-03-31.basil",
            Self::Clover => "2025-09-30.clover",
            Self::Dahlia => "2026-03-25.dahlia",
            Self::Endive => "2026-09-30.endive",
        }
    }

    /// True if Stripe sent events of this type at the time.
    pub(super) fn has_event(self, event_type: &str) -> bool {
        const SINCE_2020: [&str; 8] = [
            "checkout.",
            "credit_note.",
            "payment_intent.",
            "payment_method.",
            "price.",
            "refund.",
            "subscription_schedule.",
            "customer.loyalty_tier.",
        ];
        match event_type {
            "invoice_payment.paid" => self >= Self::Basil,
            "invoice.finalized"
            | "invoice.marked_uncollectible"
            | "invoice.overdue"
            | "invoice.paid"
            | "invoice.sent"
            | "invoice.voided" => self >= Self::V2020,
            _ => self >= Self::V2020 || !SINCE_2020.iter().any(|kind| event_type.starts_with(kind)),
        }
    }

    /// Version at which Stripe renders objects for a version of this name: the newest that is not newer. `None` if
    /// the name has no date.
    pub(super) fn in_force_at(name: &str) -> Option<Self> {
        let date = name.get(..10)?;
        let is_date = date.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let not_newer = |version: &Self| &version.as_str()[..10] <= date;
        is_date.then(|| Self::ALL.into_iter().rev().find(not_newer).unwrap_or(Self::V2014))
    }

    /// Parses a name: the whole, or the part after the dot.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| {
            let full = version.as_str();
            name == full || full.split_once('.').is_some_and(|(_, word)| name == word)
        })
    }
}

/// API versions of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// One version for all events.
    One(ApiVersion),
    /// A version of [`ApiVersion::MIXED`] for each life; some accounts are upgraded during a life.
    #[default]
    Mixed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_between_two_is_rendered_as_the_older() {
        let at = ApiVersion::in_force_at;
        assert_eq!(at("2025-06-30.basil"), Some(ApiVersion::Basil));
        assert_eq!(at("2026-09-30.endive"), Some(ApiVersion::Endive));
        assert_eq!(at("2011-01-01"), Some(ApiVersion::V2014));
        assert_eq!((at("basil"), at("")), (None, None));
    }

    #[test]
    fn versions_are_found_by_date_and_by_word() {
        for version in ApiVersion::ALL {
            assert_eq!(ApiVersion::parse(version.as_str()), Some(version));
        }
        assert_eq!(ApiVersion::parse("clover"), Some(ApiVersion::Clover));
        assert_eq!(ApiVersion::parse("2024"), None);
        assert!(ApiVersion::ALL.is_sorted());
    }
}
