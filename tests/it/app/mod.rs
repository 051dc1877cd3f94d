//! The edges: HTTP as a client sees it, and the commands as a shell sees them.

mod access;
mod auth;
mod bad_input;
mod binding;
pub(crate) mod commands;
mod compare;
mod coverage;
#[cfg(unix)]
pub(crate) mod crash;
mod exchange;
mod flow;
mod imports;
mod metrics;
mod policy;
mod reads;
pub(crate) mod server;
mod run_once {
    mod backfill_output;
    mod connections;
    mod raw_http;
    mod reconcile_output;
    mod secrets;
    #[cfg(unix)]
    mod simulated_api;
    #[cfg(unix)]
    mod warnings;
}
mod shown;
mod usage;
mod user_access;
mod users;

use insta::Settings;

/// Snapshots lie at the top, named after what they show.
pub(crate) fn snapshots() -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}
