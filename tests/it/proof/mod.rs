//! Proof that nobody edited the log: made with it, checked without it.

mod checked;
mod commands;
mod kept;
mod published;
mod verified;

use subledger::ids::Position;
use subledger::proof::SigningKey;
use subledger::store::{LoggedEvent, NewEvent, Store};

use crate::store::event;

/// The key of these tests.
pub(crate) fn key() -> SigningKey {
    SigningKey::new("example.com/ledger", &[7; 32]).unwrap()
}

/// Small events with these numbers.
fn events(numbers: std::ops::Range<usize>) -> Vec<NewEvent> {
    numbers.map(|number| event(&format!("evt_{number}"), "{}")).collect()
}

async fn all(store: &Store) -> Vec<LoggedEvent> {
    store.log.scan(Position::ZERO, usize::MAX, usize::MAX).await.unwrap()
}
