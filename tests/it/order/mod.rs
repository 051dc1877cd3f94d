//! Failures of other programs with events in a bad order, each as a case that must not fail
//! here: in every order of arrival the row is the same and right.
//!
//! The cases that every ledger of subscriptions should be tried with, and where each is tried:
//!
//! 1. `created` and `updated` of one second, swapped:
//!    - `order::run_once::seconds::created_after_updated_in_one_second_does_not_put_a_paid_subscription_back`
//!    - `order::run_once::deliveries`
//! 2. `trial_will_end` with `updated`:
//!    - `order::run_once::seconds::trial_will_end_and_updated_of_one_second_are_told_apart_by_what_changed`
//! 3. `updated`, `invoice.paid` and a checkout after `deleted`, and a new id that activates:
//!    - `order::run_once::endings::nothing_that_arrives_late_revives_a_subscription_that_ended`
//!    - `order::run_once::endings::a_new_subscription_is_active_beside_the_one_that_ended`
//! 4. the same id twice at once:
//!    - `order::server::one_event_that_is_delivered_many_times_at_once_is_one_row_and_always_answered_200`
//! 5. several v1 signatures in any order, with several secrets:
//!    - `stripe::signature::tests::any_v1_counts_for_any_secret_in_any_order`
//! 6. v0 alone:
//!    - `stripe::signature::tests::every_known_form_of_the_header_is_judged_as_it_must_be`
//! 7. a body whose keys were put into another order:
//!    - `stripe::signature::tests::an_event_written_anew_by_a_framework_does_not_match`
//! 8. an Acacia and a Dahlia body of one subscription:
//!    - `order::run_once::shapes::one_subscription_at_two_api_versions_gives_one_row`
//!    - `order::run_once::seconds::the_chain_holds_where_two_endpoints_render_one_second_at_two_versions`
//! 9. a cancellation at the Portal in flexible mode:
//!    - `order::run_once::shapes::a_portal_cancellation_in_flexible_mode_says_when_it_ends`
//! 10. `pause_collection` by policy:
//!    - `order::run_once::shapes::a_pause_of_collection_leaves_the_status_and_does_what_the_policy_says`
//!    - `projection::entitlement::tests::a_pause_of_collection_does_what_the_policy_says`
//! 11. two items with different intervals:
//!    - `order::run_once::shapes::of_two_items_with_different_intervals_a_cancellation_waits_for_the_earliest`
//! 12. `invoice.upcoming` without an id:
//!    - `order::run_once::shapes::an_upcoming_invoice_without_an_id_changes_no_row`
//! 13. an unknown type, status or field:
//!    - `order::run_once::shapes::an_unknown_type_status_or_field_is_kept_and_refuses_nothing`
//! 14. `customer.deleted`:
//!    - `order::run_once::endings::a_deleted_customer_ends_its_subscriptions_until_their_own_word_says_better`
//! 15. test and live with the same ids:
//!    - `order::run_once::scopes::test_and_live_with_the_same_ids_are_two_subscriptions`
//!    - `app::reads::modes_and_accounts_do_not_leak`
//! 16. two accounts in one database:
//!    - `order::run_once::scopes::two_accounts_in_one_database_are_two_subscriptions`
//!    - `store::log::an_id_is_one_event_in_each_account_and_mode`
//! 17. any permutation and any rebuild:
//!    - `order::run_once::laws`
//!    - `order::run_once::rivals`
//!    - `order::histories`
//!    - `order::run_once::recorded`
//!    - `run_once::fold::any_permutation_and_duplication_gives_the_same_rows_and_the_truth`
//!    - `ledger::live_folding_in_a_bad_order_and_a_rebuild_give_the_truth`
//! 18. SIGKILL between commit and answer, then the delivery again:
//!    - `app::crash::after_kill_9_under_load_every_acknowledged_event_is_there_once`
//!    - `order::server::an_event_that_was_committed_and_never_answered_is_known_when_it_comes_again`
//! 19. the database locked or gone:
//!    - `app::flow::an_event_that_cannot_be_committed_is_answered_503_and_asked_for_again`
//!    - `store::sqlite_only::log_faults::a_locked_log_is_unavailable_and_works_again_when_the_lock_is_gone`
//!    - `store::sqlite_only::log_faults::a_failure_in_the_middle_of_a_batch_leaves_nothing_of_it`
//! 20. a fold that fails:
//!    - `order::server::an_event_whose_fold_failed_is_answered_200_and_folded_by_the_next_rebuild`
//!    - `ledger::an_event_that_cannot_be_folded_is_parked_and_the_others_go_on`

mod run_once {
    mod came_back;
    mod chains;
    mod deliveries;
    mod endings;
    mod in_doubt;
    mod laws;
    mod observed;
    mod recorded;
    mod renamed;
    mod rivals;
    mod scopes;
    mod seconds;
    mod shapes;
    mod to_and_fro;
    mod together;
}
mod any_order;
mod bodies;
mod dice;
mod histories;
mod server;
mod told;

pub(crate) use any_order::{permute, rows_by, rows_of};
pub(crate) use dice::Dice;
pub(crate) use told::{Observed, States, apply_all, tell_all};
