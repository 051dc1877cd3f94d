//! Sync: keeps the log complete while the service runs, by listing the events of Stripe's API.
//!
//! Every five minutes all events are listed that are not covered yet, and the ten minutes before them once more,
//! because the list is eventually consistent. Events that the log has are skipped by their ids. The others were not
//! delivered by a webhook: they are appended with the source `api`, and counted as missed deliveries once they are two
//! minutes old. What a window has covered is recorded before the next one is read, so a sync that is killed goes on
//! where it was.
//!
//! Only events of [used](crate::stripe::is_used) types are appended. An endpoint need not send the others.
//!
//! A failing sync stops nothing else. It is recorded, shown by health and metrics, and tried again.
//!
//! | module | contents |
//! | --- | --- |
//! | `window` | spans of the list that a sync reads |
//! | `missed` | count of the events that no webhook delivered |
//! | `scope_sync` | sync of one account and mode |
//! | `endpoints` | webhook endpoints as they are recorded |
//! | `options` | options |
//! | `status` | status for health and metrics |
//! | `task` | task of the service |

mod endpoints;
mod missed;
mod options;
mod scope_sync;
mod status;
mod task;
mod window;

pub use endpoints::SeenEndpoint;
pub use options::SyncOptions;
pub use scope_sync::{ScopeSync, SyncError, Synced};
pub use status::{SyncHandle, SyncStatus};
pub use task::start;
