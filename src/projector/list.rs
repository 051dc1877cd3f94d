//! List of the generations, for the API and the command line.

use std::time::Duration;

use serde::Serialize;

use super::generation::logic_of;
use super::lease_watch::seems_held;
use super::progress::{BuildProgress, RebuildStatus};
use super::rebuild::can_fold;
use super::status::ProjectorHandle;
use crate::ids::{CustomerId, EventId, Position};
use crate::projection::Logic;
use crate::projection::policy::RuleChange;
use crate::store::{
    Generation, GenerationId, GenerationStatus, Parked, ParkedCustomer, Store, StoreError,
};
use crate::time::ReceivedAt;

/// Number of parked events in the list, at most.
const PARKED_MAX: usize = 100;

/// All generations, and the parked events of the live one.
#[derive(Debug, Serialize)]
pub struct Projections {
    /// The generations, the oldest first.
    pub data: Vec<GenerationView>,
    /// The first of the parked events.
    pub parked: Vec<ParkedView>,
    /// The first of the customers whose rows cannot be made in one read model.
    pub parked_customers: Vec<ParkedCustomerView>,
}

/// Generation in the list.
#[derive(Debug, Serialize)]
pub struct GenerationView {
    /// Number of the generation.
    pub generation: GenerationId,
    /// `live`, `building`, `previous`, or `frozen`: live, and built with logic that this program does not have.
    pub status: &'static str,
    /// True if a person activated it, so that newer logic does not replace it automatically.
    pub pinned: bool,
    /// Fingerprint of its logic.
    pub fingerprint: String,
    /// Position of the last folded event.
    pub position: Position,
    /// Number of events after that one.
    pub lag_events: i64,
    /// Time for which the first of them has been waiting.
    pub lag_seconds: f64,
    /// Number of parked events.
    pub parked: i64,
    /// Number of customers whose rows cannot be made, once for each read model.
    pub parked_customers: i64,
    /// Its read models.
    pub read_models: Vec<ReadModelView>,
    /// Text of its policy.
    pub policy: String,
    /// Its metadata keys that hold the id of a user; the first that has a value counts.
    pub user_keys: Vec<String>,
    /// Rules that differ from the built-in policy and the default user key; none if this program cannot read the
    /// policy.
    pub rule_changes: Option<Vec<RuleChange>>,
    /// True if it was built with the policy and the user keys that this process was started with; none for a process
    /// that does not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured: Option<bool>,
    /// Status of the rebuild that builds it; none if no process does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildStatus>,
}

/// Read model of a generation in the list.
#[derive(Debug, Serialize)]
pub struct ReadModelView {
    /// Name.
    pub name: String,
    /// Generation that made its tables. Another one than its own means that it was left as it was.
    pub made_by: GenerationId,
    /// Fingerprint of the logic that made its rows.
    pub fingerprint: String,
}

/// Customer whose rows cannot be made in one read model.
#[derive(Debug, Serialize)]
pub struct ParkedCustomerView {
    /// Read model.
    pub read_model: String,
    /// Account of the customer; empty for the platform's own.
    pub account: String,
    /// Live or test mode.
    pub livemode: bool,
    /// Customer.
    pub customer_id: CustomerId,
    /// Reason.
    pub reason: String,
}

/// Parked event in the list.
#[derive(Debug, Serialize)]
pub struct ParkedView {
    /// Position of the event.
    pub position: Position,
    /// Id of the event.
    pub event_id: EventId,
    /// Type of the event.
    pub r#type: String,
    /// Reason.
    pub reason: String,
}

