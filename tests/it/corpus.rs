//! Real bodies of Stripe's, from 2012 to today, in the folder that `SUBLEDGER_TEST_CORPUS` names: none
//! of them is refused and none fails to fold. Without such a folder there is nothing to read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use subledger::projection::observe::observe;
use subledger::stripe::Envelope;
use subledger::stripe::routing::is_account_event;

use crate::app::server::TestServer;

/// Folder of the real bodies, if there is one.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("SUBLEDGER_TEST_CORPUS").map(PathBuf::from)?;
    assert!(folder.is_dir(), "SUBLEDGER_TEST_CORPUS is no folder");
    Some(folder)
}

fn json_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
}

/// Every event in the corpus: whole files, and the elements of recorded list pages, in the exact
/// bytes.
pub(crate) fn events() -> Vec<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Page {
        object: Option<String>,
        #[serde(default)]
        data: Option<Box<RawValue>>,
    }
    let Some(folder) = corpus() else { return Vec::new() };
    let mut files = Vec::new();
    json_files(&folder, &mut files);
    files.sort();
    let mut events = Vec::new();
    for file in files {
        let name = file.strip_prefix(&folder).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let Ok(page) = serde_json::from_str::<Page>(&text) else { continue };
        match page.object.as_deref() {
            Some("event" | "v2.core.event") => events.push((name, text)),
            Some("list") => {
                let data = page.data.unwrap();
                let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(data.get()) else {
                    continue;
                };
                for (at, element) in elements.iter().enumerate() {
                    events.push((format!("{name}#{at}"), element.get().to_owned()));
                }
            }
            _ => {}
        }
    }
    events
}

/// The folders whose events are one life each, as it was recorded.
const RECORDED: [&str; 2] = ["drf-stripe-subscription/", "zulip-"];

/// The recorded lives: where each is from, and its events, the oldest first.
///
/// The sources put dummies for ids and times, and the same in all of their recordings: so each event
/// gets an id of its own, and each life an account.
pub(crate) fn recorded_lives() -> Vec<(String, Vec<String>)> {
    let mut lives: BTreeMap<String, Vec<(String, serde_json::Value)>> = BTreeMap::new();
    for (name, body) in events() {
        if RECORDED.iter().any(|folder| name.starts_with(folder)) {
            let (folder, _) = name.rsplit_once('/').unwrap();
            let page = name.split('#').next().unwrap().to_owned();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            // Recorded lists are of other objects, too.
            if body["object"] != "event" {
                continue;
            }
            lives.entry(folder.to_owned()).or_default().push((page, body));
        }
    }
    assert!(corpus().is_none() || lives.len() > 15, "only {} lives", lives.len());
    let lives = lives.into_iter().enumerate().map(|(life, (folder, mut events))| {
        // A page lists the newest first.
        events.reverse();
        events.sort_by_key(|(page, body)| (body["created"].as_i64(), page.clone()));
        let own = events.into_iter().enumerate().map(|(at, (_, mut body))| {
            // Ids that say nothing of the order: 37 and 1,009 are prime.
            body["id"] = format!("evt_{:04}", at * 37 % 1_009).into();
            body["account"] = format!("acct_{life}").into();
            body.to_string()
        });
        (folder, own.collect())
    });
    lives.collect()
}

