//! What Stripe says and how it says it: signatures, the event envelope, and the shapes that its
//! objects have had through the years.
//!
//! Objects are read **by shape, not by version**: each reader knows every place where a fact has
//! lived and takes the first that is there. An unknown field is skipped, a missing one is `None`,
//! and only a value of an impossible type is an error.
//!
//! *Invariant: nothing in this room does I/O, reads a clock, or knows a database or HTTP.*

pub mod checkout_session;
pub mod customer;
pub mod entitlements;
pub mod envelope;
pub mod invoice;
pub mod json;
pub mod price;
pub mod product;
pub mod routing;
pub mod signature;
pub mod subscription;
pub mod subscription_schedule;

pub use envelope::{Envelope, EnvelopeError};
pub use signature::{SignatureError, Verifier};
