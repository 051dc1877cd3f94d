//! Events on their way into the log and in it, and the canonical record that a leaf of the Merkle tree commits to.

mod facts;
mod logged_event;
mod new_event;
mod record;
pub(super) mod signature;

pub(crate) use facts::reject_nul;
pub use facts::{EventFacts, EventSource, InvalidEvent};
pub use logged_event::{EventHeader, LoggedEvent};
pub(crate) use new_event::random_bytes;
pub use new_event::{ExportedFields, NewEvent};
pub use record::payload_hash;
