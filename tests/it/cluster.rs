//! A PostgreSQL of these tests' own: made when the first of them asks, gone with the process, however that
//! ends. `SUBLEDGER_TEST_POSTGRES_URL` names a server to use instead.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

/// Folder in which Debian and others keep the programs, beside PATH.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Users that a server may run as; it refuses to run as root.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// Pause between two attempts to connect, and the maximum time until the server answers.
const PAUSE: Duration = Duration::from_millis(20);
const START: Duration = Duration::from_mins(1);

/// Starts the server, stops it when nobody holds the other end of its input any more, whatever became of the
/// tests, and removes its files where nobody is to run it again.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
"$0" -D "$1" -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off -c jit=off -c max_connections=400 \
    -c shared_buffers=64MB -c log_min_messages=fatal -c autovacuum=off >"$1/server.log" 2>&1 &
cat >/dev/null
kill -INT $!
wait $!
[ -e "$1/keep" ] || rm -rf "$(dirname "$1")"
"#;

/// A server and how to reach it.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The beginning and the end of a database's address.
    address: (String, String),
    psql: PathBuf,
    /// Held for as long as the server is to run.
    server: Mutex<Option<Child>>,
    data: Option<TempDir>,
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| match given() {
    Some(url) => Cluster::at(&url),
    None => Cluster::start(),
});

