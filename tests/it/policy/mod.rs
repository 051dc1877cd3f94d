//! Access over time: realistic lives of subscriptions, from their first event to their last.

mod run_once {
    mod dunning;
    mod endings;
    mod pauses;
    mod schedules;
    mod trials;
    mod turns;
}
mod bills;
mod keys;
mod life;
