//! Acts in the life of a subscription, one file for each kind.
//!
//! An act changes the objects and sends the events that Stripe would send, in bursts of a second or two. It leaves the
//! subscription running or ended.

mod billing;
mod cancel;
mod change;
mod debit;
mod discount;
mod dunning;
mod money_back;
mod opening;
mod pause;
mod renewal;
mod requested_pause;
mod schedule;
mod trial;

pub(super) use dunning::Dunning;
