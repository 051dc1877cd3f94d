//! `/v1/events`: the last thirty days, as the events were rendered when they were created.

use super::call::{Answer, Call};
use super::error::ApiError;
use super::paging::{Paging, Span};
use super::world::EventRow;

/// Age in seconds from which an event is no longer available.
pub(super) const RETENTION_SECONDS: i64 = 30 * 86_400;
/// Greatest number of `types[]`.
const TYPES_MAX: usize = 20;

/// `GET /v1/events`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let event_type = call.params.take("type");
    let types = call.params.take_list("types");
    let delivered = call.params.take_bool("delivery_success")?;
    let mut paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    if event_type.is_some() && !types.is_empty() {
        let text = "You may only specify one of these parameters: type, types.";
        return Err(ApiError::invalid(text));
    }
    if types.len() > TYPES_MAX {
        let text = format!("Array types exceeded maximum {TYPES_MAX} allowed elements.");
        return Err(ApiError::invalid(text).param("types"));
    }
    let visible = visible(call);
    if let Some(cursor) = &paging.cursor
        && let Some(event) = call.shelf.events.get(cursor.id())
        && event.created < visible.low
    {
        let text = format!(
            "The event {} is no longer available because it's aged out of our retention policy",
            event.id
        );
        return Err(ApiError::invalid(text).param(cursor.param()));
    }
    paging.created.low = paging.created.low.max(visible.low);
    paging.created.high = paging.created.high.min(visible.high);
    let (now, late_max) = (call.now, call.stripe.0.options.events_late_seconds_max);
    let keep = |it: &EventRow| {
        it.created + lateness(&it.id, late_max) <= now
            && delivered != Some(false)
            && event_type.as_ref().is_none_or(|pattern| matches(pattern, &it.event_type))
            && (types.is_empty() || types.contains(&it.event_type))
    };
    call.page(&call.shelf.events, &paging, &[], keep, |it| it.body.clone())
}

/// `GET /v1/events/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let visible = visible(call);
    let event = call.shelf.events.get(call.id).filter(|it| visible.contains(it.created));
    event.map(|it| it.body.clone()).ok_or_else(|| ApiError::missing("event", call.id))
}

/// Times of the events that can be seen: not too old, and not younger than the lists are late.
fn visible(call: &Call<'_>) -> Span {
    let late = call.stripe.visible_after_seconds();
    Span { low: call.now - RETENTION_SECONDS, high: call.now - late }
}

/// Seconds after which an event becomes visible, up to a maximum. The same event always has the same.
fn lateness(id: &str, max: i64) -> i64 {
    let sum: i64 = id.bytes().map(i64::from).sum();
    sum % (max + 1)
}

/// True if a type is the one of a pattern, which may end in `*`.
fn matches(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => event_type.starts_with(prefix),
        None => pattern == event_type,
    }
}
