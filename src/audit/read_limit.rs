//! Limit on the events that a history reads at once.

use crate::store::EventHeader;

/// Limit on the events that are read and described at once. A single second may exceed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Number of events.
    pub events: usize,
    /// Size of the bodies in bytes.
    pub bytes: usize,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self { events: 1_024, bytes: 4 << 20 }
    }
}

/// Number of items, in the order of their seconds, that are read at once: whole seconds up to the limit, and at least
/// one second.
pub(super) fn whole_seconds<T>(
    items: &[T],
    header: fn(&T) -> EventHeader,
    limit: ReadLimit,
) -> usize {
    let (mut events, mut bytes) = (0, 0);
    for second in items.chunk_by(|a, b| header(a).created == header(b).created) {
        bytes += second.iter().map(|it| header(it).payload_bytes as usize).sum::<usize>();
        if events > 0 && (events + second.len() > limit.events || bytes > limit.bytes) {
            break;
        }
        events += second.len();
    }
    events
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ids::Position;
    use crate::store::EventSource;
    use crate::time::{ReceivedAt, StripeTime};

    pub(in crate::audit) fn header(position: i64, created: i64, payload_bytes: u32) -> EventHeader {
        EventHeader {
            position: Position(position),
            created: StripeTime(created),
            received_at: ReceivedAt(position),
            source: EventSource::Webhook,
            payload_bytes,
        }
    }

    #[test]
    fn a_second_is_never_split_and_otherwise_no_more_is_told_at_once_than_may_be() {
        let seconds = [1, 1, 2, 3, 3, 3, 4];
        let headers: Vec<_> =
            (1..).zip(seconds).map(|(at, second)| header(at, second, 10)).collect();
        let chunks = |events, bytes| {
            let mut rest = &headers[..];
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                let (chunk, more) =
                    rest.split_at(whole_seconds(rest, |it| *it, ReadLimit { events, bytes }));
                chunks.push(chunk.len());
                rest = more;
            }
            chunks
        };
        assert_eq!(chunks(100, 1_000), [7]);
        assert_eq!(chunks(3, 1_000), [3, 3, 1]);
        assert_eq!(chunks(1, 1_000), [2, 1, 3, 1], "a second of more than that");
        assert_eq!(chunks(100, 40), [3, 4]);
        assert_eq!(chunks(100, 1), [2, 1, 3, 1]);
        assert_eq!(whole_seconds(&[], |it| *it, ReadLimit::default()), 0);
    }
}
