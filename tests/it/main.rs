//! Everything that needs more than one room of the crate: one binary, one module a behaviour.

mod app;
mod corpus;
mod fold;
mod ingest;
mod ledger;
mod store;
