//! Features of a customer: granted and withdrawn.

use super::objects::customer::Customer;
use super::objects::features::{FEATURES, Features};
use super::recorder::{Act, Recorder, Tracked};

const DAY: i64 = 86_400;

/// Features of a customer without any. No event has announced that.
pub(super) fn no_features(customer: &Customer) -> Tracked<Features> {
    Tracked::announced(Features {
        customer: customer.id.clone(),
        lookup_keys: Vec::new(),
        home: customer.home.clone(),
    })
}

/// Grants features, and later others; sometimes both within one second.
pub(super) fn grant(recorder: &mut Recorder, features: &mut Tracked<Features>) -> Act {
    if recorder.dice.percent(60) {
        return Act::Continue(());
    }
    let days = recorder.dice.between(0, 20);
    recorder.wait(days * DAY + 60)?;
    features.lookup_keys = some_features(recorder);
    recorder.send(UPDATED, features);
    if recorder.dice.percent(50) {
        return Act::Continue(());
    }
    let later = recorder.dice.percent(60);
    if later {
        recorder.wait(9 * DAY)?;
    }
    // Within one second, from none and back to none would be a cycle without an order.
    if later && recorder.dice.percent(20) {
        features.lookup_keys.clear();
    } else {
        // The new one is put in front, so that a truncated list shows the change too.
        let first = features.lookup_keys[0];
        let others = FEATURES.iter().filter(|feature| **feature != first);
        let new: Vec<&'static str> = others.copied().collect();
        let new = *recorder.dice.pick(&new);
        features.lookup_keys.retain(|feature| *feature != new);
        features.lookup_keys.insert(0, new);
    }
    recorder.send(UPDATED, features);
    Act::Continue(())
}

const UPDATED: &str = "entitlements.active_entitlement_summary.updated";

/// Random features: mostly a few, sometimes more than a summary embeds.
fn some_features(recorder: &mut Recorder) -> Vec<&'static str> {
    let all = i64::try_from(FEATURES.len()).unwrap_or(1);
    let count = if recorder.dice.percent(25) { all } else { 5 };
    let count = usize::try_from(recorder.dice.between(1, count)).unwrap_or(1);
    let first = recorder.dice.below(FEATURES.len() as u64);
    let first = usize::try_from(first).unwrap_or(0);
    FEATURES.iter().cycle().skip(first).take(count).copied().collect()
}
