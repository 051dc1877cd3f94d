//! Thin events: what they name is fetched from Stripe's API.
//!
//! A thin event names the event with the snapshot, and its object. The event is fetched first, because it has the
//! object as it was at that instant. Where Stripe no longer has it (after 30 days), the object is observed as it is
//! now. What was fetched is noted beside the log; the rows follow from the log alone.
//!
//! | module | contents |
//! | --- | --- |
//! | `find` | notes the thin events of the log, and those whose twin with the snapshot is in the log already |
//! | `fetch` | one round: events first, then objects |
//! | `outcome` | outcome of a round |
//! | `request` | requests for events and objects, some at once |
//! | `watch` | counts and fetches what waits, while the service runs |

mod fetch;
mod find;
mod outcome;
mod request;
mod watch;

pub use fetch::{ROUND_EVENTS_MAX, fetch_thin_events};
pub use find::{mark_known_twins, note_thin_events};
pub use outcome::ThinOutcome;
pub use watch::{ThinCounts, ThinStatus, waiting_reason, watch_thin_events};
