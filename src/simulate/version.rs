//! The API versions that events are rendered at.

/// An API version of Stripe's, oldest first. A shape that moved is written as a comparison:
/// `version >= ApiVersion::Basil`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiVersion {
    /// `2014-09-08`: one plan, no items, no metadata; events that do not name their version.
    V2014,
    /// `2018-02-28`: items beside the plan; an invoice is paid, closed or forgiven.
    V2018,
    /// `2020-08-27`: the last of the old ones, still pinned by many accounts.
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
    /// `2026-09-30.endive`.
    Endive,
}

impl ApiVersion {
    /// All of them, oldest first.
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

    /// Those that accounts are at today. What is older is told only where it is asked for.
    pub const CURRENT: [Self; 6] =
        [Self::V2020, Self::Acacia, Self::Basil, Self::Clover, Self::Dahlia, Self::Endive];

    /// As it stands in `api_version`.
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

    /// The version of this name: the whole, or the part after the dot.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| {
            let full = version.as_str();
            name == full || full.split_once('.').is_some_and(|(_, word)| name == word)
        })
    }
}

/// Which versions a simulation uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Every event at this one.
    One(ApiVersion),
    /// Each life at one of [`ApiVersion::CURRENT`], and some accounts are upgraded in the middle of a life.
    #[default]
    Mixed,
}

#[cfg(test)]
mod tests {
    use super::*;

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
