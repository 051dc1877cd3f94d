//! Damage of the log: positions whose events cannot be read. The other events stay readable.

use std::fmt;

use super::event::LoggedEvent;
use crate::ids::Position;

/// Consecutive positions of the log whose events cannot be read for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// First position.
    pub first: Position,
    /// Last position.
    pub last: Position,
    /// Reason why they cannot be read.
    pub cause: DamageCause,
    /// Readable rest of a single event. None if too little of its row can be read.
    pub rest: Option<Box<LoggedEvent>>,
}

/// Reason why an event cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageCause {
    /// A column of the row has an invalid value.
    Column {
        /// Name of the column.
        name: &'static str,
        /// Fault of the column.
        wrong: &'static str,
    },
    /// The database cannot read the row: its page or an index page is damaged.
    Unreadable,
    /// The row is missing, although a later row exists.
    Missing,
    /// The row and all later rows are missing, although the head of the log counts them.
    CutOff,
}

impl Damage {
    pub(super) fn new(first: Position, last: Position, cause: DamageCause) -> Self {
        Self { first, last, cause, rest: None }
    }

    /// Number of positions.
    pub fn count(&self) -> i64 {
        self.last.0 - self.first.0 + 1
    }

    /// All positions.
    pub fn positions(&self) -> impl Iterator<Item = Position> + use<> {
        (self.first.0..=self.last.0).map(Position)
    }

    /// Position or range of positions, for a message.
    pub fn place(&self) -> String {
        if self.first == self.last {
            format!("event {}", self.first)
        } else {
            format!("events {} to {}", self.first, self.last)
        }
    }

    /// Returns the readable rest of the event. Its body has U+FFFD in place of each invalid byte.
    pub fn into_rest(self) -> Option<LoggedEvent> {
        self.rest.map(|event| *event)
    }

    /// Adds the next positions, if they are damaged for the same reason and no event has a readable rest.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let is_next = self.last.next() == next.first && self.cause == next.cause;
        let joins = is_next && self.rest.is_none() && next.rest.is_none();
        if joins {
            self.last = next.last;
        }
        joins
    }
}

impl fmt::Display for DamageCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column { name, wrong } => write!(f, "{name} {wrong} (the row is damaged)"),
            Self::Unreadable => {
                f.write_str("the database cannot read the row (its page is damaged)")
            }
            Self::Missing => f.write_str("the row is missing"),
            Self::CutOff => f.write_str("the row is missing, and the log ends before it"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.cause)
    }
}

impl std::error::Error for Damage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_names_its_positions_and_what_is_wrong() {
        let wrong = DamageCause::Column { name: "payload", wrong: "is not valid UTF-8" };
        let damage = Damage::new(Position(1042), Position(1042), wrong);
        let said = "event 1042: payload is not valid UTF-8 (the row is damaged)";
        assert_eq!(damage.to_string(), said);
        let missing = Damage::new(Position(5), Position(7), DamageCause::Missing);
        assert_eq!(missing.to_string(), "events 5 to 7: the row is missing");
        assert_eq!((missing.count(), missing.positions().count()), (3, 3));
    }

    #[test]
    fn only_neighbours_that_are_damaged_alike_are_joined() {
        let damage = |first, last, cause| Damage::new(Position(first), Position(last), cause);
        let mut joined = damage(5, 6, DamageCause::Missing);
        assert!(joined.join(&damage(7, 9, DamageCause::Missing)));
        assert_eq!((joined.first, joined.last), (Position(5), Position(9)));
        assert!(!joined.join(&damage(11, 11, DamageCause::Missing)));
        assert!(!joined.join(&damage(10, 10, DamageCause::Unreadable)));
    }
}
