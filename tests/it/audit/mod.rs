//! Guarantees for an auditor: tampering is found, and erasing leaves a record.

mod clocks;
mod erasing;
pub(crate) mod inspected;
mod signers;
mod tampering;
