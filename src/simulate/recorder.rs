//! Writes events down as time goes by.

use std::ops::{ControlFlow, Deref, DerefMut};

use super::changes::previous_attributes;
use super::dice::{Dice, base62};
use super::objects::Render;
use super::objects::event::{Envelope, SimulatedEvent};
use super::version::ApiVersion;
use super::wire::{Format, Object};

/// A piece of a script. It breaks off where the simulated time is over, so that a script can be
/// written as if there were no end: `stage.renew()?`.
pub(super) type Act = ControlFlow<()>;

/// How events are sent: what an endpoint of an account determines.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) account: String,
    pub(super) livemode: bool,
    /// What can happen. It never depends on the version that events are rendered at, so that one
    /// life can be told in several shapes.
    pub(super) era: ApiVersion,
    pub(super) version: ApiVersion,
    /// When the account moves to which newer version, by the events' clock.
    pub(super) upgrade: Option<(i64, ApiVersion)>,
    /// The version of a second endpoint, to which the same events go.
    pub(super) second: Option<ApiVersion>,
    pub(super) format: Format,
}

/// An object, the snapshot of it that was sent last, and the events that a later second has not
/// made needless yet, by index and second.
#[derive(Clone, Debug)]
pub(super) struct Tracked<T> {
    now: T,
    sent: Option<T>,
    needed: Vec<(usize, i64)>,
}

/// What was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) event_id: String,
    pub(super) event_type: &'static str,
    pub(super) created: i64,
    pub(super) version: ApiVersion,
}

/// Two clocks, dice, and the events so far.
///
/// Objects and events share one time, except where a test clock moves the objects: then months
/// pass for them while the events are seconds apart.
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

    /// An object whose present state needs no telling.
    pub(super) fn known(now: T) -> Self {
        let sent = Some(now.clone());
        Self { now, sent, needed: Vec::new() }
    }

    /// The last event says what no later one repeats.
    pub(super) fn keep_last(&mut self) {
        self.needed.pop();
    }

    /// The snapshot that was sent last.
    pub(super) const fn sent(&self) -> Option<&T> {
        self.sent.as_ref()
    }
}

/// A snapshot at a version, and what was otherwise before it.
struct Told {
    version: ApiVersion,
    snapshot: Object,
    previous: Option<Object>,
}

impl Told {
    fn of<T: Render>(version: ApiVersion, now: &T, before: Option<&T>) -> Self {
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
    /// Begins at `start` and breaks off at `end` (Unix seconds, both by the objects' clock).
    pub(super) const fn new(
        dice: Dice,
        endpoint: Endpoint,
        (start, end): (i64, i64),
        test_clock: bool,
    ) -> Self {
        let events = Vec::new();
        Self { dice, endpoint, events, wall: start, object: start, end, test_clock }
    }

    /// Now, as objects are dated.
    pub(super) const fn now(&self) -> i64 {
        self.object
    }

    /// Now, as events are dated.
    pub(super) const fn wall(&self) -> i64 {
        self.wall
    }

    /// Whether a test clock moves the objects.
    pub(super) const fn has_test_clock(&self) -> bool {
        self.test_clock
    }

    /// Lets time pass for the objects, and for the events too unless a test clock is turned.
    pub(super) fn wait(&mut self, seconds: i64) -> Act {
        if self.object + seconds > self.end {
            return Act::Break(());
        }
        self.object += seconds;
        // Turning a test clock takes a person or a script some seconds.
        self.wall += if self.test_clock { self.dice.between(2, 40) } else { seconds };
        if let Some((at, version)) = self.endpoint.upgrade
            && self.wall >= at
        {
            self.endpoint.version = version;
            self.endpoint.upgrade = None;
        }
        Act::Continue(())
    }

    /// Waits until the objects' clock shows this, or goes on at once if it is later already.
    pub(super) fn wait_until(&mut self, instant: i64) -> Act {
        self.wait((instant - self.object).max(0))
    }

    /// Turns a test clock further without a second passing for the events.
    pub(super) fn leap_until(&mut self, instant: i64) -> Act {
        if instant > self.end {
            return Act::Break(());
        }
        self.object = self.object.max(instant);
        Act::Continue(())
    }

    /// Goes on at this instant of the events, past the end if need be.
    pub(super) fn resume_at(&mut self, wall: i64) {
        let passed = (wall - self.wall).max(0);
        self.wall += passed;
        self.object += passed;
    }

    /// Within a burst: sometimes the next event falls into the next second.
    fn tick(&mut self) {
        if self.dice.percent(25) {
            self.wall += 1;
            if !self.test_clock {
                self.object += 1;
            }
        }
    }

    /// A new id, as Stripe builds them: a time, the account, and chance.
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

    /// A new short id: `cus_…`, `si_…`.
    pub(super) fn short_id(&mut self, prefix: &str) -> String {
        format!("{prefix}_{}", self.dice.letters(14))
    }

    /// Sends a snapshot. An `updated` event says what has changed since the last one.
    pub(super) fn send<T: Render + Clone>(
        &mut self,
        event_type: &'static str,
        object: &mut Tracked<T>,
    ) -> Sent {
        if !self.endpoint.era.has_event(event_type) {
            return self.silence(event_type);
        }
        let before = object.sent.as_ref().filter(|_| event_type.ends_with(".updated"));
        let told = |version| Told::of(version, &object.now, before);
        let first = told(self.endpoint.version);
        let second = self.endpoint.second.map(told);
        for told in second.iter().chain([&first]) {
            let silent = told.previous.as_ref().is_some_and(Object::is_empty);
            // A shape that is older than the era cannot tell everything.
            debug_assert!(
                !silent || told.version < self.endpoint.era,
                "{event_type} without a change at {:?}",
                told.version
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
        // A deletion is the one state that a later snapshot does not replace.
        if !event_type.ends_with(".deleted") {
            object.needed.push((self.events.len() - 1, sent.created));
        }
        object.sent = Some(object.now.clone());
        sent
    }

    /// Sends something that is not followed through time.
    pub(super) fn send_once(&mut self, event_type: &'static str, snapshot: Object) -> Sent {
        if !self.endpoint.era.has_event(event_type) {
            return self.silence(event_type);
        }
        let told = Told { version: self.endpoint.version, snapshot, previous: None };
        self.write(event_type, told, None)
    }

    /// What happens without an event, because Stripe had none for it yet.
    const fn silence(&self, event_type: &'static str) -> Sent {
        let version = self.endpoint.version;
        Sent { event_id: String::new(), event_type, created: self.wall, version }
    }

    fn write(&mut self, event_type: &'static str, told: Told, second: Option<Told>) -> Sent {
        self.tick();
        let id = self.id("evt");
        let request = self.dice.percent(40).then(|| self.short_id("req"));
        let sent =
            Sent { event_id: id.clone(), event_type, created: self.wall, version: told.version };
        let envelope = Envelope {
            id,
            account: &self.endpoint.account,
            livemode: self.endpoint.livemode,
            event_type,
            created: self.wall,
            version: told.version,
            request,
            pending_webhooks: self.dice.between(1, 4),
        };
        let format = self.endpoint.format;
        let second_body = second.map(|told| {
            let envelope = Envelope { version: told.version, ..envelope.clone() };
            envelope.seal(told.snapshot, told.previous, format)
        });
        self.events.push(SimulatedEvent {
            body: envelope.seal(told.snapshot, told.previous, format),
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
