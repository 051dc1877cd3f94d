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
    pub(super) version: ApiVersion,
    /// Whose features exist; none: those of the version.
    pub(super) era: Option<ApiVersion>,
    /// When the account moves to which newer version, by the events' clock.
    pub(super) upgrade: Option<(i64, ApiVersion)>,
    pub(super) format: Format,
}

/// An object, and the snapshot of it that was sent last.
#[derive(Clone, Debug)]
pub(super) struct Tracked<T> {
    now: T,
    sent: Option<T>,
    /// Where and in which second the last event stands, if it may be lost once a later second
    /// says more.
    losable: Option<(usize, i64)>,
}

/// What was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) event_id: String,
    pub(super) event_type: &'static str,
    pub(super) created: i64,
    pub(super) version: ApiVersion,
}

/// Snapshots that a later one of the same object makes superfluous.
const LOSABLE: [&str; 5] = [
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.finalized",
    "invoice.updated",
];

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
        Self { now, sent: None, losable: None }
    }

    /// An object whose present state needs no telling.
    pub(super) fn known(now: T) -> Self {
        let sent = Some(now.clone());
        Self { now, sent, losable: None }
    }

    /// The snapshot that was sent last.
    pub(super) const fn sent(&self) -> Option<&T> {
        self.sent.as_ref()
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

    /// What can happen goes by this, and never by the version that tells of it.
    pub(super) fn era(&self) -> ApiVersion {
        self.endpoint.era.unwrap_or(self.endpoint.version)
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
        let version = self.endpoint.version;
        let snapshot = object.now.render(version);
        let previous = match &object.sent {
            Some(sent) if event_type.ends_with(".updated") => {
                let changes = previous_attributes(&sent.render(version), &snapshot);
                // What an old version does not show may change all the same.
                debug_assert!(
                    !changes.is_empty() || version < ApiVersion::Acacia,
                    "{event_type} without a change"
                );
                Some(changes)
            }
            _ => None,
        };
        let calm = !object.now.is_past_due();
        let was_calm = object.sent.as_ref().is_none_or(|sent| !sent.is_past_due());
        object.sent = Some(object.now.clone());
        let sent = self.write(event_type, snapshot, previous);
        if let Some((index, second)) = object.losable
            && calm
            && second < sent.created
            && let Some(event) = self.events.get_mut(index)
        {
            event.losable = true;
        }
        object.losable = (LOSABLE.contains(&event_type) && calm && was_calm)
            .then(|| (self.events.len() - 1, sent.created));
        sent
    }

    /// Sends something that is not followed through time.
    pub(super) fn send_once(&mut self, event_type: &'static str, snapshot: Object) -> Sent {
        self.write(event_type, snapshot, None)
    }

    fn write(
        &mut self,
        event_type: &'static str,
        snapshot: Object,
        previous: Option<Object>,
    ) -> Sent {
        self.tick();
        let id = self.id("evt");
        let request = self.dice.percent(40).then(|| self.short_id("req"));
        let sent = Sent {
            event_id: id.clone(),
            event_type,
            created: self.wall,
            version: self.endpoint.version,
        };
        let envelope = Envelope {
            id,
            account: &self.endpoint.account,
            livemode: self.endpoint.livemode,
            event_type,
            created: self.wall,
            version: self.endpoint.version,
            request,
            pending_webhooks: self.dice.between(1, 4),
        };
        self.events.push(envelope.seal(snapshot, previous, self.endpoint.format));
        sent
    }
}
