//! Result of an inspection.

/// Result of an inspection, for people. It has no data of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Faults that were found.
    pub findings: Vec<String>,
    /// Checks that were not possible, and what was done instead.
    pub notes: Vec<String>,
}

impl Inspection {
    pub(super) fn add_finding(&mut self, finding: String) {
        self.findings.push(finding);
    }

    pub(super) fn add_note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
