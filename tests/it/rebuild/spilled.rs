//! A rebuild whose customers do not fit into memory: what does not fit is in a temporary file meanwhile.

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::projector::{self, MemoryLimit, RebuildOptions, Rebuilt};
use subledger::simulate::{self, Delivery, Format, Plan};
use subledger::store::GenerationId;
use tokio_util::sync::CancellationToken;

use crate::ledger::{append, append_bodies, rows};
use crate::raw;
use crate::store::Ledger;

/// Everything that a generation holds, but for the rows of its view.
#[derive(Debug, Default, PartialEq)]
struct Tables {
    states: Vec<(String, bool, String, Vec<u8>)>,
    timeline: Vec<(String, bool, String, String, i64, i64)>,
    pairs: Vec<(String, bool, String, String)>,
    candidates: Vec<(String, bool, String, String, String, String)>,
    links: Vec<(String, bool, String, String)>,
    names: Vec<(String, bool, String, Option<String>, String)>,
    properties: Vec<(String, bool, String, String, String, String)>,
    parked: Vec<(i64, String, String)>,
}

impl Tables {
    async fn read(ledger: &Ledger, generation: GenerationId) -> Self {
        let mut connection = raw::read(&ledger.url).await;
        let select = |columns: &str, table: &str| {
            format!("SELECT {columns} FROM {table}{generation} ORDER BY {columns}")
        };
        let scope = "account, livemode";
        let subscription = format!("{scope}, customer_id, subscription_id");
        let tables = Self {
            states: connection
                .rows(&select(&format!("{scope}, customer_id, state"), "customers_l"))
                .await,
            timeline: connection
                .rows(&select(&format!("{subscription}, position, created"), "timeline_l"))
                .await,
            pairs: connection.rows(&select(&subscription, "subscription_customers_l")).await,
            candidates: connection
                .rows(&select(
                    &format!("{scope}, value, source, key, customer_id"),
                    "user_candidates_l",
                ))
                .await,
            links: connection
                .rows(&select(&format!("{scope}, owner_id, object_id"), "links_l"))
                .await,
            names: connection
                .rows(&select(&format!("{scope}, id, name, event_id"), "catalogue_l"))
                .await,
            properties: connection
                .rows(&select(&format!("{subscription}, property, value"), "item_properties_g"))
                .await,
            parked: connection.rows(&select("position, event_id, reason", "parked_l")).await,
        };
        connection.close().await;
        tables
    }
}

async fn rebuilt_within(ledger: &Ledger, memory: MemoryLimit) -> Rebuilt {
    let (stop, options) =
        (CancellationToken::new(), RebuildOptions { memory, ..RebuildOptions::SWAP_FROM_LOG });
    let logic = Logic::default();
    projector::rebuild(&ledger.store, &logic, &Clock::System, &stop, options, |_| {}).await.unwrap()
}

async fn outcome(ledger: &Ledger, memory: MemoryLimit) -> (Tables, Vec<SubscriptionRow>) {
    let rebuilt = rebuilt_within(ledger, memory).await;
    assert_eq!(rebuilt.spilled_bytes > 0, memory < MemoryLimit::DEFAULT, "{memory}");
    assert_eq!(rebuilt.position, ledger.store.log.head().await.unwrap().size);
    (Tables::read(ledger, rebuilt.generation).await, rows(&ledger.store).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gives_the_same_bytes_in_every_table_as_one_in_memory() {
    let ledger = Ledger::with_clock(Clock::System).await;
    let plan = Plan { seed: 23, subscriptions: 60, format: Format::Compact, ..Plan::default() };
    let delivery = Delivery { seed: 7, duplicates: 0.1, ..Delivery::default() };
    append(&ledger.store, &simulate::deliver(simulate::simulate(&plan).events, &delivery)).await;
    // Two that cannot be folded.
    let unreadable = |id: &str| {
        format!(
            r#"{{"id":"{id}","object":"event","type":"customer.subscription.updated","created":7,"livemode":true,
            "data":{{"object":{{"id":"sub_1","object":"subscription","customer":7}}}}}}"#
        )
    };
    append_bodies(&ledger.store, &[unreadable("evt_a"), unreadable("evt_b")]).await;

    let expected = outcome(&ledger, MemoryLimit::DEFAULT).await;
    let (tables, rows) = &expected;
    assert!(rows.len() > 50 && tables.states.len() > 50, "{} rows", rows.len());
    assert!(tables.timeline.len() > 1_000, "{} events", tables.timeline.len());
    assert!(!tables.candidates.is_empty() && !tables.links.is_empty() && !tables.names.is_empty());
    assert_eq!(tables.parked.len(), 2);
    // After every chunk, every few chunks, and once or twice.
    for bytes in [0, 200_000, 1_000_000] {
        let spilled = outcome(&ledger, MemoryLimit(bytes)).await;
        assert!(spilled == expected, "{bytes} bytes");
    }
}
