//! Backfill: reads what Stripe's API shows, and appends what the log does not say.
//!
//! Two kinds of evidence are appended, both with the source `api`. *Events* of the last 30 days are the same events as
//! those of webhooks. *Observations* are objects as the API showed them; one is appended only if it says something that
//! the folded state of its customer does not say. So a second backfill appends nothing, and neither does one that was
//! interrupted and goes on: it continues each list behind the last page that was appended.
//!
//! | module | contents |
//! | --- | --- |
//! | `account_check` | whether the key belongs to the account of the ledger |
//! | `step` | the lists, in the order in which they are read |
//! | `listed_events` | events of a page, compared with the log |
//! | `candidate` | objects of a page as observations before they are appended |
//! | `compare` | comparison with the read model |
//! | `covered` | coverage that a complete run leaves |
//! | `entitlements` | features of customers, which no list shows for all of them |
//! | `estimate` | sizes of the lists, for `--dry-run` and the time that is left |
//! | `fold_wait` | wait until the read model has folded the log |
//! | `reader` | pages of the lists, which become candidates |
//! | `sink` | the consumer of candidates: it appends them, or collects what differs |
//! | `run` | the steps, one after the other |
//! | `remaining` | subscriptions that no list has shown |
//! | `thin` | what thin events name |

mod account_check;
mod candidate;
mod compare;
mod covered;
mod entitlements;
mod error;
mod estimate;
mod fold_wait;
mod listed_events;
mod reader;
mod remaining;
mod run;
mod sink;
mod step;
mod thin;

pub(crate) use candidate::Candidate;
pub(crate) use compare::{Compared, compare, states_of};
pub use entitlements::uses_entitlements;
pub use error::BackfillError;
pub use estimate::{Estimate, estimate};
pub use fold_wait::FoldWait;
pub use listed_events::{KnownListed, ListedEvents};
pub(crate) use reader::{Extent, Reader};
pub use run::{Backfill, BackfillOptions};
pub(crate) use sink::{Appender, Sink};
pub use step::{List, Step};
pub use thin::{
    ROUND_EVENTS_MAX, ThinCounts, ThinOutcome, ThinStatus, fetch_thin_events, mark_known_twins,
    note_thin_events, waiting_reason, watch_thin_events,
};
