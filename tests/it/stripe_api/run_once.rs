//! Client of Stripe's API, and the commands that ask it.

mod check;
mod create_endpoint;
mod errors;
mod lists;
mod requests;
mod retries;
mod simulated;
