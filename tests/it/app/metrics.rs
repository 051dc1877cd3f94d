//! `/metrics` holds to the rules of `OpenMetrics`, and says what an operator asks for.

use std::collections::{BTreeMap, BTreeSet};

use super::server::{Event, TestServer};

/// Samples of a family: suffix and labels, and the value, in the order of the text.
type Samples = Vec<(String, String, f64)>;

/// A family of metrics: its type and samples.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Samples,
}

/// Reads an exposition, and checks the rules about its form: one block a family, `# HELP` and `# TYPE`
/// before the samples, suffixes that fit the type, no series twice, `# EOF` at the end.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut current = String::new();
    let body = text.strip_suffix("# EOF\n").expect("# EOF is the end");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            match word {
                "HELP" => {
                    name.clone_into(&mut current);
                    let earlier = families.insert(current.clone(), Family::default());
                    assert!(earlier.is_none(), "{name} is one block");
                    assert!(!value.is_empty(), "{name}");
                }
                "TYPE" => {
                    assert_eq!(name, current);
                    value.clone_into(&mut families.get_mut(name).unwrap().kind);
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series.to_owned()), "{series} stands twice");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let suffix = name.strip_prefix(current.as_str()).expect("samples follow their family");
        let family = families.get_mut(&current).unwrap();
        let fits: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{current} is a {other:?}"),
        };
        assert!(fits.contains(&suffix), "{series} of a {}", family.kind);
        let value: f64 = value.parse().unwrap();
        assert!(family.kind == "gauge" || value >= 0.0, "{series}");
        family.samples.push((suffix.to_owned(), labels.trim_end_matches('}').to_owned(), value));
    }
    families
}

/// Buckets rise, the last is `+Inf`, and it equals the count.
fn check_histogram(name: &str, family: &Family) {
    let value = |wanted: &str| family.samples.iter().find(|it| it.0 == wanted).unwrap().2;
    let buckets: Vec<(f64, f64)> = family
        .samples
        .iter()
        .filter(|it| it.0 == "_bucket")
        .map(|it| {
            let bound = it.1.strip_prefix("le=\"").unwrap().strip_suffix('"').unwrap();
            (if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() }, it.2)
        })
        .collect();
    let rising = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
    assert!(buckets.windows(2).all(rising), "{name}: {buckets:?}");
    let (bound, count) = *buckets.last().unwrap();
    assert!(bound.is_infinite(), "{name} has the bucket +Inf: {buckets:?}");
    assert!((count - value("_count")).abs() < 0.1, "{name}: {buckets:?}");
    assert!(value("_sum") >= 0.0, "{name}");
}

async fn exposition(server: &TestServer) -> BTreeMap<String, Family> {
    let answer = server.get("/metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers()["content-type"], kind);
    parse(&answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exposition_holds_to_the_rules_before_and_after_events() {
    let server = TestServer::start().await;
    for events in 0..3 {
        let families = exposition(&server).await;
        let mut histograms = 0;
        for (name, family) in &families {
            assert!(!family.samples.is_empty(), "{name}");
            if family.kind == "histogram" {
                check_histogram(name, family);
                histograms += 1;
            }
        }
        assert_eq!(histograms, 2);
        let value = |name: &str| families[name].samples[0].2;
        assert_eq!(value("subledger_last_event_age_seconds").is_nan(), events == 0);
        assert!((value("subledger_log_readable") - 1.0).abs() < 0.1);
        assert!((value("subledger_commits") - f64::from(events)).abs() < 0.1);
        let batch = &families["subledger_commit_events"].samples[0];
        assert!(batch.0 == "_sum" && (batch.2 - f64::from(events)).abs() < 0.1, "{batch:?}");
        for name in [
            "subledger_queue_events",
            "subledger_queue_bytes",
            "subledger_commit_seconds",
            "subledger_commits_failed",
            "subledger_webhook_duration_seconds",
        ] {
            assert!(value(name) >= 0.0, "{name}");
        }
        let build = &families["subledger_build"].samples[0].1;
        assert!(build.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")), "{build}");
        let refused = &families["subledger_problems"].samples;
        assert!(refused.iter().any(|it| it.1 == "type=\"signature-mismatch\""));
        #[cfg(target_os = "linux")]
        for (name, least) in [
            ("process_resident_memory_bytes", 1e6),
            ("process_start_time_seconds", 1e9),
            ("process_cpu_seconds", 0.0),
            ("process_open_fds", 3.0),
            ("process_max_fds", 3.0),
        ] {
            assert!(value(name) >= least, "{name} {}", value(name));
        }
        let id = ["evt_1", "evt_2", "evt_3"][usize::try_from(events).unwrap()];
        server.receive(Event { id, ..Event::default() }.body()).await;
    }
    server.stop().await;
}
