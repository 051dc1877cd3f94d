//! README and guides: their queries and commands run, their output is the program's, their links lead to files.

#[cfg(unix)]
mod sqlite_only;
mod run_once {
    mod links;
}

use serde_json::json;
use tempfile::TempDir;

use crate::app::commands::{imported, run};
use crate::app::server::Event;
use crate::raw;

const README: &str = include_str!("../../README.md");

/// Text under a heading of a page, up to the next heading of its level.
pub(crate) fn section<'t>(page: &'t str, heading: &str) -> &'t str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// Fenced blocks of a language in a text.
pub(crate) fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("\n```{language}\n");
    text.split(fence.as_str()).skip(1).map(|it| it.split("```").next().unwrap()).collect()
}

/// Asserts that the README shows parts of the demo's output, in their order. Which events were late is chance, and
/// so is the port where the usual one is taken.
pub(crate) fn assert_shows_parts_of_the_demo(output: &str) {
    let words = |line: &str| -> String {
        let words = line.split_whitespace().filter(|word| *word != "late");
        let words = words.map(|it| if it.starts_with("http://127.0.0.1:") { "http" } else { it });
        words.collect::<Vec<_>>().join(" ")
    };
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(words).filter(|line| !line.is_empty()).collect()
    };
    let output = lines(output);
    let shown = blocks(section(README, "Try it"), "text");
    let mut rest = output.as_slice();
    for part in shown[0].split("\n…\n").map(lines) {
        let at = rest.windows(part.len()).position(|it| it == part);
        let at = at.unwrap_or_else(|| panic!("{part:#?} is not in {rest:#?}"));
        rest = &rest[at + part.len()..];
    }
}

/// Subscriptions in three currencies, of one with cents, one without, and one of a thousand minor units.
fn ledger() -> TempDir {
    let mut bodies = Vec::new();
    for (id, subscription, user, currency) in [
        ("evt_1", "sub_1", "user_1", "usd"),
        ("evt_2", "sub_2", "user_2", "jpy"),
        ("evt_3", "sub_3", "user_3", "kwd"),
        ("evt_4", "sub_4", "user_4", "jpy"),
    ] {
        let event = Event { id, subscription, user, ..Event::default() }.body();
        let mut event: serde_json::Value = serde_json::from_str(&event).unwrap();
        let object = &mut event["data"]["object"];
        object["items"]["data"][0]["price"]["currency"] = json!(currency);
        // Paid for a hundred years, so that the queries do not depend on today.
        object["items"]["data"][0]["current_period_end"] = json!(4_900_000_000_i64);
        if user == "user_4" {
            object["status"] = json!("unpaid");
        }
        bodies.push(event.to_string());
    }
    imported(&bodies)
}

#[tokio::test(flavor = "multi_thread")]
async fn its_queries_give_users_and_amounts_that_are_right_in_every_currency() {
    let directory = ledger();
    let mut connection = raw::read(&crate::database(directory.path())).await;
    let own = format!("-- {}\n", raw::dialect().name);
    let queries = blocks(include_str!("../../src/guide/sql.md"), "sql");
    let mine: Vec<_> = queries.iter().filter(|it| it.starts_with(&own)).collect();
    assert_eq!((queries.len(), mine.len()), (8, 4), "each query in both forms: {queries:?}");

    for query in &mine {
        connection.run(query).await;
    }
    let of = |columns: &str, query: &str| {
        format!("SELECT {columns} FROM ({}) AS q", query.trim().trim_end_matches(';'))
    };
    let users: Vec<(String,)> = connection.rows(mine[0]).await;
    assert_eq!(users, ["user_1", "user_2", "user_3"].map(|it| (it.to_owned(),)));
    let amounts = of("currency || ' ' || \"interval\"", mine[1]);
    let amounts: Vec<(String,)> = connection.rows(&amounts).await;
    assert_eq!(amounts, ["jpy month", "kwd month", "usd month"].map(|it| (it.to_owned(),)));
    let total: String = connection.value(&of("CAST(sum(minor_units) AS TEXT)", mine[1])).await;
    assert_eq!(total, "2700", "900 of each, and nothing is divided");

    let overdue: i64 = connection.value(&of("count(*)", mine[2])).await;
    assert_eq!(overdue, 0);
    let items: Vec<(String,)> = connection.rows(&of("subscription_id", mine[3])).await;
    assert_eq!(items, ["sub_1", "sub_2", "sub_3", "sub_4"].map(|it| (it.to_owned(),)));

    let guarantees = include_str!("../../src/guide/guarantees.md");
    let (_, doubt) = guarantees.split_once("`SELECT * FROM current_subscriptions").unwrap();
    let doubt = format!("SELECT * FROM current_subscriptions{}", doubt.split('`').next().unwrap());
    let doubt: i64 = connection.value(&of("count(*)", &doubt)).await;
    assert_eq!(doubt, 0);
    connection.close().await;

    // As people see them.
    let told = run(directory.path(), &["history", "user_2"]).out;
    assert!(told.contains("900 JPY/month"), "{told}");
    let told = run(directory.path(), &["history", "user_3"]).out;
    assert!(told.contains("0.900 KWD/month"), "{told}");
}
