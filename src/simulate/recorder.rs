//! Recorder: the clocks of a simulation, and the events so far.

use std::ops::{ControlFlow, Deref, DerefMut};

use super::changes::previous_attributes;
use super::dice::{Dice, base62};
use super::objects::Render;
use super::objects::event::{Envelope, SimulatedEvent};
use super::version::ApiVersion;
use super::wire::{Format, Object};

/// Result of a step of a script. `Break` means that the subscription or the simulated time has ended, so that a
/// script can be written as if there were no end: `stage.renew()?`.
pub(super) type Act = ControlFlow<()>;

/// Webhook endpoint of an account: account, mode and API versions.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) account: String,
    pub(super) livemode: bool,
    /// Version whose features of Stripe are simulated. It does not depend on the version of rendering, so that the
    /// same life can be rendered in several shapes.
    pub(super) era: ApiVersion,
    pub(super) version: ApiVersion,
    /// Time of an upgrade by the events' clock, and the newer version.
    pub(super) upgrade: Option<(i64, ApiVersion)>,
    /// Version of a second endpoint that gets the same events.
    pub(super) second: Option<ApiVersion>,
    pub(super) format: Format,
}

/// Object with its last sent snapshot, and the events that no snapshot of a later second has replaced yet, by index
/// and second.
#[derive(Clone, Debug)]
pub(super) struct Tracked<T> {
    now: T,
    sent: Option<T>,
    needed: Vec<(usize, i64)>,
}

/// Receipt of an event that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) event_id: String,
    pub(super) event_type: &'static str,
    pub(super) created: i64,
    pub(super) version: ApiVersion,
}

/// Two clocks, dice, and the events so far.
///
/// Objects and events share one time unless a test clock moves the objects: then months pass for them while the
/// events are seconds apart.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) dice: Dice,
    pub(super) endpoint: Endpoint,
    pub(super) events: Vec<SimulatedEvent>,
    wall: i64,
    object: i64,
    end: i64,
    test_clock: bool,
}

impl<T: Render + Clone> Tracked<T> {
    pub(super) const fn new(now: T) -> Self {
        Self { now, sent: None, needed: Vec::new() }
    }

    /// Object whose current state counts as sent.
    pub(super) fn announced(now: T) -> Self {
        let sent = Some(now.clone());
        Self { now, sent, needed: Vec::new() }
    }

    /// Marks the last event as not losable: no later event repeats its information.
    pub(super) fn require_last(&mut self) {
        self.needed.pop();
    }

    /// Last sent snapshot.
    pub(super) const fn sent(&self) -> Option<&T> {
        self.sent.as_ref()
    }

    /// Last sent snapshot, by value.
    pub(super) fn into_sent(self) -> Option<T> {
        self.sent
    }
}

/// Snapshot rendered at a version, with its `previous_attributes`.
struct RenderedSnapshot {
    version: ApiVersion,
    snapshot: Object,
    previous: Option<Object>,
}

impl RenderedSnapshot {
    fn new<T: Render>(version: ApiVersion, now: &T, before: Option<&T>) -> Self {
        let snapshot = now.render(version);
        let previous = before.map(|before| previous_attributes(&before.render(version), &snapshot));
        Self { version, snapshot, previous }
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.now
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.now
    }
}

impl Recorder {
    /// Creates a recorder from `start` to `end` (Unix seconds, both by the objects' clock).
    pub(super) const fn new(
        dice: Dice,
        endpoint: Endpoint,
        (start, end): (i64, i64),
        test_clock: bool,
    ) -> Self {
        let events = Vec::new();
        Self { dice, endpoint, events, wall: start, object: start, end, test_clock }
    }

    /// Time of the objects' clock.
    pub(super) const fn now(&self) -> i64 {
        self.object
    }

    /// Time of the events' clock.
    pub(super) const fn wall(&self) -> i64 {
        self.wall
    }

    /// True if a test clock moves the objects.
    pub(super) const fn has_test_clock(&self) -> bool {
        self.test_clock
    }

    /// Lets time pass for the objects, and for the events too unless a test clock moves the objects.
    pub(super) fn wait(&mut self, seconds: i64) -> Act {
        if self.object + seconds > self.end {
            return Act::Break(());
        }
        self.object += seconds;
        // Moving a test clock takes a person or a script some seconds.
        self.wall += if self.test_clock { self.dice.between(2, 40) } else { seconds };
        if let Some((at, version)) = self.endpoint.upgrade
            && self.wall >= at
        {
            self.endpoint.version = version;
            self.endpoint.upgrade = None;
        }
        Act::Continue(())
    }

    /// Waits until an instant of the objects' clock, which may have passed already.
    pub(super) fn wait_until(&mut self, instant: i64) -> Act {
        self.wait((instant - self.object).max(0))
    }

