//! Connections of clients that are slow, silent, greedy or unlucky.

use std::time::Duration;

use reqwest::StatusCode;
use subledger::config::ConnectionLimits;
use subledger::http::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
use subledger::ids::Position;
use subledger::stripe::Verifier;

use super::raw_http::{RawClient, delivery, forged, head, now, signature};
use crate::app::server::{Event, SECRET, TOKEN, TestServer};

/// A server with few connections.
async fn with_few_connections(total: u32) -> TestServer {
    let connections = ConnectionLimits { total, ..ConnectionLimits::default() };
    TestServer::with(|options| options.connections = connections).await
}

/// Number of connections that the server has closed for a reason.
async fn closed(server: &TestServer, reason: &str) -> f64 {
    server.metric(&format!("subledger_connections_closed_total{{reason=\"{reason}\"}}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_give_way_to_a_webhook_and_verified_ones_stay() {
    let server = with_few_connections(8).await;
    let body = Event::default().body();
    let mut kept = RawClient::connect(&server).await;
    kept.send(delivery(&body)).await;
    assert!(kept.read_answer().await.starts_with("HTTP/1.1 200"));
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(RawClient::connect(&server).await);
    }
    // Each delivery over a connection of its own, and again over the one that was there first.
    for _ in 0..10 {
        let mut fresh = RawClient::connect(&server).await;
        fresh.send(delivery(&body)).await;
        assert!(fresh.read_answer().await.starts_with("HTTP/1.1 200"));
        kept.send(delivery(&body)).await;
        assert!(kept.read_answer().await.starts_with("HTTP/1.1 200"));
    }
    // The oldest were closed.
    for silent in &mut silent[..30] {
        silent.closed().await;
    }
    assert!(closed(&server, "gave-way").await >= 30.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_bodies_that_never_end_give_way_to_a_webhook() {
    let server = with_few_connections(64).await;
    // Each has sent more than a small body, and together they announce more than the budget.
    let mut hostile = Vec::new();
    for _ in 0..40 {
        let mut client = RawClient::connect(&server).await;
        client.send(head(&forged(), BODY_BYTES_MAX, "")).await;
        client.send(vec![b' '; 100_000]).await;
        hostile.push(client);
    }
    let mut body = Event::default().body();
    body += &" ".repeat(1_000_000);
    // A forged one that the server has not seen yet may take its place, and then it is sent again.
    while server.delivery(body.clone()).send().await.unwrap().status() != StatusCode::OK {}
    // Of those that are not refused, the bodies never come.
    let mut refused = 0;
    for client in &mut hostile {
        let answer = client.read_answer().await;
        if answer.starts_with("HTTP/1.1 503") {
            assert!(
                answer.contains("retry-after: 1") && answer.contains("bodies-full"),
                "{answer}"
            );
            refused += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        }
    }
    assert!(refused >= 24, "{refused}");
    drop(hostile);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_clients_that_do_not_read_are_cut() {
    let server = TestServer::start().await;
    let mut slow = RawClient::connect(&server).await;
    slow.send("POST /api/stripe/webhook/ HTTP/1.1\r\nHost: ").await;
    // A verified one; others are closed after some requests anyway.
    let mut deaf = RawClient::connect(&server).await;
    let verified =
        format!("GET /v1/log HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    deaf.send(verified).await;
    assert!(deaf.read_answer().await.starts_with("HTTP/1.1 200"));
    let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    let deaf = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        // It sends, never reads, and learns of the cut by a failed write.
        while deaf.0.write_all(requests.as_bytes()).await.is_ok() {}
    });
    slow.closed().await;
    tokio::time::timeout(Duration::from_mins(2), deaf).await.expect("it is cut").unwrap();
    assert!(closed(&server, "slow-head").await >= 1.0);
    assert!(closed(&server, "not-reading").await >= 1.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_any_verified_request_ends_after_a_hundred() {
    let server = TestServer::start().await;
    let mut client = RawClient::connect(&server).await;
    client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200)).await;
    let answers = client.read_to_end().await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 100);
    assert_eq!(answers.matches("connection: close").count(), 1);
    let mut client = RawClient::connect(&server).await;
    for _ in 0..150 {
        client.send(delivery(&Event::default().body())).await;
        assert!(client.read_answer().await.starts_with("HTTP/1.1 200"));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_between_requests_and_closed_after_the_idle_time() {
    let connections = ConnectionLimits { idle_seconds: 1, ..ConnectionLimits::default() };
    let server = TestServer::with(|options| options.connections = connections).await;
    let mut client = RawClient::connect(&server).await;
    for _ in 0..3 {
        client.send(delivery(&Event::default().body())).await;
        assert!(client.read_answer().await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(client.read_to_end().await, "");
    assert!(closed(&server, "idle").await >= 1.0);
    server.stop().await;
    assert!(ConnectionLimits::default().idle_seconds > 60, "proxies close first");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_the_sending_side_gets_the_answer() {
    let server = TestServer::start().await;
    let mut client = RawClient::connect(&server).await;
    client.send(delivery(&Event::default().body())).await;
    client.end().await;
    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"position\":1"), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_is_not_read_and_its_answer_can_be() {
    let server = TestServer::start().await;
    let old = format!("t={},v1={}", now() - 301, "0".repeat(64));
    let new = format!("t={},v1={}", now() + 301, "0".repeat(64));
    let length = 8 * 1024 * 1024;
    for (signature, kind) in [
        ("t=1", "signature-without-v1"),
        (&old, "signature-too-old"),
        (&new, "signature-too-new"),
        (&forged(), "body-too-large"),
    ] {
        // One that waits for the word to go on: it gets the answer instead.
        let mut client = RawClient::connect(&server).await;
        client.send(head(signature, length, "Expect: 100-continue\r\n")).await;
        let answer = client.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains(kind), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");

        // One that sends all of it before it reads.
        let mut client = RawClient::connect(&server).await;
        client.send(head(signature, length, "")).await;
        client.send(vec![b' '; length]).await;
        let answer = client.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains(kind), "{answer}");
    }
    let body = Event::default().body();
    let mut client = RawClient::connect(&server).await;
    client.send(head(&signature(&body), body.len(), "Expect: 100-continue\r\n")).await;
    assert!(client.read_answer().await.starts_with("HTTP/1.1 100"));
    client.send(&body).await;
    assert!(client.read_answer().await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_limited_as_well() {
    let server = TestServer::start().await;
    let body = Event::default().body();
    let chunked = |signature: &str, body: &str| {
        format!(
            "POST /api/stripe/webhook HTTP/1.1\r\nHost: x\r\nStripe-Signature: {signature}\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    let mut client = RawClient::connect(&server).await;
    client.send(chunked(&forged(), &" ".repeat(BODY_BYTES_MAX + 1))).await;
    let answer = client.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body-too-large"), "{answer}");
    let mut client = RawClient::connect(&server).await;
    client.send(chunked(&signature(&body), &body)).await;
    assert!(client.read_answer().await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_head_are_exact_and_answered_431() {
    let server = TestServer::start().await;
    let get = |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let padded = |bytes: usize| {
        let without = get("/healthz", "X: \r\n").len();
        get("/healthz", &format!("X: {}\r\n", "x".repeat(bytes - without)))
    };
    let long = |bytes: usize| {
        let without = get("/", "").len();
        get(&format!("/{}", "x".repeat(bytes - without)), "")
    };
    // `Host` is one of them.
    let lines = |count: usize| get("/healthz", &"X: x\r\n".repeat(count - 1));
    for (request, status) in [
        (padded(HEAD_BYTES_MAX), 200),
        (padded(HEAD_BYTES_MAX + 1), 431),
        (padded(10 * HEAD_BYTES_MAX), 431),
        (long(HEAD_BYTES_MAX), 404),
        (long(HEAD_BYTES_MAX + 1), 431),
        (long(100_000), 431),
        (lines(100), 200),
        (lines(101), 431),
    ] {
        let mut client = RawClient::connect(&server).await;
        client.send(&request).await;
        client.end().await;
        let answer = client.read_to_end().await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{status}: {answer} to {request:.60}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signature_lines_are_one_list_and_verify_again_from_the_log() {
    let server = TestServer::start().await;
    for (id, lines) in [("evt_1", ["forged", "good"]), ("evt_2", ["good", "forged"])] {
        let body = Event { id, ..Event::default() }.body();
        let lines = lines.map(|it| if it == "good" { signature(&body) } else { forged() });
        let request = server.client.post(server.webhook()).body(body.clone());
        let request = request.header("stripe-signature", &lines[0]);
        let request = request.header("stripe-signature", &lines[1]);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{id}");
    }
    let body = Event { id: "evt_3", ..Event::default() }.body();
    let joined = format!("{}, {}", forged(), signature(&body));
    let request = server.client.post(server.webhook()).header("stripe-signature", joined);
    assert_eq!(request.body(body).send().await.unwrap().status(), StatusCode::OK);
    let verifier = Verifier::new([SECRET], None);
    let report = subledger::audit::verify(server.store(), Some(&verifier), |_| {}).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(server.store().log.head().await.unwrap().size, Position(3));
    server.caught_up().await;
    server.stop().await;
}
