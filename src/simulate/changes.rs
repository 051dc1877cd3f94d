//! `previous_attributes` of an `updated` event.

use super::wire::{NULL, Object, Wire};

/// Values of `before` that differ in `after`, as Stripe sends them: only the changed keys of a nested object, a
/// whole list, and null for a value that was null or absent.
pub(super) fn previous_attributes(before: &Object, after: &Object) -> Object {
    let mut changes = Object::default();
    for (key, new) in after.fields() {
        let old = before.get(key).unwrap_or(&NULL);
        match (old, new) {
            _ if old == new => {}
            (Wire::Object(old), Wire::Object(new)) => {
                changes.set(key.clone(), previous_attributes(old, new));
            }
            _ => changes.set(key.clone(), old.clone()),
        }
    }
    for (key, old) in before.fields() {
        if after.get(key).is_none() && *old != NULL {
            changes.set(key.clone(), old.clone());
        }
    }
    changes
}

/// State before, from the state after and its `previous_attributes`. Null stands for absent.
#[cfg(test)]
pub(super) fn undo(after: &serde_json::Value, changes: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let (Value::Object(after), Value::Object(changes)) = (after, changes) else {
        return changes.clone();
    };
    let mut before = after.clone();
    for (key, old) in changes {
        let old = match (after.get(key), old) {
            (Some(new @ Value::Object(_)), Value::Object(_)) => undo(new, old),
            _ => old.clone(),
        };
        before.insert(key.clone(), old);
    }
    before.retain(|_, value| !value.is_null());
    Value::Object(before)
}

#[cfg(test)]
mod tests {
    use super::super::wire::object;
    use super::*;

    #[test]
    fn only_what_changed_is_named_and_lists_are_whole() {
        let before = object! {
            "status": "active",
            "metadata": object! { "gone": "1", "kept": "2" },
            "items": object! { "data": vec![Wire::from(1_i64), Wire::from(2_i64)], "has_more": false },
            "pause_collection": NULL,
        };
        let after = object! {
            "status": "active",
            "metadata": object! { "kept": "2", "new": "3" },
            "items": object! { "data": vec![Wire::from(1_i64), Wire::from(3_i64)], "has_more": false },
            "pause_collection": object! { "behavior": "void" },
        };
        let expected = object! {
            "metadata": object! { "gone": "1", "new": NULL },
            "items": object! { "data": vec![Wire::from(1_i64), Wire::from(2_i64)] },
            "pause_collection": NULL,
        };
        assert_eq!(previous_attributes(&before, &after), expected);
        assert!(previous_attributes(&after, &after).is_empty());
    }
}