/// Answers of Stripe's API to a client, call by call: the source of each flow, and its answers as
/// events, the oldest first. In answers, unlike in deliveries, references are expanded.
pub(crate) fn recorded_flows() -> Vec<(String, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Flow {
        calls: Vec<Call>,
    }
    #[derive(serde::Deserialize)]
    struct Call {
        date: String,
        api_version: Option<String>,
        file: Option<String>,
    }
    let Some(corpus) = corpus() else { return Vec::new() };
    let mut files = Vec::new();
    json_files(&corpus.join("pay-vcr/flows"), &mut files);
    files.retain(|file| file.ends_with("ORDER.json"));
    files.sort();
    let flows = files.iter().enumerate().map(|(number, order)| {
        let folder = order.parent().unwrap();
        let flow: Flow = serde_json::from_str(&std::fs::read_to_string(order).unwrap()).unwrap();
        let mut bodies = Vec::new();
        for Call { date, api_version, file } in flow.calls {
            // Not every answer was kept.
            let Some(file) = file else { continue };
            let object = std::fs::read_to_string(folder.join(file)).unwrap();
            let object: serde_json::Value = serde_json::from_str(&object).unwrap();
            let kind = object["object"].as_str().unwrap();
            let prefix = if kind == "subscription" { "customer.subscription" } else { kind };
            let event = serde_json::json!({
                // Ids that say nothing of the order: 37 and 1,009 are prime.
                "id": format!("evt_{:04}", bodies.len() * 37 % 1_009),
                "object": "event",
                "account": format!("acct_flow_{number}"),
                "api_version": api_version,
                "created": chrono::DateTime::parse_from_rfc2822(&date).unwrap().timestamp(),
                "livemode": false,
                "type": format!("{prefix}.updated"),
                "data": { "object": object },
            });
            bodies.push(event.to_string());
        }
        (folder.file_name().unwrap().to_str().unwrap().to_owned(), bodies)
    });
    flows.collect()
}

/// Bodies that never were a delivery: documentation and test suites cut them down to a few fields.
fn is_cut_down(body: &str) -> bool {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let has = |field| body.get(field).is_some();
    let thin = body["object"] == "v2.core.event";
    let empty = body["data"]["object"] == serde_json::json!({});
    // A summary is of a customer; whoever wrote this one down left that out.
    let summary = &body["data"]["object"];
    let of_nobody = summary["object"] == "entitlements.active_entitlement_summary"
        && summary.get("customer").is_none();
    empty || of_nobody || !has("type") || !has("created") || (!thin && !has("livemode"))
}

#[test]
fn every_real_body_is_read_and_folded() {
    let events = events();
    let mut genuine = 0;
    let mut failures = Vec::new();
    for (name, body) in &events {
        match Envelope::parse(body) {
            Err(_) if is_cut_down(body) => {}
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(_) => {
                genuine += 1;
                if let Err(error) = observe(body)
                    && !is_cut_down(body)
                {
                    failures.push(format!("{name}: {error}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(events.is_empty() || genuine > 400, "only {genuine} of {} were events", events.len());
}

#[test]
fn what_is_not_parsed_names_nobody() {
    let (mut passed_over, events) = (0, events());
    for (name, body) in &events {
        let Ok(envelope) = Envelope::parse(body) else { continue };
        if is_account_event(&envelope.event_type) {
            passed_over += 1;
            let observed = observe(body).unwrap();
            assert_eq!(observed.customer, None, "{name}");
            assert_eq!(observed.payment_keys, [], "{name}");
            assert_eq!(observed.links, [], "{name}");
            assert!(observed.catalogue.is_none() && observed.change.is_none(), "{name}");
        }
    }
    assert!(events.is_empty() || passed_over > 30, "only {passed_over} of {}", events.len());
}

/// The same body under an event id of its own: ids in collections are often dummies.
fn with_own_id(body: &str, number: usize) -> String {
    let id = Envelope::parse(body).unwrap().id.into_owned();
    body.replace(&format!("\"{id}\""), &format!("\"evt_corpus_{number}\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_real_body_is_received_verified_and_folded_by_the_server() {
    let server = TestServer::start().await;
    let mut sent = 0;
    for (name, body) in events().iter().filter(|(_, body)| !is_cut_down(body)) {
        let body = with_own_id(body, sent);
        let response = server.delivery(body.clone()).send().await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(status, 200, "{name}: {}", response.text().await.unwrap());
        sent += 1;
    }
    server.caught_up().await;
    let projections = server.read("/v1/projections").await;
    assert_eq!(projections["parked"], serde_json::json!([]));
    let log = server.read("/v1/log").await;
    assert_eq!(log["size"], sent);
    // The ledger is verified when the server ends.
    server.stop().await;
}
