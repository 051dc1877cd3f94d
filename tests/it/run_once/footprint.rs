//! Estimated memory of states, compared with what the allocator is asked for.

use allocation_counter::measure;
use subledger::projection::footprint::footprint;
use subledger::simulate::{self, Format, Plan};

use crate::order::tell_all;

#[test]
fn the_estimate_is_near_what_is_allocated() {
    for months in [1, 12, 48] {
        let plan = Plan { months, subscriptions: 40, format: Format::Compact, ..Plan::default() };
        let bodies: Vec<_> =
            simulate::simulate(&plan).events.into_iter().map(|it| it.body).collect();
        let mut states = tell_all(bodies.iter().map(String::as_str));
        let (mut estimated, mut allocated) = (0, 0);
        for state in states.values_mut() {
            state.materialize();
            estimated += footprint(state);
            let copied = measure(|| std::mem::forget(std::hint::black_box(state.clone())));
            allocated += usize::try_from(copied.bytes_current).unwrap();
        }
        let (bytes, of) = (allocated / states.len(), estimated * 100 / allocated);
        assert!((80..130).contains(&of), "{months} months, {bytes} bytes each: {of}% estimated");
    }
}
