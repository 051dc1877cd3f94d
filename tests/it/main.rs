//! Everything that needs more than one room of the crate: one binary, one module a behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allocations;
mod app;
mod corpus;
mod diff;
mod fold;
mod generations;
mod ingest;
mod ledger;
mod order;
mod parking;
mod policy;
mod rebuild;
mod store;
mod user;