/// A server that was named, instead of one that is made.
fn given() -> Option<String> {
    std::env::var("SUBLEDGER_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty())
}

/// The address of the database that belongs to a folder, which is made if it is not there.
pub(crate) fn address(folder: &Path) -> String {
    CLUSTER.url(&make(folder))
}

/// Runs SQL there as its owner would in a terminal, and answers with what it prints.
pub(crate) fn psql(folder: &Path, sql: &str) -> String {
    CLUSTER.psql(&make(folder), sql)
}

/// Runs a script there, as `psql --file` does.
pub(crate) fn load(folder: &Path, script: &str) {
    let mut psql = CLUSTER.command(&make(folder));
    let mut child =
        psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn make(folder: &Path) -> String {
    static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = folder.file_name().unwrap().to_str().unwrap();
    let name = format!("subledger_test_{}_{folder}", std::process::id());
    if made.insert(name.clone()) {
        CLUSTER.psql("postgres", &format!("CREATE DATABASE \"{name}\""));
    }
    name
}

impl Cluster {
    fn at(url: &str) -> Self {
        let (base, options) = url.split_once('?').map_or((url, ""), |(base, it)| (base, it));
        let (base, _) = base.rsplit_once('/').unwrap();
        let options = if options.is_empty() { String::new() } else { format!("?{options}") };
        let psql = program("psql");
        Self { address: (format!("{base}/"), options), psql, server: Mutex::default(), data: None }
    }

    /// A new one.
    pub(crate) fn start() -> Self {
        Self::of(|data| {
            let mut initdb = as_owner_of(data, program("initdb"));
            initdb.arg("--pgdata").arg(data).args([
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ]);
            initdb
        })
    }

    /// One that follows this one, which from now on acknowledges nothing that the other does not have.
    pub(crate) fn synchronous_replica(&self) -> Self {
        let primary =
            format!("host={} user=postgres application_name=replica", self.data().display());
        let replica = Self::of(|data| {
            let mut basebackup = as_owner_of(data, program("pg_basebackup"));
            basebackup.arg("--pgdata").arg(data).arg("--dbname").arg(primary);
            basebackup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
            basebackup
        });
        self.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'replica'");
        self.psql("postgres", "SELECT pg_reload_conf()");
        let state = "SELECT sync_state FROM pg_stat_replication";
        while self.psql("postgres", state) != "sync" {
            std::thread::sleep(PAUSE);
        }
        replica
    }

    /// Makes a replica the one that is written to.
    pub(crate) fn promote(&self) {
        assert_eq!(self.psql("postgres", "SELECT pg_promote()"), "t");
    }

    /// Address that it listens on.
    pub(crate) fn socket(&self) -> PathBuf {
        self.data().join(".s.PGSQL.5432")
    }

    fn of(make: impl FnOnce(&Path) -> Command) -> Self {
        let directory = tempfile::Builder::new().prefix("subledger-pg-").tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        if let Some((uid, gid)) = unprivileged(directory.path()) {
            std::os::unix::fs::chown(&data, Some(uid), Some(gid)).unwrap();
            std::os::unix::fs::chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let made = make(&data).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // Of the server that was copied.
        let _ = std::fs::remove_file(data.join(".s.PGSQL.5432.lock"));
        let cluster = Self {
            address: (
                "postgres://postgres@localhost/".to_owned(),
                format!("?host={}", data.display()),
            ),
            psql: program("psql"),
            server: Mutex::default(),
            data: Some(directory),
        };
        cluster.run_again();
        cluster
    }

    /// The directory of its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.as_ref().unwrap().path().join("data")
    }

    /// Lets the server run, as it was left.
    pub(crate) fn run_again(&self) {
        let data = self.data();
        let _ = std::fs::remove_file(data.join("keep"));
        let server = as_owner_of(&data, PathBuf::from("/bin/sh"))
            .args(["-c", SUPERVISOR])
            .arg(program("postgres"))
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.server.lock().unwrap() = Some(server);
        self.wait(&data);
    }

    /// Stops the server; what it has written stays.
    pub(crate) fn stop(&self) {
        std::fs::write(self.data().join("keep"), "").unwrap();
        let mut server = self.server.lock().unwrap().take().unwrap();
        drop(server.stdin.take());
        server.wait().unwrap();
    }

    /// The end of a machine: the server is gone at once, and does not come back.
    pub(crate) fn kill(&self) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        // Its children end when they see that it is gone.
        assert!(Command::new("kill").args(["-QUIT", pid]).status().unwrap().success());
        while self.data().join("postmaster.pid").exists() {
            std::thread::sleep(PAUSE);
        }
    }

    fn wait(&self, data: &Path) {
        let mut waited = Duration::ZERO;
        while !self.command("postgres").args(["-c", "SELECT 1"]).output().unwrap().status.success()
        {
            let log = || std::fs::read_to_string(data.join("server.log")).unwrap_or_default();
            assert!(waited < START, "PostgreSQL does not start: {}", log());
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
    }

    /// The address of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.address.0, self.address.1)
    }

    /// The same for another role than the superuser.
    pub(crate) fn url_of(&self, role: &str, database: &str) -> String {
        self.url(database).replace("//postgres@", &format!("//{role}@"))
    }

    fn command(&self, database: &str) -> Command {
        self.command_of("postgres", database)
    }

    fn command_of(&self, role: &str, database: &str) -> Command {
        let mut command = Command::new(&self.psql);
        command
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.url_of(role, database));
        command
    }

    /// Runs SQL, and answers with what it prints.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        self.psql_of("postgres", database, sql)
    }

    /// The same as another role than the superuser.
    pub(crate) fn psql_of(&self, role: &str, database: &str, sql: &str) -> String {
        let output = self.command_of(role, database).args(["-c", sql]).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// User and group that the server runs as if these tests run as root.
fn unprivileged(directory: &Path) -> Option<(u32, u32)> {
    if std::fs::metadata(directory).unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |user: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
        let mut numbers = line.split(':').skip(2).filter_map(|it| it.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    };
    USERS.iter().find_map(|user| ids(user))
}

/// A program that runs as whoever owns a directory.
pub(crate) fn as_owner_of(directory: &Path, program: PathBuf) -> Command {
    let owner = std::fs::metadata(directory).unwrap();
    let mut command = Command::new(program);
    command.current_dir("/").env_remove("PGDATA").uid(owner.uid()).gid(owner.gid());
    command
}

/// A program of PostgreSQL's, of the newest version that is installed.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    let mut found = folders.iter().rev().map(|folder| folder.join(name)).filter(|it| it.is_file());
    found.next().unwrap_or_else(|| {
        panic!(
            "there is no `{name}`: these tests need PostgreSQL 15 or later (Debian: apt-get install \
             postgresql), or SUBLEDGER_TEST_POSTGRES_URL"
        )
    })
}
