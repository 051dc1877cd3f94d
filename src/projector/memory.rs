//! Limit on the memory of a rebuild.

use std::fmt;
use std::str::FromStr;

/// Names of the units, from the largest, with their bytes.
const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Limit on the memory of a rebuild, in bytes: for what it folds, and about what it needs besides.
///
/// Data that does not fit is written to a temporary file. Memory is estimated, and the databases and the events in work take
/// some whatever the limit is, so a small limit is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryLimit(pub usize);

impl MemoryLimit {
    /// Default limit, 1 GiB.
    pub const DEFAULT: Self = Self(1 << 30);
    /// Least limit that commands accept.
    pub const MIN: Self = Self(16 << 20);

    /// Folded data that is kept in memory, in bytes. The rest is for the events that are read, the rows that are written
    /// and the databases.
    pub(super) fn folded_bytes(self) -> usize {
        self.0 / 4 * 3
    }

    /// Events of one round, in bytes, which are in memory twice: while they are folded and while they are written.
    pub(super) fn round_bytes(self) -> usize {
        self.0 / 8
    }

    /// Bodies whose evidence is not read yet, in bytes.
    pub(super) fn bodies_bytes(self) -> usize {
        self.0 / 8
    }

    /// Buffers by which runs are merged, in bytes.
    pub(super) fn merge_bytes(self) -> usize {
        self.0 / 16
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes)) {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => self.0.fmt(f),
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
        let (number, unit) = unit.unwrap_or((text, 1));
        let number = number.trim_end().parse::<usize>().ok();
        let limit = number.and_then(|it| it.checked_mul(unit)).map(Self);
        limit.filter(|it| *it >= Self::MIN).ok_or_else(|| {
            format!("expected a number of bytes of at least {}, such as 512MiB or 2GiB", Self::MIN)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_bytes_or_a_number_of_a_unit() {
        for (text, bytes) in [
            ("16777216", 16 << 20),
            ("16384KiB", 16 << 20),
            ("512MiB", 512 << 20),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(MemoryLimit(bytes)), "{text}");
        }
        for text in ["", "GiB", "1", "15MiB", "-1GiB", "1.5GiB", "1GB", "99999999999999999999"] {
            assert!(text.parse::<MemoryLimit>().unwrap_err().contains("at least 16MiB"), "{text}");
        }
        assert_eq!(MemoryLimit::default().to_string(), "1GiB");
        assert_eq!(MemoryLimit(1_000).to_string(), "1000");
    }
}
