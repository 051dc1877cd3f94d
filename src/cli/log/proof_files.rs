//! Checkpoints, proofs and records of events from files, checked together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::super::report::Failure;
use super::does_not_hold;
use crate::exchange::EventRecord;
use crate::ids::{EventId, Position};
use crate::proof::{Checkpoint, ConsistencyProof, InclusionProof, ProofError, VerifierKey};
use crate::store::NewEvent;
use crate::tree::{self, Hash};

/// Content of the files that were read so far.
pub(super) struct ProofFiles<'k> {
    key: &'k VerifierKey,
    /// Checkpoints that are not part of a proof.
    checkpoints: Vec<(PathBuf, Checkpoint)>,
    inclusions: Vec<(PathBuf, InclusionProof)>,
    consistencies: Vec<(PathBuf, ConsistencyProof)>,
    records: Vec<EventInFile>,
}

/// Record of an event, as it is in a file.
struct EventInFile {
    path: PathBuf,
    /// Line at which the record begins, from 1.
    line: usize,
    position: Position,
    event_id: EventId,
    leaf: Hash,
    /// Fields that neither the leaf hash nor the payload covers.
    uncovered: Vec<String>,
}

impl<'k> ProofFiles<'k> {
    pub(super) fn new(key: &'k VerifierKey) -> Self {
        Self {
            key,
            checkpoints: Vec::new(),
            inclusions: Vec::new(),
            consistencies: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Reads a file. Its beginning tells what it contains.
    pub(super) fn add(&mut self, text: &str, path: PathBuf) -> anyhow::Result<()> {
        let refuse = |error: ProofError| does_not_hold(&path, &error);
        if InclusionProof::has_format(text) {
            let proof = InclusionProof::parse(text).map_err(refuse)?;
            self.inclusions.push((path, proof));
        } else if ConsistencyProof::has_format(text) {
            let proof = ConsistencyProof::parse(text).map_err(refuse)?;
            self.consistencies.push((path, proof));
        } else if text.trim_start().starts_with('{') {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
            let (mut offset, mut line) = (0, 1);
            while let Some(value) = values.next() {
                let value = value.map_err(|error| does_not_hold(&path, &error))?;
                let between = text[offset..].len() - text[offset..].trim_start().len();
                let breaks = |range: std::ops::Range<usize>| text[range].matches('\n').count();
                line += breaks(offset..offset + between);
                self.records.push(EventInFile::new(value.get(), (path.clone(), line))?);
                line += breaks(offset + between..values.byte_offset());
                offset = values.byte_offset();
            }
        } else {
            let checkpoint = Checkpoint::open(text, self.key).map_err(refuse)?;
            self.checkpoints.push((path, checkpoint));
        }
        Ok(())
    }

    /// Checks everything. Returns one line for each thing that holds.
    pub(super) fn check(self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut roots = Roots::default();
        for (path, checkpoint) in &self.checkpoints {
            roots.add(checkpoint, path)?;
            let (file, name) = (path.display(), self.key.name());
            lines.push(format!("{file}: {name} signed a log of {} events", checkpoint.size));
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
        self.refuse_unproven(&linked)?;
        for record in self.records.iter().filter(|it| !it.uncovered.is_empty()) {
            let fields = record.uncovered.join(", ");
            lines.push(format!("{}: no proof covers {fields}", record.place()));
        }
        Ok(lines)
    }

    /// Checks a proof with every record of its event.
    fn check_inclusion(
        &self,
        path: &Path,
        proof: &InclusionProof,
        roots: &mut Roots,
    ) -> anyhow::Result<String> {
        let mut holds = None;
        for record in self.records.iter().filter(|it| it.is_proven_by(proof)) {
            let checkpoint = proof.check(record.leaf, self.key).map_err(|error| match error {
                ProofError::WrongRoot => {
                    let message =
                        format!("the record at {} differs from the logged event", record.place());
                    does_not_hold(path, &message)
                }
                error => does_not_hold(path, &error),
            })?;
            roots.add(&checkpoint, path)?;
            let (id, at, size) = (&record.event_id, record.position, checkpoint.size);
            holds =
                Some(format!("{}: {id} is event {at} of a log of {size} events", path.display()));
        }
        holds.ok_or_else(|| {
            Failure::usage(
                format!("{} is about event number {}", path.display(), u128::from(proof.index) + 1),
                "add its record: the output of `subledger event EVT`, or its line of an export",
            )
        })
    }

    fn check_consistency(
        &self,
        path: &Path,
        proof: &ConsistencyProof,
        roots: &Roots,
    ) -> anyhow::Result<String> {
        let Some(root) = roots.get(proof.old) else {
            return Err(Failure::usage(
                format!("{} is about an older log of {} events", path.display(), proof.old),
                "add the checkpoint of that size",
            ));
        };
        let old = Checkpoint { size: proof.old, root };
        let new = proof.check(&old, self.key).map_err(|error| does_not_hold(path, &error))?;
        let (file, old, new) = (path.display(), old.size, new.size);
        Ok(format!("{file}: the log of {new} events begins with that of {old} events"))
    }

    /// Refuses records and checkpoints that no proof refers to, so that they do not appear to be checked.
    fn refuse_unproven(&self, linked: &[u64]) -> anyhow::Result<()> {
        let proven =
            |it: &EventInFile| self.inclusions.iter().any(|(_, proof)| it.is_proven_by(proof));
        if let Some(record) = self.records.iter().find(|it| !proven(it)) {
            let (place, id) = (record.place(), &record.event_id);
            let hint = format!("`subledger log prove {id}` makes a proof");
            // A proof of one record must not appear to prove the others of its file.
            if self.records.iter().any(|it| it.path == record.path && proven(it)) {
                let message =
                    format!("no proof for the record at {place}, only for others in its file");
                return Err(Failure::no(
                    message,
                    format!("{hint}; or check the proven records alone"),
                ));
            }
            return Err(Failure::usage(format!("no proof for the record at {place}"), hint));
        }
        let sizes: Vec<u64> = self.checkpoints.iter().map(|(_, it)| it.size).collect();
        let alone = sizes.iter().find(|size| !linked.contains(size));
        if let (Some(alone), Some(other)) = (alone, sizes.iter().find(|it| Some(*it) != alone)) {
            let (old, new) = (alone.min(other), alone.max(other));
            return Err(Failure::usage(
                format!("no proof that the log of {new} events begins with that of {old}"),
                format!("`subledger log consistency {old} {new}` makes a proof"),
            ));
        }
        Ok(())
    }
}

impl EventInFile {
    fn new(json: &str, (path, line): (PathBuf, usize)) -> anyhow::Result<Self> {
        let refuse = |error: &dyn std::fmt::Display| {
            does_not_hold(&path, &format!("the record at line {line}: {error}"))
        };
        // Without the position inside the record, which serde_json counts from its start.
        let not_a_record = "not a record of an event, or a field has the wrong type";
        let record: EventRecord = serde_json::from_str(json).map_err(|_| refuse(&not_a_record))?;
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(json).map_err(|_| refuse(&not_a_record))?;
        let covered = record.covered_by_proof();
        let uncovered = fields.into_keys().filter(|it| !covered.contains(&it.as_str())).collect();
        let (position, received_at) = (record.position, record.received_at);
        let event_id = record.event_id.clone();
        let (event, _): (NewEvent, _) = record.into_event().map_err(|error| refuse(&error))?;
        let leaf = event.leaf_hash(received_at);
        Ok(Self { path, line, position, event_id, leaf, uncovered })
    }

    /// True if the proof is about the event at the position of the record.
    fn is_proven_by(&self, proof: &InclusionProof) -> bool {
        i128::from(proof.index) + 1 == self.position.0.into()
    }

    fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }
}

/// Signed root of each size. Two roots of one size mean two different logs.
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
            format!("{} and {} belong to different logs", first.display(), path.display()),
            format!("the key signed two roots for {} events", checkpoint.size),
        ))
    }

    fn get(&self, size: u64) -> Option<Hash> {
        let signed = self.0.get(&size).map(|(root, _)| *root);
        signed.or_else(|| (size == 0).then(|| tree::combine(&[])))
    }
}
