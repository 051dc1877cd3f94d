//! README and guides: their queries and commands run, their output is the program's, their links lead to files.

crate::sqlite_only! {
    #[cfg(unix)]
    mod files;
    mod links;
}

use serde_json::json;
use sqlx::Connection as _;
use sqlx::Row as _;
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
    let own = format!("-- {}\n", raw::NAME);
    let queries = blocks(include_str!("../../src/guide/sql.md"), "sql");
    let mine: Vec<_> = queries.iter().filter(|it| it.starts_with(&own)).collect();
    assert_eq!((queries.len(), mine.len()), (8, 4), "each query in both forms: {queries:?}");

    let users = sqlx::query_scalar::<_, String>(*mine[0]).fetch_all(&mut connection).await.unwrap();
    assert_eq!(users, ["user_1", "user_2", "user_3"]);
    let amounts = sqlx::query(*mine[1]).fetch_all(&mut connection).await.unwrap();
    let amounts: Vec<_> = amounts
        .iter()
        .map(|row| {
            format!("{} {}", row.get::<String, _>("currency"), row.get::<String, _>("interval"))
        })
        .collect();
    assert_eq!(amounts, ["jpy month", "kwd month", "usd month"]);
    let total = format!(
        "SELECT CAST(sum(minor_units) AS TEXT) FROM ({}) AS q",
        mine[1].trim().trim_end_matches(';')
    );
    let total: String =
        sqlx::query_scalar(sqlx::AssertSqlSafe(total)).fetch_one(&mut connection).await.unwrap();
    assert_eq!(total, "2700", "900 of each, and nothing is divided");

    let overdue = sqlx::query(*mine[2]).fetch_all(&mut connection).await.unwrap();
    assert!(overdue.is_empty());
    let items = sqlx::query(*mine[3]).fetch_all(&mut connection).await.unwrap();
    let items = items.iter().map(|row| row.get::<String, _>("subscription_id"));
    assert_eq!(items.collect::<Vec<_>>(), ["sub_1", "sub_2", "sub_3", "sub_4"]);

    let guarantees = include_str!("../../src/guide/guarantees.md");
    let (_, doubt) = guarantees.split_once("`SELECT * FROM current_subscriptions").unwrap();
    let doubt = format!("SELECT * FROM current_subscriptions{}", doubt.split('`').next().unwrap());
    let doubt = sqlx::query(sqlx::AssertSqlSafe(doubt)).fetch_all(&mut connection).await.unwrap();
    assert!(doubt.is_empty());
    connection.close().await.unwrap();

    // As people see them.
    let told = run(directory.path(), &["history", "user_2"]).out;
    assert!(told.contains("900 JPY/month"), "{told}");
    let told = run(directory.path(), &["history", "user_3"]).out;
    assert!(told.contains("0.900 KWD/month"), "{told}");
}
