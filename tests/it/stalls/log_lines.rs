//! Log lines that cannot be written hold nobody up.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use subledger::clock::Clock;
use subledger::simulate::sign;
use tempfile::TempDir;

use crate::app::commands::subledger;
use crate::app::server::{Event, SECRET};
use crate::raw;

/// A service whose stderr is read up to its address, and then no more.
struct Unread {
    child: Child,
    address: String,
    stderr: Option<BufReader<ChildStderr>>,
    folder: TempDir,
}

impl Unread {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = serve(folder.path());
        Self::spawn(folder, command)
    }

    fn spawn(folder: TempDir, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended");
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split(',').next().unwrap().to_owned();
            }
        };
        Self { child, address, stderr: Some(stderr), folder }
    }

    async fn post(&self, id: &str) -> StatusCode {
        let body = Event::default().body().replace("evt_1", id);
        let now = Clock::System.now().to_stripe_time().0;
        let signature = sign(SECRET, now, body.as_bytes());
        let url = format!("http://{}/api/stripe/webhook/", self.address);
        let post = crate::client().post(url).header("stripe-signature", signature).body(body);
        post.send().await.unwrap().status()
    }

    /// Lines that could not be written, as the metrics count them.
    async fn lost_lines(&self) -> u64 {
        let metrics = crate::client().get(format!("http://{}/metrics", self.address)).send();
        let metrics = metrics.await.unwrap().text().await.unwrap();
        let count =
            |line: &str| line.strip_prefix("subledger_log_lines_unwritten_total ")?.parse().ok();
        metrics.lines().find_map(count).unwrap()
    }

    fn stop(&mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(folder: &Path) -> Command {
    let mut command = subledger(folder, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("STRIPE_WEBHOOK_SECRET", SECRET).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_left_to_read_stderr_a_failed_commit_is_a_503_and_the_next_one_is_stored() {
    let mut served = Unread::start();
    assert_eq!(served.post("evt_1").await, StatusCode::OK);
    drop(served.stderr.take());
    let mut lock = raw::log(&crate::database(served.folder.path())).await;
    lock.run(raw::dialect().lock_log).await;
    for id in ["evt_2", "evt_3"] {
        assert_eq!(served.post(id).await, StatusCode::SERVICE_UNAVAILABLE);
    }
    lock.run("ROLLBACK").await;
    for id in ["evt_2", "evt_3"] {
        assert_eq!(served.post(id).await, StatusCode::OK);
    }
    assert!(served.lost_lines().await > 0, "what could not be written is counted");
    assert_eq!(served.stop("TERM"), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stderr_that_nobody_reads_delays_no_start_no_event_and_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    // As much as a pipe of Linux's holds: not one line more goes in.
    writer.write_all(&vec![b'x'; 64 * 1024]).unwrap();
    // Free a moment ago; nobody reads the line that would tell one.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = subledger(folder.path(), &["serve", "--listen", &address.to_string()]);
    command.env("STRIPE_WEBHOOK_SECRET", SECRET).stderr(writer);
    let child = command.spawn().unwrap();
    let mut served = Unread { child, address: address.to_string(), stderr: None, folder };
    let health = format!("http://{address}/healthz");
    while crate::client().get(&health).send().await.is_err() {
        assert_eq!(served.child.try_wait().unwrap(), None, "it ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut lock = raw::log(&crate::database(served.folder.path())).await;
    lock.run(raw::dialect().lock_log).await;
    assert_eq!(served.post("evt_1").await, StatusCode::SERVICE_UNAVAILABLE);
    lock.run("ROLLBACK").await;
    for number in 1..20 {
        assert_eq!(served.post(&format!("evt_{number}")).await, StatusCode::OK);
    }
    assert_eq!(served.stop("TERM"), Some(0));
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_hangup_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    // The tests may themselves have been started by `nohup`, and then every child ignores the signal.
    let serve = serve(folder.path());
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP").arg(serve.get_program()).args(serve.get_args());
    command.current_dir(folder.path()).env("STRIPE_WEBHOOK_SECRET", SECRET).stderr(Stdio::piped());
    if let Some(url) = crate::address(folder.path()) {
        command.env("DATABASE_URL", url);
    }
    let mut served = Unread::spawn(folder, command);
    assert_eq!(served.post("evt_1").await, StatusCode::OK);
    assert_eq!(served.stop("HUP"), Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn whoever_was_told_to_ignore_hangups_does() {
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_subledger");
    let mut shell = Command::new("sh");
    // `trap` with an empty command makes what is started ignore the signal, as `nohup` does.
    shell.args(["-c", "trap '' HUP; exec \"$0\" serve --listen 127.0.0.1:0", binary]);
    shell.current_dir(folder.path()).env("STRIPE_WEBHOOK_SECRET", SECRET).stderr(Stdio::piped());
    if let Some(url) = crate::address(folder.path()) {
        shell.env("DATABASE_URL", url);
    }
    let mut child = shell.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("listening on")));
    let kill = |signal| {
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    };
    kill("HUP");
    kill("TERM");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let stops = rest.iter().filter(|line| line.contains("stopping")).count();
    assert_eq!(stops, 1, "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn where_the_log_is_json_every_line_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = serve(folder.path()).env("SUBLEDGER_LOG_FORMAT", "json").spawn().unwrap();
    let mut told = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let message = line["message"].as_str().unwrap().to_owned();
        if message.contains("listening on") {
            let id = child.id().to_string();
            assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        }
        told.push(message);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(told.iter().any(|it| it.starts_with("stopping")), "{told:?}");

    let mut command = subledger(folder.path(), &["serve"]);
    let failed = command.env("SUBLEDGER_LOG_FORMAT", "json").output().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&failed.stderr).unwrap();
    assert!(line["message"].as_str().unwrap().contains("STRIPE_WEBHOOK_SECRET"), "{line}");
    assert!(line["hint"].is_string(), "{line}");
}