/// Reads the generations of a ledger. The follower of this process, if it has one, knows the status of its own rebuild,
/// which is newer than the stored one.
pub async fn list(
    store: &Store,
    now: ReceivedAt,
    follower: Option<&ProjectorHandle>,
) -> Result<Projections, StoreError> {
    let size = store.log.head().await?.size;
    let mut projections =
        Projections { data: Vec::new(), parked: Vec::new(), parked_customers: Vec::new() };
    for generation in store.read_model.generations().await? {
        if generation.status == GenerationStatus::Live {
            let parked = store.read_model.parked(generation.id, PARKED_MAX).await?;
            projections.parked = parked.into_iter().map(ParkedView::from).collect();
            let customers = store.read_model.parked_customers(&generation, PARKED_MAX).await?;
            projections.parked_customers =
                customers.into_iter().map(ParkedCustomerView::from).collect();
        }
        projections.data.push(view(store, generation, size, now, follower).await?);
    }
    Ok(projections)
}

async fn view(
    store: &Store,
    generation: Generation,
    size: Position,
    now: ReceivedAt,
    follower: Option<&ProjectorHandle>,
) -> Result<GenerationView, StoreError> {
    let lag_events = (size.0 - generation.position.0).max(0);
    let waiting = match lag_events {
        0 => Vec::new(),
        _ => store.log.headers_at(&[generation.position.next()]).await?,
    };
    let parked = store.read_model.parked_count(generation.id).await?;
    let parked_customers = store.read_model.parked_customer_count(&generation).await?;
    let read_models = generation.read_models.iter().map(|it| ReadModelView {
        name: it.name.clone(),
        made_by: it.made_by,
        fingerprint: it.fingerprint.clone(),
    });
    let read_models = read_models.collect();
    let own = follower.and_then(|it| it.status().rebuilding);
    let own = own.filter(|it| it.generation == Some(generation.id));
    let logic = logic_of(&generation).ok();
    let user_keys = generation.logic.user_keys.split(',').filter(|key| !key.is_empty());
    let user_keys = user_keys.map(str::to_owned).collect();
    let rebuild = own.or_else(|| rebuild_of_another(&generation, size, parked, now));
    let waiting_micros =
        waiting.iter().flatten().next().map_or(0, |event| now.0 - event.received_at.0);
    Ok(GenerationView {
        generation: generation.id,
        status: match generation.status {
            GenerationStatus::Live if !can_fold(store.read_model.projections(), &generation) => {
                "frozen"
            }
            status => status.as_str(),
        },
        pinned: generation.pinned,
        fingerprint: generation.logic.fingerprint,
        position: generation.position,
        lag_events,
        lag_seconds: seconds(waiting_micros),
        parked,
        parked_customers,
        read_models,
        rule_changes: logic.map(|it| Logic::default().changes_to(&it)),
        configured: follower.map(|it| {
            let logic = it.logic();
            logic.policy_text == generation.logic.policy
                && logic.user_keys_text() == generation.logic.user_keys
        }),
        policy: generation.logic.policy,
        user_keys,
        rebuild,
    })
}

/// Status of a rebuild in another process, from what is stored; none if no process holds the lease.
fn rebuild_of_another(
    generation: &Generation,
    size: Position,
    parked: i64,
    now: ReceivedAt,
) -> Option<RebuildStatus> {
    let alive = seems_held(generation, now);
    (generation.status == GenerationStatus::Building && alive).then(|| {
        let micros = (now.0 - generation.created_at.0).max(0).unsigned_abs();
        RebuildStatus::from(BuildProgress {
            generation: generation.id,
            done: generation.built.max(generation.position.0),
            total: size.0.max(generation.built),
            customers: None,
            parked: usize::try_from(parked).unwrap_or(0),
            elapsed: Duration::from_micros(micros),
        })
    })
}

/// Microseconds as seconds, at least zero even if a clock was set back.
#[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}

impl From<ParkedCustomer> for ParkedCustomerView {
    fn from(parked: ParkedCustomer) -> Self {
        let ParkedCustomer { customer, read_model, reason } = parked;
        Self {
            read_model,
            account: customer.scope.account.to_string(),
            livemode: customer.scope.livemode,
            customer_id: customer.customer,
            reason,
        }
    }
}

impl From<Parked> for ParkedView {
    fn from(parked: Parked) -> Self {
        Self {
            position: parked.position,
            event_id: parked.event_id,
            r#type: parked.event_type,
            reason: parked.reason,
        }
    }
}
