//! Everything that needs more than one room of the crate: one binary, one module a behaviour.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]
#![allow(missing_docs, reason = "test modules say what they protect in their tests' names")]

mod ingest;
mod store;
