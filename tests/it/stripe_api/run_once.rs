//! Client of Stripe's API.

mod errors;
mod lists;
mod requests;
mod retries;
mod simulated;
