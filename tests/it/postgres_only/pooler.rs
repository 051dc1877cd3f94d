//! A pooler between the program and the server: pgbouncer with its own defaults.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use subledger::store::DatabaseUrl;

use crate::app::commands::{Ran, ran, subledger};
use crate::app::server::{Event, TestServer};
use crate::cluster::{Cluster, as_owner_of};

/// Places where Debian and others keep it.
const PLACES: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
/// Maximum time until it listens, and the pause between two attempts.
const START: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
/// Ends the pooler when nobody holds the other end of its input any more, whatever became of the tests.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
"$0" -q "$1" >"$1.log" 2>&1 &
cat >/dev/null
kill -KILL $!
"#;

/// A pooler before a server.
struct Pooler {
    cluster: Cluster,
    /// Address that it listens on.
    folder: PathBuf,
    /// Held for as long as it is to run.
    _process: Child,
}

impl Pooler {
    fn start(mode: &str) -> Self {
        let cluster = Cluster::start();
        let data = cluster.data();
        let folder = data.join("pooler");
        let program = PLACES.iter().map(PathBuf::from).find(|it| it.is_file());
        let program = program.expect("pgbouncer (Debian: apt-get install pgbouncer)");
        let owned = |program: &str| as_owner_of(&data, PathBuf::from(program));
        assert!(owned("mkdir").arg(&folder).status().unwrap().success());
        std::fs::write(folder.join("users"), "\"postgres\" \"\"\n").unwrap();
        let settings = format!(
            "[databases]\n* = host={} port=5432\n\
             [pgbouncer]\nunix_socket_dir = {}\nlisten_port = 6432\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {mode}\n",
            data.display(),
            folder.display(),
            folder.join("users").display()
        );
        std::fs::write(folder.join("pooler.ini"), settings).unwrap();
        let process = owned("/bin/sh")
            .args(["-c", SUPERVISOR])
            .arg(program)
            .arg(folder.join("pooler.ini"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut waited = Duration::ZERO;
        while !folder.join(".s.PGSQL.6432").exists() {
            let log = || std::fs::read_to_string(folder.join("pooler.ini.log")).unwrap_or_default();
            assert!(waited < START, "the pooler does not start: {}", log());
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        Self { cluster, folder, _process: process }
    }

    fn url(&self) -> String {
        format!("postgres://postgres@localhost:6432/postgres?host={}", self.folder.display())
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("event.json"), Event::default().body()).unwrap();
        let mut command = subledger(directory.path(), arguments);
        ran(&command.env("DATABASE_URL", self.url()).output().unwrap())
    }

    /// Tables in each schema but those of the server itself.
    fn tables(&self) -> String {
        let sql = "SELECT schemaname, count(*) > 0 FROM pg_tables
            WHERE schemaname NOT IN ('pg_catalog', 'information_schema') GROUP BY 1 ORDER BY 1";
        self.cluster.psql("postgres", sql)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_in_session_mode_everything_works() {
    let pooler = Pooler::start("session");
    let url = DatabaseUrl::parse(&pooler.url()).unwrap();
    let server = TestServer::with(|options| options.database = url).await;
    assert_eq!(server.receive(Event::default().body()).await["position"], 1);
    let second = Event { id: "evt_2", subscription: "sub_2", ..Event::default() };
    assert_eq!(server.receive(second.body()).await["position"], 2);
    let user = server.read("/v1/users/user_1").await;
    assert_eq!(user["subscriptions"].as_array().unwrap().len(), 2);
    for arguments in [&["verify"][..], &["rebuild"], &["current"], &["history", "user_1"]] {
        let ran = pooler.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}{}", ran.out, ran.err);
    }
    server.stop().await;
    assert_eq!(pooler.tables(), "subledger|t\nsubledger_read|t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_keeps_no_session_is_refused_before_anything_is_made() {
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(mode);
        for arguments in [&["import", "event.json"][..], &["verify"], &["rebuild"]] {
            let ran = pooler.run(arguments);
            assert_eq!(ran.status, 3, "{arguments:?}: {}", ran.err);
            assert!(ran.err.contains("another session"), "{mode}: {}", ran.err);
            assert!(ran.err.contains("pool_mode = session"), "{mode}: {}", ran.err);
        }
        assert_eq!(pooler.tables(), "", "{mode}");
    }
}
