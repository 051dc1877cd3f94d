//! What a few files say together about a log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::report::Failure;
use super::does_not_hold;
use crate::exchange::EventRecord;
use crate::proof::{Checkpoint, ConsistencyProof, InclusionProof, ProofError, VerifierKey};
use crate::store::NewEvent;
use crate::tree::{self, Hash};

/// The files so far.
pub(super) struct Checked<'k> {
    key: &'k VerifierKey,
    /// Checkpoints in files of their own.
    checkpoints: Vec<(PathBuf, Checkpoint)>,
    inclusions: Vec<(PathBuf, InclusionProof)>,
    consistencies: Vec<(PathBuf, ConsistencyProof)>,
    records: Vec<Record>,
}

/// An event as somebody shows it.
struct Record {
    path: PathBuf,
    position: i64,
    event_id: String,
    leaf: Hash,
}

impl<'k> Checked<'k> {
    pub(super) fn new(key: &'k VerifierKey) -> Self {
        Self {
            key,
            checkpoints: Vec::new(),
            inclusions: Vec::new(),
            consistencies: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Reads a file as what it begins like.
    pub(super) fn add(&mut self, text: &str, path: PathBuf) -> anyhow::Result<()> {
        let refuse = |error: ProofError| does_not_hold(&path, &error);
        if InclusionProof::is_in(text) {
            let proof = InclusionProof::parse(text).map_err(refuse)?;
            self.inclusions.push((path, proof));
        } else if ConsistencyProof::is_in(text) {
            let proof = ConsistencyProof::parse(text).map_err(refuse)?;
            self.consistencies.push((path, proof));
        } else if text.trim_start().starts_with('{') {
            for record in serde_json::Deserializer::from_str(text).into_iter::<EventRecord>() {
                let record = record.map_err(|error| does_not_hold(&path, &error))?;
                self.records.push(Record::new(record, path.clone())?);
            }
        } else {
            let checkpoint = Checkpoint::open(text, self.key).map_err(refuse)?;
            self.checkpoints.push((path, checkpoint));
        }
        Ok(())
    }

    /// Checks all of it: what holds, line by line.
    pub(super) fn finish(self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut roots = Roots::default();
        for (path, checkpoint) in &self.checkpoints {
            roots.add(checkpoint, path)?;
            let (file, name) = (path.display(), self.key.name());
            lines.push(format!("{file}: {name} has signed a log of {} events", checkpoint.size));
        }
        for (path, proof) in &self.inclusions {
            lines.push(self.check_inclusion(path, proof, &mut roots)?);
        }
        let mut linked = Vec::new();
        for (path, proof) in &self.consistencies {
            let new = Checkpoint::open(&proof.checkpoint, self.key);
            let new = new.map_err(|error| does_not_hold(path, &error))?;
            roots.add(&new, path)?;
            linked.extend([proof.old, new.size]);
        }
        for (path, proof) in &self.consistencies {
            lines.push(self.check_consistency(path, proof, &roots)?);
        }
        self.refuse_what_nothing_is_said_of(&linked)?;
        Ok(lines)
    }

    fn check_inclusion(
        &self,
        path: &Path,
        proof: &InclusionProof,
        roots: &mut Roots,
    ) -> anyhow::Result<String> {
        let position = i64::try_from(proof.index).ok().and_then(|index| index.checked_add(1));
        let Some(record) = self.records.iter().find(|it| Some(it.position) == position) else {
            return Err(Failure::usage(
                format!("{} is about event number {}", path.display(), u128::from(proof.index) + 1),
                "give its record as well: what `subledger event EVT` shows, or its line of an export",
            ));
        };
        let checkpoint = proof.check(record.leaf, self.key).map_err(|error| match error {
            ProofError::WrongRoot => {
                let message =
                    format!("the record in {} is not the logged one", record.path.display());
                does_not_hold(path, &message)
            }
            error => does_not_hold(path, &error),
        })?;
        roots.add(&checkpoint, path)?;
        let (id, at, size) = (&record.event_id, record.position, checkpoint.size);
        Ok(format!("{}: {id} is event {at} of a log of {size} events", path.display()))
    }

    fn check_consistency(
        &self,
        path: &Path,
        proof: &ConsistencyProof,
        roots: &Roots,
    ) -> anyhow::Result<String> {
        let Some(root) = roots.of(proof.old) else {
            return Err(Failure::usage(
                format!("{} is about an older log of {} events", path.display(), proof.old),
                "give the checkpoint of that size as well",
            ));
        };
        let old = Checkpoint { size: proof.old, root };
        let new = proof.check(&old, self.key).map_err(|error| does_not_hold(path, &error))?;
        let (file, old, new) = (path.display(), old.size, new.size);
        Ok(format!("{file}: the log of {new} events begins with that of {old} events"))
    }

    /// A file that was given and shows nothing must not look as if it did.
    fn refuse_what_nothing_is_said_of(&self, linked: &[u64]) -> anyhow::Result<()> {
        let proven = |it: &&Record| {
            self.inclusions
                .iter()
                .any(|(_, proof)| i128::from(proof.index) + 1 == it.position.into())
        };
        let unproven = self
            .records
            .iter()
            .find(|it| !self.records.iter().filter(proven).any(|other| other.path == it.path));
        if let Some(record) = unproven {
            return Err(Failure::usage(
                format!("nothing here proves the record in {}", record.path.display()),
                format!("`subledger log prove {}` makes a proof", record.event_id),
            ));
        }
        let sizes: Vec<u64> = self.checkpoints.iter().map(|(_, it)| it.size).collect();
        let alone = sizes.iter().find(|size| !linked.contains(size));
        if let (Some(alone), Some(other)) = (alone, sizes.iter().find(|it| Some(*it) != alone)) {
            let (old, new) = (alone.min(other), alone.max(other));
            return Err(Failure::usage(
                format!(
                    "nothing here shows that the log of {new} events begins with that of {old}"
                ),
                format!("`subledger log consistency {old} {new}` makes a proof"),
            ));
        }
        Ok(())
    }
}

impl Record {
    fn new(record: EventRecord, path: PathBuf) -> anyhow::Result<Self> {
        let (position, received_at) = (record.position.0, record.received_at);
        let event_id = record.event_id.to_string();
        let (event, _): (NewEvent, _) =
            record.into_event().map_err(|error| does_not_hold(&path, &error))?;
        Ok(Self { path, position, event_id, leaf: event.leaf_hash(received_at) })
    }
}

/// The root at each size that was signed: there is one, or there are two logs.
#[derive(Default)]
struct Roots(BTreeMap<u64, (Hash, PathBuf)>);

impl Roots {
    fn add(&mut self, checkpoint: &Checkpoint, path: &Path) -> anyhow::Result<()> {
        let signed = || (checkpoint.root, path.to_owned());
        let (root, first) = self.0.entry(checkpoint.size).or_insert_with(signed);
        if *root == checkpoint.root {
            return Ok(());
        }
        Err(Failure::no(
            format!("{} and {} are of two different logs", first.display(), path.display()),
            format!("the key has signed two roots for {} events", checkpoint.size),
        ))
    }

    fn of(&self, size: u64) -> Option<Hash> {
        let signed = self.0.get(&size).map(|(root, _)| *root);
        signed.or_else(|| (size == 0).then(|| tree::join(&[])))
    }
}
