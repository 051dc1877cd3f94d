//! Readers of what Stripe sends: signatures, event envelopes, and objects in every shape since 2012.
//!
//! Objects are read **by shape, not by version**: each reader knows all places where a fact has been and takes
//! the first that is present. An unknown field is skipped, a missing one is `None`, and only a value of a wrong
//! type is an error. Any reference may be an id or the expanded object.
//!
//! # Where each fact is found
//!
//! The first place that is present counts. The date is that of the API version that introduced it. There is a
//! file for each object.
//!
//! | object | fact | reading order |
//! | --- | --- | --- |
//! | any | customer | `customer`, `customer_account` (2026-03-25.dahlia) |
//! | subscription | id | `id`, the customer's (until 2013 a customer had one at most) |
//! | | price | `items.data[].price` (2020-03-02), `items.data[].plan`, `plan` (until 2018 there were no items) |
//! | | quantity | `items.data[].quantity`, `quantity` |
//! | | period | `items.data[].current_period_*` (2025-03-31.basil), `current_period_*`; of several items the earliest start and the latest end |
//! | | currency | `currency` (2022-08-01), the first item's |
//! | | collection method | `collection_method` (2019-05-16), `billing` |
//! | | started | `start_date` (2019-03-14), `start` |
//! | | discounts | `discounts[]` (2024-04-10), `discount` |
//! | | schedule | `schedule` (2019-08-14); absent before, and then unknown |
//! | discount | label | `promotion_code.code` where expanded, `coupon`, `source.coupon` (2025-09-30.clover), its id (2020-08-27) |
//! | | reason of the pause | `status_details.paused.subscription.type` (2026-09-30.endive) |
//! | price | amount | in the subscription's currency from `currency_options` where embedded, else the price's own `currency` and `unit_amount` |
//! | | package | `transform_quantity` (2020-03-02), `transform_usage` of a plan |
//! | plan | name of its product | `name` (until 2018-02-05) |
//! | invoice | subscription | `parent.subscription_details.subscription` (2025-03-31.basil), `subscription`, `lines.data[].parent.subscription_item_details.subscription`, `lines.data[].subscription`, `lines.data[].id` of a line of type `subscription` |
//! | | status | `status` (2018-11-08), the meaning of `paid`, `forgiven` and `closed`; a draft was open then |
//! | | time of creation | `created` (2019-02-19), `date` |
//! | | total | `total`, `amount_paid`, `amount_due` |
//! | | paid items | the lines for items of the subscription: `lines.data[].parent.subscription_item_details` (2025-03-31.basil), a `subscription_item`, a `type` of `subscription`, or a `proration`; a line belongs to the subscription that it names |
//! | | paid at | `status_transitions.paid_at` (2019-02-19), the first event with the status `paid` |
//! | | owed from | `due_date`, `status_transitions.finalized_at` (2019-02-19) |
//! | | id | none in `invoice.upcoming`, which is a forecast |
//! | checkout.session | e-mail | `customer_details.email` (2020-08-27), `customer_email` |
//! | `subscription_schedule` | subscription | `subscription`; for the timeline also `released_subscription` |
//! | | next change | the first phase that begins when `current_phase` ends or later; behind the last one, `end_behavior` |
//! | | its items | `phases[].items[]`, `phases[].plans[]`; the price is `price`, `plan` |
//! | `entitlements.active_entitlement_summary` | feature | `lookup_key`, `feature` |
//! | objects without a customer | payment | `invoice`, `payment_intent`, `charge`, `latest_charge`, `payment.*` of an invoice payment (2025-03-31.basil) |
//!
//! *Invariant: nothing in this module does I/O, reads a clock, or knows a database or HTTP.*

pub mod checkout_session;
pub mod customer;
pub mod discount;
pub mod entitlements;
pub mod envelope;
pub mod event_types;
pub mod invoice;
pub mod json;
pub mod json_paths;
pub mod object_type;
pub mod observation;
pub mod payment;
pub mod price;
pub mod product;
pub mod routing;
pub mod signature;
pub mod subscription;
pub mod subscription_schedule;
pub mod thin;

pub use envelope::{Envelope, EnvelopeError};
pub use event_types::{USED_TYPES, is_folded};
pub use object_type::ObjectType;
pub use signature::{Binding, SignatureError, SignedWith, Verifier};
pub use thin::ThinReference;
