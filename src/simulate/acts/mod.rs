//! What can happen to a subscription: one file for each kind of thing.
//!
//! An act changes the objects and sends the events that Stripe would send, in bursts that share a
//! second or two. It leaves the subscription as the next act expects it: running, or ended.

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
