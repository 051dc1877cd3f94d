//! Messages about a server that cannot be used: the reason with the server's code, and a hint, but no
//! password.

use subledger::clock::Clock;
use subledger::store::{DatabaseUrl, OpenMode, Store};

use crate::app::commands::{Ran, ran, subledger};
use crate::cluster::Cluster;
use crate::ledger::new_event;

/// Output of `verify` for this address.
fn refused(url: &str) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let mut command = subledger(directory.path(), &["verify"]);
    let ran = ran(&command.env("DATABASE_URL", url).output().unwrap());
    assert_ne!(ran.status, 0, "{url}");
    assert!(!ran.err.contains("hush"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 2, "an error and a hint: {}", ran.err);
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_be_refused_by_a_server_has_its_sentence_and_its_hint() {
    let cluster = Cluster::start();
    for sql in [
        "CREATE ROLE known LOGIN PASSWORD 'right'",
        "CREATE ROLE few LOGIN CONNECTION LIMIT 1",
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        "CREATE DATABASE other",
    ] {
        cluster.psql("postgres", sql);
    }
    let access = "local all known scram-sha-256\nlocal all stranger reject\nlocal all all trust\n";
    std::fs::write(cluster.data().join("pg_hba.conf"), access).unwrap();
    cluster.psql("postgres", "SELECT pg_reload_conf()");
    cluster.psql("other", "CREATE SCHEMA subledger; CREATE TABLE subledger.theirs ()");
    let socket = cluster.data().display().to_string();
    let at =
        |who: &str, database: &str| format!("postgres://{who}@localhost/{database}?host={socket}");
    for (url, sentence, hint) in [
        (
            at("postgres:hush", "nowhere"),
            "the database does not exist (SQLSTATE 3D000)",
            "CREATE DATABASE",
        ),
        (
            at("known:hush", "postgres"),
            "refused the password of the role (SQLSTATE 28P01)",
            "percent-encoded",
        ),
        (at("nobody:hush", "postgres"), "the role does not exist (SQLSTATE 28000)", "CREATE ROLE"),
        (at("stranger:hush", "postgres"), "does not accept this role from here", "sslmode=require"),
        (at("few:hush", "postgres"), "no free connection (SQLSTATE 53300)", "max_connections"),
        (at("postgres:hush", "postgres") + "&sslmode=require", "TLS was refused", "sslmode"),
        (at("postgres:hush", "latin"), "its encoding is LATIN1", "ENCODING 'UTF8'"),
        (at("postgres:hush", "ascii"), "its encoding is SQL_ASCII", "ENCODING 'UTF8'"),
        (at("postgres:hush", "other"), "a database of another program", "DATABASE_URL"),
        (
            "postgres://known:hush@127.0.0.1:1/postgres?sslmode=disable".to_owned(),
            "Connection refused",
            "no server listens there",
        ),
        (
            "postgres://known:hush@localhost/postgres?host=/nowhere".to_owned(),
            "No such file",
            "no server listens there",
        ),
        (
            "postgres://known:hush#hush@localhost/postgres".to_owned(),
            "percent-encode",
            "DATABASE_URL",
        ),
        (
            "postgres://known:hush@localhost/postgres?hush=hush".to_owned(),
            "is unknown",
            "DATABASE_URL",
        ),
        (at("postgres:hush", "postgres") + "\r\n", "there is no ledger at postgres://", "serve"),
    ] {
        let ran = refused(&url);
        assert!(ran.err.contains(sentence), "{sentence}: {}", ran.err);
        assert!(ran.err.contains("hint: ") && ran.err.contains(hint), "{hint}: {}", ran.err);
    }
}

/// Log line of an append that fails: the code, the object and a hint, but no value.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_the_server_refuses_names_code_and_object_and_no_value() {
    let cluster = Cluster::start();
    let open = async |role: &str| {
        let url = DatabaseUrl::parse(&cluster.url_of(role, "postgres")).unwrap();
        Store::open(&url, OpenMode::Create, Clock::System).await.unwrap()
    };
    let owner = open("postgres").await;
    let sql = "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA subledger, subledger_read TO reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA subledger, subledger_read TO reader";
    cluster.psql("postgres", sql);
    let event = crate::app::server::Event { user: "secretive", ..Default::default() };
    let events = [new_event(&event.body())];
    let said = |error: &subledger::store::StoreError| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("secretive"), "{text}");
        error.to_string()
    };
    let reader = open("reader").await;
    let refused = said(&reader.log.append(&events).await.unwrap_err());
    let wanted = "permission denied for table log_head (SQLSTATE 42501): the role of `serve` needs SELECT and \
                  UPDATE on subledger.log_head";
    assert!(refused.starts_with(wanted), "{refused}");
    // A constraint whose message shows the row.
    let sql =
        "ALTER TABLE subledger.events ADD CONSTRAINT none CHECK (payload NOT LIKE '%secretive%')";
    cluster.psql("postgres", sql);
    let refused = said(&owner.log.append(&events).await.unwrap_err());
    assert!(refused.contains("(SQLSTATE 23514, table events, constraint none)"), "{refused}");
    // A value that does not fit, which the message itself shows.
    let sql = "ALTER TABLE subledger.events DROP CONSTRAINT none;
        CREATE FUNCTION subledger.read() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM NEW.payload::bigint; RETURN NEW; END $$;
        CREATE TRIGGER read BEFORE INSERT ON subledger.events FOR EACH ROW EXECUTE FUNCTION subledger.read()";
    cluster.psql("postgres", sql);
    let refused = said(&owner.log.append(&events).await.unwrap_err());
    assert_eq!(refused, "invalid input syntax for type bigint (SQLSTATE 22P02)");
}
