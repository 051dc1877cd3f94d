//! Backfill of a fake of Stripe that others wrote: `localstripe`, which the test installs into the target folder.
//!
//! It keeps subscriptions, and sends no event when one is changed. It has no prices, schedules, checkout sessions, test
//! clocks and entitlements, it refuses `created` in its list of invoices, and it lists the oldest first.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use subledger::backfill::{Backfill, BackfillOptions, FoldWait, Step};
use subledger::clock::Clock;
use subledger::ids::{AccountId, Scope};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::store::Store;
use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions};
use subledger::time::StripeTime;

use crate::ledger::{open, rows};

const VERSION: &str = "1.15.10";
const KEY: &str = "sk_test_12345";
/// Steps that read what it has.
const STEPS: [Step; 5] =
    [Step::Events, Step::Products, Step::Customers, Step::Subscriptions, Step::Remaining];
/// Starts it on a free port with objects that are an hour old, because an event of the second in which an object is read
/// would win over what is read; and with an empty list where it refuses to expand one.
const START: &str = "
import time, types, localstripe.resources
localstripe.resources.time = types.SimpleNamespace(time=lambda: time.time() - 3600)
localstripe.resources.Subscription.discounts = property(lambda self: [])
from localstripe.server import start
start()
";

/// Running `localstripe`.
pub(crate) struct Localstripe {
    process: Child,
    base: String,
    /// It ends if nobody reads what it prints.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Drop for Localstripe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Python that has it.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(install);

fn install() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("localstripe-{VERSION}"));
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    if !complete.exists() {
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{command:?}: {output:?}");
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let package = format!("localstripe=={VERSION}");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]));
        std::fs::write(complete, "").unwrap();
    }
    python
}

