//! Every bad request gets its own problem, is counted, and leaves nothing behind.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use subledger::config::WebhookSecrets;
use subledger::http::BODY_BYTES_MAX;
use subledger::ingest::Limits;
use subledger::simulate::sign;
use subledger::time::ReceivedAt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::server::{Event, NOW, SECRET, TestServer, json_of};
use super::snapshots;

/// A secret of an endpoint of test mode.
const TEST_SECRET: &str = "whsec_of_test_mode";

/// A delivery with this header, or none.
fn signed(server: &TestServer, header: Option<&str>) -> RequestBuilder {
    let request = server.client.post(server.webhook()).body(Event::default().body());
    match header {
        Some(header) => request.header("stripe-signature", header),
        None => request,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_bad_delivery_has_its_problem_and_stores_nothing() {
    let secrets = format!("{SECRET},test:{TEST_SECRET}");
    let secrets = WebhookSecrets::parse(&secrets).unwrap();
    let server = TestServer::with(|options| options.webhook_secrets = secrets).await;
    let now = ReceivedAt::parse(NOW).unwrap().to_stripe_time().0;
    let body = Event::default().body();
    let at = |seconds: i64| sign(SECRET, now + seconds, body.as_bytes());
    let requests = [
        ("signature-missing", signed(&server, None)),
        ("signature-malformed", signed(&server, Some("v1=abc"))),
        ("signature-without-v1", signed(&server, Some(&format!("t={now},v0=ab")))),
        ("signature-mismatch", signed(&server, Some(&sign("whsec_other", now, body.as_bytes())))),
        (
            "signature-wrong-binding",
            signed(&server, Some(&sign(TEST_SECRET, now, body.as_bytes()))),
        ),
        ("signature-too-old", signed(&server, Some(&at(-301)))),
        ("signature-too-new", signed(&server, Some(&at(301)))),
        ("not-utf-8", server.delivery(b"{\"id\":\"\xff\"}".to_vec())),
        ("not-json", server.delivery("{\"id\":")),
        ("not-an-event", server.delivery("{\"id\":\"evt_1\",\"object\":\"charge\"}")),
        ("body-too-large", server.delivery(vec![b' '; BODY_BYTES_MAX + 1])),
        ("method-not-allowed", server.client.put(server.webhook())),
        ("not-found", server.client.post(format!("{}/api/other", server.url))),
    ];
    let mut bodies = String::new();
    for (kind, request) in requests {
        let response = request.send().await.unwrap();
        let status = response.status();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{kind}");
        if kind == "method-not-allowed" {
            assert_eq!(response.headers()["allow"], "POST");
        }
        let text = response.text().await.unwrap();
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["type"], kind);
        assert_eq!(problem["status"], status.as_u16());
        let series = format!("subledger_problems_total{{type=\"{kind}\"}}");
        assert!((server.metric(&series).await - 1.0).abs() < 0.1, "{kind} is counted once");
        bodies += &text;
        bodies += "\n";
    }
    snapshots().bind(|| insta::assert_snapshot!("http_problems", bodies));
    assert_eq!(server.store().log.head().await.unwrap().size.0, 0);
    // The limits are limits: what is just within them is taken.
    let padded = body.clone() + &" ".repeat(BODY_BYTES_MAX - body.len());
    let receipt = server.receive(padded).await;
    assert_eq!(receipt["position"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tolerance_holds_to_the_second_in_both_directions() {
    let server = TestServer::start().await;
    let now = ReceivedAt::parse(NOW).unwrap().to_stripe_time().0;
    let body = Event::default().body();
    for (seconds, accepted) in [(-301, false), (-300, true), (300, true), (301, false)] {
        let header = sign(SECRET, now + seconds, body.as_bytes());
        let status = signed(&server, Some(&header)).send().await.unwrap().status();
        assert_eq!(status == StatusCode::OK, accepted, "{seconds} s");
    }
    server.stop().await;
}

/// The head of a delivery that announces the largest body; none of the body follows.
fn head(signature: &str) -> String {
    format!(
        "POST /api/stripe/webhook/ HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES_MAX}\r\n\
         {signature}\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_nothing_is_refused_before_the_body() {
    let server = TestServer::start().await;
    let too_long = format!("Stripe-Signature: t=1,v1={}\r\n", "a".repeat(5_000));
    for (header, kind) in [("", "signature-missing"), (&too_long, "signature-malformed")] {
        let address = server.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head(header).as_bytes()).await.unwrap();
        // The sending side stays open: an answer can only come without the body.
        let mut answer = [0; 1_024];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(kind), "{answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_before_its_end_is_incomplete() {
    let server = TestServer::start().await;
    let now = ReceivedAt::parse(NOW).unwrap().to_stripe_time().0;
    let signature = format!("Stripe-Signature: t={now},v1={}\r\n", "0".repeat(64));
    let cut_off = head(&signature) + "{\"id\"";
    let answer = raw(&server, cut_off.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("body-incomplete"), "{answer}");
    let series = "subledger_problems_total{type=\"body-incomplete\"}";
    assert!((server.metric(series).await - 1.0).abs() < 0.1);
    assert_eq!(server.store().log.head().await.unwrap().size.0, 0);
    server.stop().await;
}

/// While another connection writes to the log, nothing leaves the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_when_to_try_again() {
    // One event may wait and one may be on its way to the disk: of eight, some find no room.
    let limits = Limits { queue_events: 1, commit_events: 1, ..Limits::default() };
    let server = TestServer::with(|options| options.limits = limits).await;
    let mut other = crate::raw::log(&crate::database(server.directory.path())).await;
    other.run(crate::raw::dialect().lock_log).await;

    let mut posts = JoinSet::new();
    for _ in 0..8 {
        posts.spawn(server.delivery(Event::default().body()).send());
    }
    let refused = loop {
        let answer = posts.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], "1");
        let problem = json_of(answer).await;
        if problem["type"] == "queue-full" {
            break problem;
        }
    };
    assert_eq!(refused["status"], 503);

    other.run("ROLLBACK").await;
    posts.join_all().await;
    server.receive(Event::default().body()).await;
    assert_eq!(server.store().log.head().await.unwrap().size.0, 1);
    server.stop().await;
}

/// Sends raw bytes, closes the sending side, and reads what comes back.
async fn raw(server: &TestServer, bytes: &[u8]) -> String {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // A server may close without reading to the end; what it said before counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_request_ends_with_its_connection() {
    let server = TestServer::start().await;
    let long_header =
        [b"POST /api/stripe/webhook/ HTTP/1.1\r\nHost: x\r\nX: ", &vec![b'x'; 200_000][..]];
    let answer = raw(&server, &long_header.concat()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(!raw(&server, b"\x16\x03\x01 not http\r\n\r\n").await.contains(" 200 "));
    assert_eq!(server.store().log.head().await.unwrap().size.0, 0);
    server.receive(Event::default().body()).await;
    server.stop().await;
}
