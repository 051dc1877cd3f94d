//! Log lines of a server about clients that it refuses.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use reqwest::StatusCode;
use subledger::clock::Clock;
use subledger::simulate::sign;

use crate::app::commands::subledger;
use crate::app::server::{Event, SECRET, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_or_token_is_warned_of_once_with_a_hint_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = subledger(directory.path(), &["serve", "--listen", "127.0.0.1:0"])
        .env("STRIPE_WEBHOOK_SECRET", SECRET)
        .env("SUBLEDGER_API_TOKEN", TOKEN)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("webhook at") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let (_, address) = said.split_once("http://").unwrap();
    let url = format!("http://{}", address.split(',').next().unwrap());

    let body = Event::default().body();
    let now = Clock::System.now().to_stripe_time().0;
    let wrong = sign("whsec_of_another_endpoint", now, body.as_bytes());
    let client = crate::client();
    for _ in 0..5 {
        let post = client.post(format!("{url}/api/stripe/webhook/"));
        let post = post.header("stripe-signature", &wrong).body(body.clone());
        assert_eq!(post.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
        let get = client.get(format!("{url}/v1/users/user_1")).bearer_auth("a_wrong_token");
        assert_eq!(get.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    drop(client);
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    stderr.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");

    let warnings = |part: &str| -> Vec<&str> {
        said.lines().filter(|line| line.contains("WARN") && line.contains(part)).collect()
    };
    for (reason, hints) in [
        ("signature-mismatch 1", ["STRIPE_WEBHOOK_SECRET", "Signing secret"]),
        ("unauthorized 1", ["SUBLEDGER_API_TOKEN", "Authorization: Bearer"]),
    ] {
        let found = warnings(reason);
        assert_eq!(found.len(), 1, "the first at once, the others not within a minute: {said}");
        assert!(hints.iter().all(|hint| found[0].contains(hint)), "{found:?}");
    }
    let v1 = wrong.split_once("v1=").unwrap().1;
    for secret in [SECRET, TOKEN, "whsec_of_another", "a_wrong_token", v1, "user_1"] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
}
