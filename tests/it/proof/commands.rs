//! `log` from end to end, as an operator and an auditor use it.

use std::path::Path;

use tempfile::TempDir;

use crate::app::commands::{Ran, import, ran, run, subledger};
use crate::app::server::Event;

/// A folder with a key and a ledger.
pub(super) struct Office {
    pub(super) directory: TempDir,
    pub(super) verifier: String,
}

impl Office {
    /// With as many events as there are ids.
    pub(super) fn with(ids: &[&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = run(directory.path(), &["log", "keygen", "--name", "example.com/ledger"]);
        assert_eq!(made.status, 0, "{}", made.err);
        let office = Self { verifier: made.out.trim().to_owned(), directory };
        office.import(ids);
        office
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn import(&self, ids: &[&'static str]) {
        let body = |id: &&'static str| Event { id, subscription: id, ..Event::default() }.body();
        import(self.path(), &ids.iter().map(body).collect::<Vec<_>>());
    }

    /// Runs a command that has the signing key.
    pub(super) fn signs(&self, arguments: &[&str]) -> Ran {
        let mut command = subledger(self.path(), arguments);
        ran(&command.env("SUBLEDGER_SIGNING_KEY_FILE", "subledger.key").output().unwrap())
    }

    /// Writes what such a command says into a file.
    pub(super) fn write(&self, file: &str, arguments: &[&str]) -> String {
        let ran = self.signs(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
        std::fs::write(self.path().join(file), &ran.out).unwrap();
        ran.out
    }

    /// Checks files as somebody does who has neither ledger nor secret.
    pub(super) fn check(&self, files: &[&str]) -> Ran {
        let arguments = [&["log", "check", "--key", &self.verifier], files].concat();
        let mut command = subledger(self.path(), &arguments);
        ran(&command.env("DATABASE_URL", "sqlite://not-there.db").output().unwrap())
    }
}

#[test]
fn a_log_that_grew_is_proven_to_have_only_grown() {
    let office = Office::with(&["evt_1", "evt_2", "evt_3"]);
    let old = office.write("old", &["log", "checkpoint"]);
    assert!(old.starts_with("example.com/ledger\n3\n"), "{old}");
    office.import(&["evt_4", "evt_5"]);
    office.write("new", &["log", "checkpoint"]);
    office.write("grown", &["log", "consistency", "3", "5"]);
    let checked = office.check(&["old", "new", "grown"]);
    assert_eq!((checked.status, &*checked.err), (0, ""));
    assert_eq!(
        checked.out,
        "old: example.com/ledger signed a log of 3 events\n\
         new: example.com/ledger signed a log of 5 events\n\
         grown: the log of 5 events begins with that of 3 events\n"
    );
    assert_eq!(office.write("now", &["log", "consistency", "3"]).lines().next(), Some("old 3"));

    // Two checkpoints alone say nothing about each other, nor does a proof without the older one.
    assert_eq!(office.check(&["old", "new"]).status, 2);
    assert_eq!(office.check(&["new", "grown"]).status, 2);
    assert_eq!(office.signs(&["log", "consistency", "5", "3"]).status, 1);
    assert_eq!(office.signs(&["log", "consistency", "3", "6"]).status, 1);
    let verified =
        ["verify", "--checkpoint", "old", "--checkpoint", "new", "--key", &office.verifier];
    let verified = office.signs(&verified);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    assert!(verified.out.contains("checkpoints 2 compared"), "{}", verified.out);
}

#[test]
fn a_log_that_was_rewritten_has_no_proof() {
    let office = Office::with(&["evt_1", "evt_2", "evt_3"]);
    office.write("old", &["log", "checkpoint"]);

    // The key is the same, and the second event another.
    let rewritten = Office::with(&["evt_1", "evt_9", "evt_3", "evt_4"]);
    for file in ["old", "subledger.key"] {
        std::fs::copy(office.path().join(file), rewritten.path().join(file)).unwrap();
    }
    rewritten.write("grown", &["log", "consistency", "3", "4"]);
    let arguments = ["log", "check", "--key", &office.verifier, "old", "grown"];
    let checked = run(rewritten.path(), &arguments);
    assert_eq!((checked.status, &*checked.out), (1, ""), "{}", checked.err);
    assert!(checked.err.contains("do not lead to the signed root"), "{}", checked.err);

    let verify = ["verify", "--checkpoint", "old", "--key", &office.verifier];
    let verified = run(rewritten.path(), &verify);
    assert_eq!(verified.status, 1, "{}", verified.out);
    assert!(verified.out.contains("is not the one that was signed"), "{}", verified.out);
    assert_eq!(run(rewritten.path(), &["verify"]).status, 0, "by itself it looks whole");

    // Nor can both be shown as the same log.
    rewritten.write("three", &["log", "consistency", "0", "3"]);
    let arguments = ["log", "check", "--key", &office.verifier, "old", "three"];
    let checked = run(rewritten.path(), &arguments);
    assert_eq!(checked.status, 1);
    assert!(checked.err.contains("belong to different logs"), "{}", checked.err);
}

#[test]
fn what_signs_comes_from_one_place_and_is_never_shown() {
    let office = Office::with(&["evt_1"]);
    let path = office.path().join("subledger.key");
    let secret = std::fs::read_to_string(&path).unwrap();
    assert!(secret.starts_with("PRIVATE+KEY+example.com/ledger+"), "{secret}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // A key is never overwritten: what it signed could not be checked any more.
    assert_eq!(run(office.path(), &["log", "keygen"]).status, 2);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), secret);
    assert_eq!(run(office.path(), &["log", "keygen", "--name", "a b", "--out", "x"]).status, 2);
    assert!(!office.path().join("x").exists());
    let other = run(office.path(), &["log", "keygen", "--out", "other.key"]);
    assert!(other.out.starts_with("subledger/"), "{}", other.out);

    let with = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = subledger(office.path(), arguments);
        ran(&command.envs(variables.iter().copied()).output().unwrap())
    };
    let checkpoint = ["log", "checkpoint"];
    let from_variable = with(&[("SUBLEDGER_SIGNING_KEY", secret.trim())], &checkpoint);
    assert_eq!(from_variable.status, 0, "{}", from_variable.err);
    assert_eq!(from_variable.out, office.signs(&checkpoint).out);
    let twice =
        [("SUBLEDGER_SIGNING_KEY", secret.trim()), ("SUBLEDGER_SIGNING_KEY_FILE", "subledger.key")];
    for (variables, said) in [
        (&twice[..], "both set"),
        (&[], "SUBLEDGER_SIGNING_KEY is not set"),
        (&[("SUBLEDGER_SIGNING_KEY", "whatever")], "cannot be used"),
        (&[("SUBLEDGER_SIGNING_KEY_FILE", "nowhere")], "cannot read"),
    ] {
        let refused = with(variables, &checkpoint);
        assert_eq!(refused.status, 2, "{}", refused.err);
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
        assert!(!refused.err.contains(secret.trim()), "{}", refused.err);
    }
    #[cfg(unix)]
    for mode in [0o640, 0o604, 0o660] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = with(&[("SUBLEDGER_SIGNING_KEY_FILE", "subledger.key")], &checkpoint);
        assert_eq!(refused.status, 2, "{}", refused.err);
        let said = format!("subledger.key can be read by others (mode {mode:o})\n");
        assert!(refused.err.contains(&said), "{}", refused.err);
        assert!(refused.err.ends_with("hint: run `chmod 600 subledger.key`\n"), "{}", refused.err);
    }
    let help = with(&twice, &["serve", "--help"]);
    assert!(!help.out.contains(secret.trim()), "{}", help.out);
}
