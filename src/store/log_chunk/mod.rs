//! Reading of the log in chunks of events, with the fields that the fold needs or with all fields.
//!
//! Transferring a row costs more than its content, so that a chunk is one row: the concatenated bodies, and the fields
//! of the events with the length of each body. This is four times as fast as one row for each event, and takes half of
//! the processor time.

pub(super) mod bodies;
pub(super) mod event_chunk;
pub(super) mod record_chunk;

pub use event_chunk::{ChunkEvent, EventChunk};
pub use record_chunk::RecordChunk;