    /// Moves a test clock without a second passing for the events.
    pub(super) fn leap_until(&mut self, instant: i64) -> Act {
        if instant > self.end {
            return Act::Break(());
        }
        self.object = self.object.max(instant);
        Act::Continue(())
    }

    /// Goes on at an instant of the events' clock, even after the end.
    pub(super) fn resume_at(&mut self, wall: i64) {
        let passed = (wall - self.wall).max(0);
        self.wall += passed;
        self.object += passed;
    }

    /// Lets a second pass before some events of a burst.
    fn tick(&mut self) {
        if self.dice.percent(25) {
            self.wall += 1;
            if !self.test_clock {
                self.object += 1;
            }
        }
    }

    /// New id, built as Stripe does: time, account, random characters.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        let mut id = String::with_capacity(prefix.len() + 26);
        id.push_str(prefix);
        id.push('_');
        let mut seconds = u64::try_from(self.object).unwrap_or(0);
        let mut digits = ['0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit = base62(seconds);
            seconds /= 62;
        }
        id.extend(digits);
        id.push_str(self.endpoint.account.get(5..15).unwrap_or("K2SimLedgr"));
        id.push_str(&self.dice.letters(8));
        id
    }

    /// New short id: `cus_…`, `si_…`.
    pub(super) fn short_id(&mut self, prefix: &str) -> String {
        format!("{prefix}_{}", self.dice.letters(14))
    }

    /// Sends a snapshot. An `updated` event has the changes since the last one.
    pub(super) fn send<T: Render + Clone>(
        &mut self,
        event_type: &'static str,
        object: &mut Tracked<T>,
    ) -> Sent {
        if !self.endpoint.era.has_event(event_type) {
            return self.unsent(event_type);
        }
        let before = object.sent.as_ref().filter(|_| event_type.ends_with(".updated"));
        let render = |version| RenderedSnapshot::new(version, &object.now, before);
        let first = render(self.endpoint.version);
        let second = self.endpoint.second.map(render);
        for rendered in second.iter().chain([&first]) {
            let unchanged = rendered.previous.as_ref().is_some_and(Object::is_empty);
            // A shape that is older than the era cannot express every change.
            debug_assert!(
                !unchanged || rendered.version < self.endpoint.era,
                "{event_type} without a change at {:?}",
                rendered.version
            );
        }
        let sent = self.write(event_type, first, second);
        object.needed.retain(|(index, second)| {
            let needed = *second == sent.created;
            if let (false, Some(event)) = (needed, self.events.get_mut(*index)) {
                event.losable = true;
            }
            needed
        });
        // No later snapshot replaces a deletion.
        if !event_type.ends_with(".deleted") {
            object.needed.push((self.events.len() - 1, sent.created));
        }
        object.sent = Some(object.now.clone());
        sent
    }

    /// Sends an object whose changes are not tracked.
    pub(super) fn send_once(&mut self, event_type: &'static str, snapshot: Object) -> Sent {
        if !self.endpoint.era.has_event(event_type) {
            return self.unsent(event_type);
        }
        let rendered =
            RenderedSnapshot { version: self.endpoint.version, snapshot, previous: None };
        self.write(event_type, rendered, None)
    }

    /// Receipt of a change without an event, because Stripe had no such event at the time.
    const fn unsent(&self, event_type: &'static str) -> Sent {
        let version = self.endpoint.version;
        Sent { event_id: String::new(), event_type, created: self.wall, version }
    }

    fn write(
        &mut self,
        event_type: &'static str,
        first: RenderedSnapshot,
        second: Option<RenderedSnapshot>,
    ) -> Sent {
        self.tick();
        let id = self.id("evt");
        let request = self.dice.percent(40).then(|| self.short_id("req"));
        let sent =
            Sent { event_id: id.clone(), event_type, created: self.wall, version: first.version };
        let envelope = Envelope {
            id,
            account: &self.endpoint.account,
            livemode: self.endpoint.livemode,
            event_type,
            created: self.wall,
            version: first.version,
            request,
            pending_webhooks: self.dice.between(1, 4),
        };
        let format = self.endpoint.format;
        let second_body = second.map(|second| {
            let envelope = Envelope { version: second.version, ..envelope.clone() };
            envelope.seal(second.snapshot, second.previous, format)
        });
        self.events.push(SimulatedEvent {
            body: envelope.seal(first.snapshot, first.previous, format),
            id: envelope.id,
            account: self.endpoint.account.clone(),
            livemode: self.endpoint.livemode,
            event_type: event_type.to_owned(),
            created: self.wall,
            second_body,
            losable: false,
        });
        sent
    }
}
