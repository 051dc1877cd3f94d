//! The simulated API of Stripe, over HTTP.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use subledger::simulate::Plan;
use subledger::simulate::serve::{Faults, LIVE_KEY, Options, SimulatedStripe};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::commands::subledger;

#[tokio::test]
async fn the_command_prints_its_url_and_serves_until_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["simulate", "--subscriptions", "60", "--serve", "127.0.0.1:0"];
    let mut command = subledger(directory.path(), &arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let url = format!("{}/v1/subscriptions?status=all", url.trim());
    let client = crate::client();
    let answer = client.get(&url).bearer_auth(LIVE_KEY).send().await.unwrap();
    let page: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(page["data"].as_array().unwrap().len(), 10);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_error_of_the_client() {
    let faults = Faults { cuts: 1.0, ..Faults::default() };
    let plan = Plan { subscriptions: 5, ..Plan::default() };
    let stripe = SimulatedStripe::new(&plan, Options { faults, ..Options::default() });
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/customers", socket.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (server, token) = (stripe.clone(), stop.clone());
    let served = tokio::spawn(async move { server.serve(socket, token).await });
    let get = async || crate::client().get(&url).bearer_auth(LIVE_KEY).send().await?.bytes().await;
    for _ in 0..20 {
        assert!(get().await.is_err());
    }
    stripe.set_faults(Faults::default());
    assert!(!get().await.unwrap().is_empty());
    stop.cancel();
    served.await.unwrap().unwrap();
}
