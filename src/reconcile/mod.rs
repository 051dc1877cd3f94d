//! Reconciliation: Stripe's current state against the ledger's, each difference with its class and reason.
//!
//! The API's lists are read as a [backfill](crate::backfill) reads them. What says something new is collected by
//! customer instead of appended. Then the rows of each of these customers are computed twice: from the state of the
//! ledger, and from that state with everything that was found. Where they differ, a [class](classify) says why. The
//! counterfactual decides about missed deliveries: their events alone must explain the difference, or a part of it.
//!
//! Healing appends what was found, as a backfill does. No row is ever edited.
//!
//! | module | contents |
//! | --- | --- |
//! | `class`, `classify`, `evidence` | classes of differences, and their precedence |
//! | `fields` | fields of two rows that differ |
//! | `amount` | recurring amount of a subscription for a month |
//! | `report` | report of a reconciliation |
//! | `collector`, `found` | what the API shows and the ledger does not say |
//! | `held` | events of the log whose content is not in the read model |
//! | `judge` | differences of one customer |
//! | `run` | reading, judging and healing |

mod amount;
mod class;
mod classify;
mod collector;
mod daily;
mod evidence;
mod fields;
mod found;
mod held;
mod judge;
mod report;
mod run;

pub use amount::MonthlyAmount;
pub use class::Class;
pub use classify::{Verdict, YOUNG_SECONDS, classify};
pub use daily::{CHECK_EVERY, start_daily};
pub use evidence::{Evidence, Explained, HeldEvent, ListedEvent};
pub use fields::{FieldDifference, HIDDEN};
pub use report::{Difference, Healing, Report, STORED_DIFFERENCES_MAX};
pub use run::{OnProgress, Options, Progress, reconcile};
