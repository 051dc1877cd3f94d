//! The real service in process, on a port and a ledger of its own.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use subledger::clock::Clock;
use subledger::config::{Secrets, WebhookSecrets};
use subledger::projector::FollowerState;
use subledger::service::{Options, Service};
use subledger::simulate::sign;
use subledger::store::Store;
use subledger::time::ReceivedAt;
use tempfile::TempDir;

/// Signing secret of the server.
pub(crate) const SECRET: &str = "whsec_test_of_the_edges";
/// Token for its reads.
pub(crate) const TOKEN: &str = "token_of_the_edges";
/// The instant at which the server's clock stands.
pub(crate) const NOW: &str = "2026-03-01T00:00:00Z";

/// Usual options of a service in this folder.
pub(crate) fn options(folder: &Path) -> Options {
    let secrets = WebhookSecrets::parse(SECRET).unwrap();
    Options {
        api_tokens: Secrets::parse(TOKEN),
        listen: "127.0.0.1:0".to_owned(),
        clock: Clock::fixed(ReceivedAt::parse(NOW).unwrap()),
        ..Options::new(crate::database(folder), secrets)
    }
}

/// A running service, and a client for it.
pub(crate) struct TestServer {
    service: Service,
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) directory: TempDir,
}

impl TestServer {
    /// With nothing out of the ordinary.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other options.
    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(directory.path());
        change(&mut options);
        Self::run(directory, options).await
    }

    /// On what is in this folder already.
    pub(crate) async fn run(directory: TempDir, options: Options) -> Self {
        let service = Service::start(options).await.unwrap();
        let url = format!("http://{}", service.address());
        let client = crate::client();
        Self { service, client, url, directory }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.service.app().store
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// The webhook's address.
    pub(crate) fn webhook(&self) -> String {
        format!("{}/api/stripe/webhook/", self.url)
    }

    /// A delivery as Stripe sends it, signed now.
    pub(crate) fn delivery(&self, body: impl Into<Vec<u8>>) -> RequestBuilder {
        let body = body.into();
        let now = ReceivedAt::parse(NOW).unwrap().to_stripe_time().0;
        let signature = sign(SECRET, now, &body);
        self.client.post(self.webhook()).header("stripe-signature", signature).body(body)
    }

    /// Delivers an event that must be stored, and waits until the read model has folded it.
    pub(crate) async fn receive(&self, body: impl Into<Vec<u8>>) -> Value {
        let response = self.delivery(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let receipt: Value = json_of(response).await;
        self.caught_up().await;
        receipt
    }

    /// Waits until the read model has folded all of the log, and follows it.
    pub(crate) async fn caught_up(&self) {
        let size = self.store().log.head().await.unwrap().size;
        let status = || self.service.app().projector.status();
        let behind = || status().state != FollowerState::Following || status().position < size;
        let catch_up = async {
            while behind() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), catch_up)
            .await
            .unwrap_or_else(|_| panic!("the read model does not follow: {:?}", status()));
    }

    /// A read with the token.
    pub(crate) async fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.url);
        self.client.get(url).bearer_auth(TOKEN).send().await.unwrap()
    }

    /// The JSON of a read that must succeed.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        json_of(response).await
    }

    /// The value of a metric's series.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.client.get(format!("{}/metrics", self.url)).send().await.unwrap();
        let text = text.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Ends in order; the ledger must be whole.
    pub(crate) async fn stop(self) -> TempDir {
        let report = subledger::audit::verify(self.store(), None, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        self.end().await
    }

    /// Ends the service, whatever its ledger can do.
    pub(crate) async fn end(self) -> TempDir {
        self.service.stop().await;
        self.directory
    }
}

pub(crate) async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// An event about a subscription, small and complete.
pub(crate) struct Event {
    pub(crate) id: &'static str,
    pub(crate) subscription: &'static str,
    pub(crate) user: &'static str,
    pub(crate) status: &'static str,
    pub(crate) livemode: bool,
    pub(crate) account: Option<&'static str>,
}

impl Default for Event {
    fn default() -> Self {
        Self {
            id: "evt_1",
            subscription: "sub_1",
            user: "user_1",
            status: "active",
            livemode: true,
            account: None,
        }
    }
}

impl Event {
    /// The body, indented as Stripe does.
    pub(crate) fn body(&self) -> String {
        let created = ReceivedAt::parse(NOW).unwrap().to_stripe_time().0 - 3_600;
        let item = json!({
            "id": format!("si_{}", self.subscription),
            "object": "subscription_item",
            "quantity": 1,
            "current_period_start": created,
            "current_period_end": created + 30 * 86_400,
            "price": {
                "id": "price_1", "object": "price", "product": "prod_1", "lookup_key": "pro",
                "currency": "eur", "unit_amount": 900,
                "recurring": { "interval": "month", "interval_count": 1 },
            },
        });
        let mut event = json!({
            "id": self.id,
            "object": "event",
            "api_version": "2025-03-31.basil",
            "created": created,
            "livemode": self.livemode,
            "type": "customer.subscription.created",
            "data": { "object": {
                "id": self.subscription,
                "object": "subscription",
                "customer": format!("cus_of_{}", self.user),
                "status": self.status,
                "created": created,
                "start_date": created,
                "livemode": self.livemode,
                "collection_method": "charge_automatically",
                "cancel_at_period_end": false,
                "metadata": { "user_id": self.user },
                "items": { "object": "list", "data": [item], "has_more": false },
            } },
        });
        if let Some(account) = self.account {
            event["account"] = account.into();
        }
        serde_json::to_string_pretty(&event).unwrap()
    }
}
