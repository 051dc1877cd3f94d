//! The state of the generations, as the API and the command line show it.

use std::time::Duration;

use serde::Serialize;

use super::holder::seems_held;
use super::{BuildProgress, RebuildStatus, can_fold};
use crate::ids::{EventId, Position};
use crate::store::{Generation, GenerationId, GenerationStatus, Parked, Store, StoreError};
use crate::time::ReceivedAt;

/// Parked events that are listed, at most.
const PARKED_MAX: usize = 100;

/// All generations, and the events that the live one could not fold.
#[derive(Debug, Serialize)]
pub struct Projections {
    /// The generations, the oldest first.
    pub data: Vec<GenerationView>,
    /// The first of the parked events.
    pub parked: Vec<ParkedView>,
}

/// One generation.
#[derive(Debug, Serialize)]
pub struct GenerationView {
    /// Its number.
    pub generation: GenerationId,
    /// `live`, `building`, `previous`, or `frozen`: live, and made by logic that this program does not
    /// have.
    pub status: &'static str,
    /// Whether a person chose it, so that no newer logic replaces it by itself.
    pub pinned: bool,
    /// What identifies its logic.
    pub fingerprint: String,
    /// The last event that it has folded.
    pub position: Position,
    /// Events after that one.
    pub lag_events: i64,
    /// For how long the first of them has been waiting.
    pub lag_seconds: f64,
    /// Events that it could not fold.
    pub parked: i64,
    /// How its making goes, as long as somebody makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildStatus>,
}

/// An event that could not be folded.
#[derive(Debug, Serialize)]
pub struct ParkedView {
    /// Its place in the log.
    pub position: Position,
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub r#type: String,
    /// What went wrong.
    pub reason: String,
}

/// Reads the generations of a ledger. A process that makes one itself knows best how that goes.
pub async fn list(
    store: &Store,
    now: ReceivedAt,
    own: Option<RebuildStatus>,
) -> Result<Projections, StoreError> {
    let size = store.log.head().await?.size;
    let mut projections = Projections { data: Vec::new(), parked: Vec::new() };
    for generation in store.read_model.generations().await? {
        if generation.status == GenerationStatus::Live {
            let parked = store.read_model.parked(generation.id, PARKED_MAX).await?;
            projections.parked = parked.into_iter().map(ParkedView::from).collect();
        }
        projections.data.push(view(store, generation, size, now, own).await?);
    }
    Ok(projections)
}

async fn view(
    store: &Store,
    generation: Generation,
    size: Position,
    now: ReceivedAt,
    own: Option<RebuildStatus>,
) -> Result<GenerationView, StoreError> {
    let lag_events = (size.0 - generation.position.0).max(0);
    let waiting = match lag_events {
        0 => Vec::new(),
        _ => store.log.headers_at(&[generation.position.next()]).await?,
    };
    let parked = store.read_model.parked_count(generation.id).await?;
    let own = own.filter(|it| it.generation == Some(generation.id));
    let rebuild = own.or_else(|| rebuild_of_another(&generation, size, parked, now));
    let waiting_micros =
        waiting.iter().flatten().next().map_or(0, |event| now.0 - event.received_at.0);
    Ok(GenerationView {
        generation: generation.id,
        status: match generation.status {
            GenerationStatus::Live if !can_fold(&generation) => "frozen",
            status => status.as_str(),
        },
        pinned: generation.pinned,
        fingerprint: generation.logic.fingerprint,
        position: generation.position,
        lag_events,
        lag_seconds: seconds(waiting_micros),
        parked,
        rebuild,
    })
}

/// How the making of a generation goes by what is stored of it, while somebody holds its lease.
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
            parked: usize::try_from(parked).unwrap_or(0),
            elapsed: Duration::from_micros(micros),
        })
    })
}

/// Microseconds as seconds; a clock that was set back makes no negative ones.
#[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
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
