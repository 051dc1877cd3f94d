//! Stripe's objects: one file each, with what the simulator knows of the object and how it is
//! rendered at an API version.
//!
//! There is one model and one renderer an object, not a template a version: a renderer writes what
//! all versions share and then says, version by version, what came and what went.

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

/// An object that Stripe sends snapshots of.
pub(super) trait Render {
    /// The snapshot, in the shape of this version.
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

/// `automatic_tax` of an invoice or a session, where no tax is reckoned.
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

/// Where an object lives, and who moves its time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Home {
    /// Live or test mode.
    pub(super) livemode: bool,
    /// The test clock, `clock_…`.
    pub(super) test_clock: Option<String>,
}
