//! Who has access when: realistic lives of subscriptions, told from their first event to their last.

mod bills;
mod dunning;
mod endings;
mod keys;
mod life;
mod pauses;
mod schedules;
mod trials;
mod turns;
