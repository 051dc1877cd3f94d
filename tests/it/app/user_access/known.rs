//! Somebody whom the ledger does not know.

use reqwest::StatusCode;
use serde_json::json;
use subledger::config::UnknownUser;

use super::{NOW, TestServer, ask, json_of};
use crate::app::coverage::{backfilled, own, until};
use crate::app::server::Event;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_unknown_is_known_after_a_backfill_and_until_then_as_configured() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let path = "/v1/users/nobody/access";
    let unknown = server.read(path).await;
    assert_eq!((&unknown["active"], &unknown["known"]), (&false.into(), &false.into()));
    assert_eq!(unknown["reason"], "no_subscription");
    assert_eq!(server.read("/v1/customers/cus_nobody/access").await["known"], false);
    let question = json!({ "users": ["user_1", "nobody"] });
    let many = json_of(ask(&server, &question, "").await).await;
    let known = many["data"].as_array().unwrap().iter().map(|it| it["known"] == true);
    assert_eq!(known.collect::<Vec<_>>(), [true, false]);
    assert_eq!(server.read("/v1/users/user_1/access?price_id=x").await["known"], true);
    backfilled(server.store(), &own(true), NOW).await;
    let known = until(&server, path, |it| it["known"] == true).await;
    assert_eq!(known["active"], false);
    server.stop().await;

    let server = TestServer::with(|options| options.unknown = UnknownUser::Unavailable).await;
    server.receive(Event::default().body()).await;
    assert_eq!(server.read("/v1/users/user_1/access").await["active"], true);
    let refused = [
        server.get(path).await,
        server.get("/v1/customers/cus_nobody/access").await,
        ask(&server, &question, "").await,
    ];
    for response in refused {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(json_of(response).await["type"], "not-covered");
    }
    server.stop().await;
}
