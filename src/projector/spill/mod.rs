//! Spill: folded customers in a temporary file, while memory is over its limit.
//!
//! Each time the customers in memory are written as a **run**, in the order of their keys, and folding starts anew with
//! none. At the end a [`Merge`] of the runs joins the partial states of each customer. Joining is commutative, so it does
//! not matter where the log was cut.
//!
//! The file has no name as soon as it is open, so a process that is killed leaves none behind.

mod error;
mod merge;
mod record;

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) use merge::{Merge, Merged, Pieces};
pub(super) use record::{StatelessRows, TimelineEvent};

use crate::projection::customers::FoldedCustomer;
use crate::store::StoreError;
use error::SpillFailure;

/// Buffer of a run that is written, in bytes.
const WRITE_BUFFER_BYTES: usize = 256 << 10;

/// Temporary file with runs.
#[derive(Debug)]
pub(super) struct Spill {
    directory: PathBuf,
    /// None before the first run.
    file: Option<Arc<File>>,
    /// Place of each run.
    runs: Vec<Range<u64>>,
}

impl Spill {
    /// Starts without a file.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, file: None, runs: Vec::new() }
    }

    /// Writes customers, which are in the order of their keys.
    pub(super) fn write_run(
        &mut self,
        customers: impl IntoIterator<Item = FoldedCustomer<StatelessRows>>,
    ) -> Result<(), StoreError> {
        let directory = self.directory.clone();
        self.try_write(customers).map_err(|failure| failure.into_store_error(&directory))
    }

    fn try_write(
        &mut self,
        customers: impl IntoIterator<Item = FoldedCustomer<StatelessRows>>,
    ) -> Result<(), SpillFailure> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::new(tempfile::tempfile_in(&self.directory)?),
        };
        self.file = Some(Arc::clone(&file));
        let start = self.runs.last().map_or(0, |run| run.end);
        (&*file).seek(SeekFrom::Start(start))?;
        let (mut writer, mut end) = (BufWriter::with_capacity(WRITE_BUFFER_BYTES, &*file), start);
        for customer in customers {
            end += record::write(customer, &mut writer)?;
        }
        writer.flush()?;
        self.runs.push(start..end);
        Ok(())
    }

    /// Number of runs.
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Size of the file, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end)
    }

    /// Merges the runs with the customers that are still in memory, which are in the order of their keys. `buffer_bytes`
    /// is the size of all buffers.
    pub(super) fn merge(
        self,
        rest: Vec<FoldedCustomer<StatelessRows>>,
        buffer_bytes: usize,
    ) -> Result<Merge, StoreError> {
        Merge::new(self, rest, buffer_bytes)
    }
}

#[cfg(test)]
mod tests;
