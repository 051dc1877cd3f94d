//! Merge of runs: the customers of all runs and of memory, in the order of their keys, each once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::iter::Peekable;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Spill;
use super::error::SpillFailure;
use super::record::{self, Part, StatelessRows};
use crate::ids::CustomerKey;
use crate::projection::customers::FoldedCustomer;
use crate::store::StoreError;

/// Buffer of one run, in bytes.
const BUFFER_BYTES_MIN: usize = 4 << 10;
const BUFFER_BYTES_MAX: usize = 256 << 10;

/// Memory of a state for each byte of its stored form, in bytes.
const MEMORY_PER_STORED_BYTE: usize = 5;

/// Merge of runs, which yields customers in the order of their keys.
#[derive(Debug)]
pub(in crate::projector) struct Merge {
    directory: Arc<Path>,
    runs: Vec<Run>,
    /// Next key of each run that is not at its end, and the run's number.
    next: BinaryHeap<Reverse<(CustomerKey, usize)>>,
    /// Customers in memory.
    rest: Peekable<std::vec::IntoIter<FoldedCustomer<StatelessRows>>>,
}

/// Customer whose partial states are still to be joined.
#[derive(Debug)]
pub(in crate::projector) struct Merged {
    folded: FoldedCustomer<StatelessRows>,
    parts: Vec<Part>,
    directory: Arc<Path>,
}

/// Run that is being read.
#[derive(Debug)]
struct Run {
    reader: BufReader<Section>,
    /// Partial state of the run's next key.
    part: Option<Part>,
}

/// Section of a file that several readers share. They read one after the other.
#[derive(Debug)]
struct Section {
    file: Arc<File>,
    left: Range<u64>,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        (&*self.file).seek(SeekFrom::Start(self.left.start))?;
        let read = (&*self.file).read(&mut buffer[..length])?;
        self.left.start += read as u64;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

impl Run {
    /// Reads the next record, and returns its key. None at the end.
    fn advance(&mut self) -> Result<Option<CustomerKey>, SpillFailure> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let record = record::read(&mut self.reader)?;
        self.part = Some(record.part);
        Ok(Some(record.key))
    }
}

impl Merge {
    pub(super) fn new(
        spill: Spill,
        rest: Vec<FoldedCustomer<StatelessRows>>,
        buffer_bytes: usize,
    ) -> Result<Self, StoreError> {
        let Spill { directory, file, runs: places } = spill;
        let buffer = buffer_bytes / places.len().max(1);
        let buffer = buffer.clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        let runs = file.iter().flat_map(|file| {
            places.iter().map(|place| {
                let section = Section { file: Arc::clone(file), left: place.clone() };
                Run { reader: BufReader::with_capacity(buffer, section), part: None }
            })
        });
        let mut merge = Self {
            directory: directory.into(),
            runs: runs.collect(),
            next: BinaryHeap::new(),
            rest: rest.into_iter().peekable(),
        };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    /// Merge of customers in memory alone, which are in the order of their keys.
    pub(in crate::projector) fn of_memory(rest: Vec<FoldedCustomer<StatelessRows>>) -> Self {
        Self {
            directory: PathBuf::new().into(),
            runs: Vec::new(),
            next: BinaryHeap::new(),
            rest: rest.into_iter().peekable(),
        }
    }

    fn advance(&mut self, run: usize) -> Result<(), StoreError> {
        let next = self.runs[run].advance();
        let next = next.map_err(|failure| failure.into_store_error(&self.directory))?;
        self.next.extend(next.map(|key| Reverse((key, run))));
        Ok(())
    }

    /// Next customer. None at the end.
    fn next(&mut self) -> Result<Option<Merged>, StoreError> {
        let of_runs = self.next.peek().map(|Reverse((key, _))| key);
        let of_memory = self.rest.peek().map(|customer| &customer.key);
        let Some(key) = of_runs.into_iter().chain(of_memory).min().cloned() else {
            return Ok(None);
        };
        let in_memory = self.rest.next_if(|customer| customer.key == key);
        let mut parts = Vec::new();
        while let Some(run) = self.run_at(&key) {
            parts.extend(self.runs[run].part.take());
            self.next.pop();
            self.advance(run)?;
        }
        let nothing = || FoldedCustomer::new(key, None, StatelessRows::default());
        let folded = in_memory.unwrap_or_else(nothing);
        Ok(Some(Merged { folded, parts, directory: Arc::clone(&self.directory) }))
    }

    /// Run whose next key is this one.
    fn run_at(&self, key: &CustomerKey) -> Option<usize> {
        self.next.peek().filter(|Reverse((next, _))| next == key).map(|Reverse((_, run))| *run)
    }

    /// Next customers: at most so many, and fewer if they are large. None at the end.
    pub(in crate::projector) fn next_piece(
        &mut self,
        Pieces { customers, bytes }: Pieces,
    ) -> Result<Option<Vec<Merged>>, StoreError> {
        let (mut piece, mut size) = (Vec::new(), 0);
        while piece.len() < customers && size < bytes {
            let Some(customer) = self.next()? else { break };
            size += customer.memory_bytes();
            piece.push(customer);
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// Greatest piece of a merge.
#[derive(Clone, Copy, Debug)]
pub(in crate::projector) struct Pieces {
    /// Number of customers.
    pub(in crate::projector) customers: usize,
    /// Estimated memory, in bytes. The last customer may exceed it.
    pub(in crate::projector) bytes: usize,
}

impl Merged {
    /// Estimated memory, in bytes, once it is joined.
    fn memory_bytes(&self) -> usize {
        let parts = self.parts.iter().map(Part::bytes).sum::<usize>();
        self.folded.memory_bytes() + parts * MEMORY_PER_STORED_BYTE
    }

    /// Joins the partial states.
    pub(in crate::projector) fn join(self) -> Result<FoldedCustomer<StatelessRows>, StoreError> {
        let Self { mut folded, parts, directory } = self;
        for part in parts {
            let part = part.decode().map_err(|failure| failure.into_store_error(&directory));
            let (state, rows) = part?;
            folded.extra.join(rows);
            match (&mut folded.state, state) {
                (Some(present), Some(state)) => present.join(state),
                (place @ None, state) => *place = state,
                (Some(_), None) => {}
            }
        }
        Ok(folded)
    }
}
