//! Stripe's objects, one file each: the simulated state, and its rendering at an API version.
//!
//! There is one model and one renderer an object, not one template a version: a renderer writes the fields that all
//! versions share, then adds and removes fields version by version.

pub(super) mod checkout_session;
pub(super) mod customer;
pub(super) mod discount;
pub(super) mod event;
pub(super) mod features;
pub(super) mod invoice;
pub(super) mod line;
pub(super) mod money_back;
mod old;
pub(super) mod other;
pub(super) mod payment;
pub(super) mod price;
pub(super) mod product;
pub(super) mod schedule;
pub(super) mod subscription;

use super::version::ApiVersion;
use super::wire::{NULL, Object, object};

/// Object of which Stripe sends snapshots.
pub(super) trait Render {
    /// Renders the snapshot in the shape of a version.
    fn render(&self, version: ApiVersion) -> Object;
}

/// `metadata`, in the order of its keys.
pub(super) type Metadata = std::collections::BTreeMap<String, String>;

/// Metadata as JSON.
pub(super) fn render_metadata(metadata: &Metadata) -> Object {
    let mut object = Object::with_capacity(metadata.len());
    for (key, value) in metadata {
        object.set(key.clone(), value);
    }
    object
}

/// `automatic_tax` of an invoice or a session without tax.
pub(super) fn automatic_tax(version: ApiVersion) -> Object {
    let mut tax = object! { "enabled": false, "status": NULL };
    if version >= ApiVersion::Acacia {
        tax.set("liability", NULL);
    }
    if version >= ApiVersion::Basil {
        tax.set("provider", NULL);
    }
    tax
}

/// Mode and test clock of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Home {
    /// Live or test mode.
    pub(super) livemode: bool,
    /// Id of the test clock, `clock_…`.
    pub(super) test_clock: Option<String>,
}
