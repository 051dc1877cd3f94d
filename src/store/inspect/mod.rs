//! Checks of a database that do not read events: its own integrity check, and the triggers that guard the log.
//!
//! With a damaged index a lookup misses rows, and without a trigger the log can be changed. Neither is visible in the
//! hashes of the log.

pub(super) mod guards;
mod inspection;
pub(super) mod integrity;
mod migration_objects;
mod script;

pub(super) use guards::{ExpectedTriggers, check as check_triggers};
pub use inspection::Inspection;
pub(super) use integrity::check as check_integrity;
