//! Subledger.
pub mod audit;
pub mod cli;
pub mod clock;
pub mod http;
pub mod ids;
pub mod ingest;
pub mod projection;
pub mod projector;
pub mod simulate;
pub mod store;
pub mod stripe;
pub mod time;
