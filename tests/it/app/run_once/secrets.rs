//! Secrets as they are configured: from the environment or a file, refused by name and never shown.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Stdio;

use crate::app::commands::{Ran, ran, subledger};

/// A `serve` that does not start, with this environment.
fn refused(folder: &Path, environment: &[(&str, &str)]) -> Ran {
    let mut serve = subledger(folder, &["serve", "--listen", "127.0.0.1:0"]);
    let ran = ran(&serve.envs(environment.iter().copied()).output().unwrap());
    assert_eq!(ran.status, 2, "{environment:?}: {}", ran.err);
    assert_eq!(ran.err.lines().count(), 2, "an error and a hint: {}", ran.err);
    ran
}

#[test]
fn what_is_no_signing_secret_is_refused_with_its_variable_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    std::fs::write(folder.join("secret"), "\u{feff}\"sk_live_1234\"\n").unwrap();
    for environment in [
        ("STRIPE_WEBHOOK_SECRET", "sk_live_1234"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_ok,live:sk_live_1234"),
        ("STRIPE_WEBHOOK_SECRET_FILE", "secret"),
    ] {
        let ran = refused(folder, &[environment]);
        assert!(ran.err.contains(&format!("{}: secret", environment.0)), "{}", ran.err);
        assert!(!ran.err.contains("1234"), "{}", ran.err);
    }
    std::fs::write(folder.join("empty"), "\u{feff}\"\"\n").unwrap();
    for (environment, named) in [
        (&[("STRIPE_WEBHOOK_SECRET_FILE", "empty")][..], "STRIPE_WEBHOOK_SECRET is not set"),
        (
            &[("STRIPE_WEBHOOK_SECRET", " "), ("STRIPE_WEBHOOK_SECRET_FILE", "empty")],
            "STRIPE_WEBHOOK_SECRET is not set",
        ),
        (&[("STRIPE_WEBHOOK_SECRET_FILE", "missing")], "STRIPE_WEBHOOK_SECRET_FILE: cannot read"),
        (
            &[("STRIPE_WEBHOOK_SECRET", "whsec_a"), ("STRIPE_WEBHOOK_SECRET_FILE", "secret")],
            "STRIPE_WEBHOOK_SECRET and STRIPE_WEBHOOK_SECRET_FILE are both set",
        ),
        (
            &[("STRIPE_WEBHOOK_SECRET", "whsec_a"), ("SUBLEDGER_API_TOKEN_FILE", "missing")],
            "SUBLEDGER_API_TOKEN_FILE: cannot read",
        ),
    ] {
        let ran = refused(folder, environment);
        assert!(ran.err.contains(named), "{environment:?}: {}", ran.err);
    }
}

/// Log lines of a `serve` that starts with these secrets.
#[cfg(unix)]
fn said_at_start(folder: &Path, secrets: &str) -> String {
    std::fs::write(folder.join("secrets"), secrets).unwrap();
    let mut child = subledger(folder, &["serve", "--listen", "127.0.0.1:0"])
        .env("STRIPE_WEBHOOK_SECRET_FILE", "secrets")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("listening on") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    stderr.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    said
}

#[cfg(unix)]
#[test]
fn several_secrets_of_which_one_is_not_bound_are_warned_of_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let warns = |secrets: &str| {
        let said = said_at_start(directory.path(), secrets);
        assert!(!said.contains("whsec_"), "{said}");
        assert_eq!(said.contains("any:"), secrets.contains(",whsec"), "{said}");
        said.contains("may sign any event")
    };
    assert!(!warns("\u{feff}\"live:whsec_a\"\r\n"));
    assert!(!warns("live:whsec_a,test:whsec_b,connect:whsec_c"));
    assert!(warns("live:whsec_a,whsec_b"));
}
