//! Lives with pauses.

use serde_json::json;

use super::{Life, on, shown};

#[test]
fn a_pause_on_request_ends_access_and_resuming_gives_it_back() {
    Life::new()
        .created(0, "active")
        .subscription(5, "paused", "paused", json!({}))
        .asked(5, false, json!({ "status": "paused", "entitled": false }))
        .subscription(9, "resumed", "active", json!({}))
        .asked(9, true, json!({ "status": "active" }));
}

#[test]
fn each_behaviour_of_a_paused_collection_does_what_the_policy_says_of_it() {
    for behavior in ["keep_as_draft", "mark_uncollectible", "void"] {
        for (effect, on_day_20, on_day_40) in
            [("grant", true, true), ("until_paid_through", true, false), ("deny", false, false)]
        {
            let policy = format!("[pause_collection]\n{behavior} = \"{effect}\"");
            let pause = json!({ "behavior": behavior, "resumes_at": on(90) });
            Life::under(&policy)
                .created(0, "active")
                .paid(0, "in_1")
                .changes(5, json!({ "pause_collection": pause }))
                .asked(20, on_day_20, json!({ "status": "active" }))
                .asked(
                    40,
                    on_day_40,
                    json!({
                        "pause_collection": { "behavior": behavior, "resumes_at": shown(90) },
                    }),
                )
                .changes(45, json!({ "pause_collection": null }))
                .asked(45, true, json!({ "pause_collection": null }));
        }
    }
}

#[test]
fn a_pause_of_what_was_never_paid_grants_nothing_until_paid_through() {
    let pause = json!({ "pause_collection": { "behavior": "void" } });
    Life::under("[pause_collection]\nvoid = \"until_paid_through\"")
        .created(0, "active")
        .changes(5, pause)
        .asked(6, false, json!({ "entitled": false, "paid_through": null }));
}
