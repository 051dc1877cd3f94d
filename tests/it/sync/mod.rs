//! Sync against a simulated Stripe whose truth is known.

mod database;
mod kills;
mod late;
mod leases;
mod lost;
mod outages;
mod service;
mod shown;
