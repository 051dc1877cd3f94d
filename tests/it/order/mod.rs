//! What went wrong elsewhere when events came in a bad order, each as a case that must not go wrong
//! here: in every order of arrival the row is the same and right.
//!
//! The cases that any ledger of subscriptions should be tried with, and where each is:
//!
//! | case | test |
//! | --- | --- |
//! | `created` and `updated` of one second, swapped | [`seconds`]`::created_after_updated_…`, [`deliveries`] |
//! | `trial_will_end` with `updated` | [`seconds`]`::trial_will_end_and_updated_…` |
//! | `updated`, `invoice.paid` and a checkout after `deleted`; a new id that activates | [`endings`] |
//! | the same id twice at once | [`server`]`::one_event_that_is_delivered_many_times_at_once_…` |
//! | several v1 signatures in any order, several secrets | `stripe::signature::tests::any_v1_counts_…` |
//! | v0 alone | `stripe::signature::tests::every_known_form_…` |
//! | a body whose keys were put into another order | `stripe::signature::tests::an_event_written_anew_…` |
//! | an Acacia and a Dahlia body of one subscription | [`shapes`]`::one_subscription_at_two_…` |
//! | a cancellation at the Portal in flexible mode | [`shapes`]`::a_portal_cancellation_…` |
//! | `pause_collection` by policy | [`shapes`]`::a_pause_of_collection_…`, `projection::entitlement::tests` |
//! | two items with different intervals | [`shapes`]`::of_two_items_…` |
//! | `invoice.upcoming` without an id | [`shapes`]`::an_upcoming_invoice_…` |
//! | an unknown type, status or field | [`shapes`]`::an_unknown_type_…` |
//! | `customer.deleted` | [`endings`]`::a_deleted_customer_…` |
//! | test and live with the same ids | [`scopes`]`::test_and_live_…`, `app::reads::modes_and_accounts_do_not_leak` |
//! | two accounts in one database | [`scopes`]`::two_accounts_…`, `store::log::an_id_is_one_event_…` |
//! | any permutation and any rebuild | [`laws`], `fold::any_permutation_…`, `ledger::live_folding_…` |
//! | SIGKILL between commit and answer, then redelivery | `app::crash::after_kill_9_…` |
//! | the database locked or gone | `app::flow::an_event_that_cannot_be_committed_…`, `store::log_faults` |
//! | a fold that fails | [`server`]`::an_event_whose_fold_failed_…`, `ledger::an_event_that_cannot_be_folded_…` |

mod any_order;
mod bodies;
mod chains;
mod deliveries;
mod dice;
mod endings;
mod histories;
mod laws;
mod recorded;
mod rivals;
mod scopes;
mod seconds;
mod server;
mod shapes;
mod to_and_fro;
mod told;

pub(crate) use any_order::rows_of;
pub(crate) use dice::Dice;
pub(crate) use told::{States, tell_all};
