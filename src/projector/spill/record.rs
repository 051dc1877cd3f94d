//! Record of one customer: its length, its checksum, and its key, rows and partial state as postcard.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::error::SpillFailure;
use crate::ids::{CustomerKey, Position, SubscriptionId};
use crate::projection::customers::FoldedCustomer;
use crate::projection::state::CustomerState;
use crate::projection::user_candidate::UserCandidate;
use crate::time::StripeTime;

/// Length and checksum before each record, in bytes.
const HEADER_BYTES: u64 = 8;

/// Rows of one customer that are not a function of the state.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::projector) struct StatelessRows {
    pub(in crate::projector) timeline: Vec<TimelineEvent>,
    /// Values by which events may name its user.
    pub(in crate::projector) candidates: BTreeSet<UserCandidate>,
}

/// Event on the timeline of a customer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::projector) struct TimelineEvent {
    pub(in crate::projector) subscription: Option<SubscriptionId>,
    pub(in crate::projector) position: Position,
    pub(in crate::projector) created: StripeTime,
}

impl StatelessRows {
    /// Joins the rows of other events in.
    pub(super) fn join(&mut self, Self { timeline, candidates }: Self) {
        self.timeline.extend(timeline);
        self.candidates.extend(candidates);
    }
}

/// Record that was read, of which only the key is decoded.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: CustomerKey,
    pub(super) part: Part,
}

/// Partial state and rows of one customer, encoded.
#[derive(Debug)]
pub(super) struct Part {
    bytes: Vec<u8>,
    /// Number of bytes of the key, which is before them.
    key_bytes: usize,
}

impl Part {
    /// Size, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn decode(&self) -> Result<(Option<CustomerState>, StatelessRows), SpillFailure> {
        postcard::from_bytes(&self.bytes[self.key_bytes..]).map_err(|_| unreadable())
    }
}

/// Writes a customer, unless nothing is known of it. Returns the number of bytes.
pub(super) fn write(
    customer: FoldedCustomer<StatelessRows>,
    to: &mut impl Write,
) -> Result<u64, SpillFailure> {
    let FoldedCustomer { key, mut state, extra, .. } = customer;
    if state.is_none() && extra == StatelessRows::default() {
        return Ok(0);
    }
    // Encoding would compute the digests and drop them.
    state.iter_mut().for_each(CustomerState::materialize);
    let record = postcard::to_allocvec(&(&key, &state, &extra));
    let record = record.map_err(|_| io::Error::other("a state cannot be encoded"))?;
    let length = u32::try_from(record.len());
    let length = length.map_err(|_| io::Error::other("a customer has more than 4 GiB"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&checksum(&record).to_le_bytes())?;
    to.write_all(&record)?;
    Ok(HEADER_BYTES + u64::from(length))
}

/// Reads the next record.
pub(super) fn read(from: &mut impl Read) -> Result<Record, SpillFailure> {
    let (mut length, mut sum) = ([0; 4], [0; 4]);
    from.read_exact(&mut length)?;
    from.read_exact(&mut sum)?;
    let length = u32::from_le_bytes(length);
    // The length may be damaged, so nothing of that size is allocated beforehand.
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    if checksum(&bytes) != u32::from_le_bytes(sum) {
        return Err(SpillFailure::Damaged("a checksum does not match"));
    }
    let (key, rest) = postcard::take_from_bytes(&bytes).map_err(|_| unreadable())?;
    let key_bytes = bytes.len() - rest.len();
    Ok(Record { key, part: Part { bytes, key_bytes } })
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn unreadable() -> SpillFailure {
    SpillFailure::Damaged("a record cannot be decoded")
}
