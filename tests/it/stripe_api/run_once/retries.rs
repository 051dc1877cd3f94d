//! Repetitions of requests.

use std::io::{Read as _, Write as _};

use subledger::stripe_api::ApiError;

use super::super::fake::{Answer, FakeStripe};

/// Number of requests that a client makes before it returns, and the result.
async fn made(answers: Vec<Answer>) -> (usize, Result<String, ApiError>) {
    let fake = FakeStripe::start(answers).await;
    let result = fake.client().get("/v1/events", &[], None).await;
    (fake.arrived().len(), result.map(|it| it.body))
}

fn done() -> Answer {
    Answer::new(200, r#"{"done":true}"#)
}

#[tokio::test]
async fn what_may_pass_is_repeated() {
    for failure in [
        Answer::new(409, ""),
        Answer::new(429, "").with("stripe-rate-limited-reason", "endpoint-rate"),
        Answer::new(500, ""),
        Answer::new(503, "").with("retry-after", "1"),
        Answer::new(400, "").with("stripe-should-retry", "true"),
        done().cut(),
        Answer::new(200, r#"{"data":["#),
        Answer::new(200, "<html>"),
    ] {
        let told = format!("{failure:?}");
        let (count, result) = made(vec![failure, done()]).await;
        assert_eq!((count, result.as_deref()), (2, Ok(r#"{"done":true}"#)), "{told}");
    }
}

#[tokio::test]
async fn stripe_decides_what_is_not_repeated() {
    for failure in [
        Answer::new(409, "").with("stripe-should-retry", "false"),
        Answer::new(429, "").with("stripe-should-retry", "false"),
        Answer::new(500, "").with("stripe-should-retry", "false"),
        Answer::new(400, ""),
        Answer::new(401, ""),
        Answer::new(404, ""),
    ] {
        let told = format!("{failure:?}");
        let (count, result) = made(vec![failure]).await;
        assert!(count == 1 && result.is_err(), "{told}");
    }
}

#[tokio::test]
async fn the_last_failure_is_told_with_the_number_of_attempts() {
    let limited = |reason| Answer::new(429, "").with("stripe-rate-limited-reason", reason);
    let answers = vec![Answer::new(500, ""), limited("global-rate"), limited("global-concurrency")];
    let (count, result) = made(answers).await;
    assert_eq!(count, 3);
    assert_eq!(
        result.unwrap_err().to_string(),
        "/v1/events failed after 3 attempts: status 429 (global-concurrency) (request req_1)"
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_told() {
    let mut fake = FakeStripe::start([]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    fake.url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for _ in 0..3 {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = connection.read(&mut request).unwrap();
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"a\":").unwrap();
        }
    });
    let error = fake.client().get("/v1/events", &[], None).await.unwrap_err().to_string();
    let expected = "/v1/events failed after 3 attempts: the answer was cut off: ";
    assert!(error.starts_with(expected), "{error}");
    server.join().unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_asked_again() {
    let mut gone = FakeStripe::start([]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    gone.url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = gone.client().get("/v1/events", &[], None).await.unwrap_err().to_string();
    assert!(error.starts_with("/v1/events failed after 3 attempts: "), "{error}");
    assert!(error.contains("refused"), "{error}");
}
