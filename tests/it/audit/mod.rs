//! What an auditor relies on: whoever tampers with a ledger is found out, and whoever erases leaves a record.

mod clocks;
mod erasing;
pub(crate) mod inspected;
mod signers;
mod tampering;