impl Localstripe {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(&*PYTHON);
        command.args(["-c", START, "--port", "0", "--from-scratch"]).env("PYTHONUNBUFFERED", "1");
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // It names its address as soon as it listens.
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = output.find_map(|line| line.unwrap().split_once("http://[::]:").map(port));
        Self { process, base: format!("http://127.0.0.1:{}", port.unwrap()), _output: output }
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Value {
        let url = format!("{}/v1/{path}", self.base);
        let request = crate::client().post(url).bearer_auth(KEY).body(form.to_owned());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        json(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        json(crate::client().get(format!("{}/v1/{path}", self.base)).bearer_auth(KEY)).await
    }

    pub(crate) async fn cancel(&self, subscription: &str) {
        let url = format!("{}/v1/subscriptions/{subscription}", self.base);
        json(crate::client().delete(url).bearer_auth(KEY)).await;
    }

    pub(crate) async fn customer(&self, user: &str) -> String {
        id(&self.post("customers", &format!("metadata[user_id]={user}")).await)
    }

    pub(crate) async fn subscription(&self, customer: &str, plan: &str, more: &str) -> String {
        let form = format!("customer={customer}&items[0][plan]={plan}{more}");
        id(&self.post("subscriptions", &form).await)
    }

    pub(crate) fn client(&self) -> ApiClient {
        let options = ClientOptions {
            base: self.base.parse().unwrap(),
            requests_per_second: None,
            ..ClientOptions::default()
        };
        ApiClient::new(ApiKey::parse(KEY).unwrap(), options).unwrap()
    }

    pub(crate) fn scope() -> Scope {
        Scope { account: AccountId::default(), livemode: false }
    }

    /// Sends all events to a webhook.
    pub(crate) async fn deliver_to(&self, url: &str, secret: &str) {
        let request = crate::client().post(format!("{}/_config/webhooks/ledger", self.base));
        let form = serde_json::json!({ "url": url, "secret": secret });
        let request = request.header("content-type", "application/json").body(form.to_string());
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Backfills a ledger. Returns the number of events that were appended.
    async fn backfill(&self, store: &Store) -> u64 {
        let client = self.client();
        let fold = FoldWait::start(store, Logic::default(), Clock::System).await.unwrap();
        let scope = Self::scope();
        // Steps are left out, so the last run is never complete.
        store.log.clear_backfill_progress(&scope).await.unwrap();
        let options = BackfillOptions { scope, invoices_since: StripeTime(0) };
        let mut backfill = Backfill::new(store, &client, &fold, options, Clock::System);
        let mut appended = 0;
        for (step, mut progress) in backfill.pending().await.unwrap() {
            if STEPS.contains(&step) {
                progress = backfill.run(step, progress, &mut |_| ()).await.unwrap();
                assert_eq!(progress.unreadable, 0, "{step:?}");
                appended += progress.appended;
            }
        }
        fold.caught_up().await.unwrap();
        fold.stop().await;
        appended
    }
}

fn port((_, rest): (&str, &str)) -> u16 {
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

async fn json(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    text.parse().unwrap()
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// Content of a row, in the words of the API.
fn shown(row: &SubscriptionRow) -> Value {
    let item = &row.items.0[0];
    let seconds = |at: Option<StripeTime>| at.map(|at| at.0);
    serde_json::json!({
        "id": row.subscription_id, "status": row.status, "customer": row.customer_id,
        "current_period_start": seconds(row.current_period_start),
        "current_period_end": seconds(row.current_period_end),
        "cancel_at_period_end": row.cancel_at_period_end, "ended_at": seconds(row.ended_at),
        "trial_end": seconds(row.trial_end),
        "latest_invoice": row.latest_invoice_id, "item": item.item_id, "plan": item.price_id,
        "product": item.product_id, "quantity": item.quantity,
    })
}

/// The same of an object of the API.
fn expected(object: &Value) -> Value {
    let item = &object["items"]["data"][0];
    let fields = ["id", "status", "customer", "current_period_start", "current_period_end"];
    let more = ["cancel_at_period_end", "ended_at", "trial_end", "latest_invoice"];
    let mut expected: Value =
        fields.iter().chain(&more).map(|name| ((*name).to_owned(), object[name].clone())).collect();
    expected["item"] = item["id"].clone();
    expected["plan"] = item["plan"]["id"].clone();
    expected["product"] = item["plan"]["product"].clone();
    expected["quantity"] = item["quantity"].clone();
    expected
}

async fn assert_is_as_shown(store: &Store, stripe: &Localstripe) {
    let mut rows: Vec<Value> = rows(store).await.iter().map(shown).collect();
    let list = stripe.get("subscriptions?status=all&limit=1000").await;
    let mut listed: Vec<Value> = list["data"].as_array().unwrap().iter().map(expected).collect();
    let by_id = |it: &Value| id(it);
    rows.sort_by_key(by_id);
    listed.sort_by_key(by_id);
    assert_eq!(rows, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_of_another_fake_gives_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let stripe = Localstripe::start();
    stripe.post("products", "id=prod_pro&name=Pro&type=service").await;
    for (plan, interval) in [("monthly", "month"), ("yearly", "year")] {
        let form = format!(
            "id={plan}&amount=0&currency=eur&interval={interval}&product=prod_pro&nickname={plan}"
        );
        stripe.post("plans", &form).await;
    }
    let mut subscriptions = Vec::new();
    // Two pages.
    for number in 0..55 {
        let customer = stripe.customer(&format!("user_{number}")).await;
        let more = format!("&items[0][quantity]={}", number + 1);
        subscriptions.push(stripe.subscription(&customer, "monthly", &more).await);
        let trial = if number % 2 == 0 { "&trial_end=2000000000" } else { "" };
        subscriptions.push(stripe.subscription(&customer, "yearly", trial).await);
    }
    for cancelled in subscriptions.iter().step_by(7) {
        stripe.cancel(cancelled).await;
    }
    assert!(stripe.backfill(&store).await > 0);
    assert_is_as_shown(&store, &stripe).await;
    let known = rows(&store).await;
    assert!(known.iter().all(|it| it.user_id.as_deref().is_some_and(|it| it.starts_with("user_"))));
    assert!(known.iter().all(|it| it.product_name.as_deref() == Some("Pro")));
    assert!(known.iter().any(|it| it.entitled) && known.iter().any(|it| it.status == "canceled"));
    assert_eq!(stripe.backfill(&store).await, 0, "a second backfill appends nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_a_fake_sends_no_event_of_are_found_by_a_backfill() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let stripe = Localstripe::start();
    stripe.post("products", "id=prod_pro&name=Pro&type=service").await;
    stripe.post("plans", "id=monthly&amount=0&currency=eur&interval=month&product=prod_pro").await;
    stripe.post("plans", "id=yearly&amount=0&currency=eur&interval=year&product=prod_pro").await;
    let customer = stripe.customer("user_1").await;
    let (first, second) = (
        stripe.subscription(&customer, "monthly", "").await,
        stripe.subscription(&customer, "monthly", "").await,
    );
    let change = "items[0][plan]=yearly&items[0][quantity]=5";
    stripe.post(&format!("subscriptions/{first}"), change).await;
    stripe.post(&format!("subscriptions/{second}"), "cancel_at_period_end=true").await;
    stripe.backfill(&store).await;
    assert_is_as_shown(&store, &stripe).await;
    let rows = rows(&store).await;
    assert!(rows.iter().all(|it| it.observed_at.is_some()), "no event says so");
}
