//! What holds for every simulation, tried over many seeds.

use super::*;

#[test]
fn a_plan_gives_the_same_bytes_every_time_and_another_seed_others() {
    let plan = Plan { subscriptions: 20, months: 6, ..Plan::default() };
    let once = simulate(&plan);
    let again = simulate(&plan);
    assert_eq!(once.events, again.events);
    assert_eq!(once.truth, again.truth);
    let other = simulate(&Plan { seed: 2, ..plan });
    assert_ne!(once.events, other.events);
}
