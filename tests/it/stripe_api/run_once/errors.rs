//! Errors, each with a sentence of its own.

use std::fmt::Write as _;

use subledger::ids::AccountId;
use subledger::stripe_api::ApiError;

use super::super::fake::{Answer, FakeStripe};
use crate::app::snapshots;

/// Error of Stripe's in the form in which it sends them.
fn error(status: u16, code: &str, param: &str, message: &str) -> Answer {
    let error = serde_json::json!({ "error": {
        "code": code, "param": param, "message": message, "type": "invalid_request_error",
    } });
    Answer::new(status, error.to_string())
}

/// Error of a request that gets this answer.
async fn told(answer: Answer, query: &[(&str, &str)]) -> ApiError {
    let fake = FakeStripe::start([answer]).await;
    let account = AccountId::new("acct_1");
    fake.client().get("/v1/subscriptions", query, Some(&account)).await.unwrap_err()
}

#[tokio::test]
async fn each_error_has_its_own_sentence_and_repeats_nothing_of_the_body() {
    let missing = "The provided key 'rk_live_*******abc' does not have the required permissions for this endpoint on \
                   account 'acct_1'. Having the 'rak_subscription_read' permission would allow this request to continue.";
    let mut shown = String::new();
    for answer in [
        error(401, "", "", "Invalid API Key provided: rk_test_****51"),
        error(401, "api_key_expired", "", "Expired API Key provided"),
        error(403, "", "", missing),
        error(403, "", "", "No."),
        error(403, "account_invalid", "", "The provided key does not have access to account"),
        error(404, "resource_missing", "id", "No such subscription: 'sub_1'"),
        error(400, "resource_missing", "customer", "No such customer: 'cus_1'"),
        error(400, "resource_missing", "starting_after", "No such event: 'evt_1'"),
        error(
            400,
            "parameter_unknown",
            "created[xx]",
            "Received unknown parameter: me@example.com",
        ),
        error(400, "me@example.com said\n", "\u{1b}[2J", ""),
        Answer::new(402, "<html>me@example.com</html>"),
        Answer::new(200, "{}").without("date").with("date", ""),
    ] {
        let error = told(answer, &[]).await;
        let kind = if error.is_configuration() { "configuration" } else { "failure" };
        writeln!(shown, "{kind}: {error}\n  hint: {}", error.hint().unwrap_or("-")).unwrap();
    }
    snapshots().bind(|| insta::assert_snapshot!("stripe_api_errors", shown));
    assert!(!shown.contains("51") && !shown.contains('@') && !shown.contains('*'), "{shown}");
}

#[tokio::test]
async fn a_cursor_that_aged_out_is_told_from_an_object_that_is_gone() {
    let is_aged_out = |error: ApiError| matches!(error, ApiError::AgedOut { .. });
    let cursor = [("starting_after", "evt_1")];
    let aged = error(400, "", "", "The event has aged out of our retention policy.");
    assert!(is_aged_out(told(aged, &cursor).await));
    let gone = |param| error(400, "resource_missing", param, "No such object");
    assert!(is_aged_out(told(gone("starting_after"), &cursor).await));
    let unnamed = Answer::new(404, r#"{"error":{"code":"resource_missing"}}"#);
    assert!(is_aged_out(told(unnamed.clone(), &cursor).await));
    assert!(!is_aged_out(told(gone("customer"), &cursor).await));
    assert!(!is_aged_out(told(unnamed, &[]).await));
}
