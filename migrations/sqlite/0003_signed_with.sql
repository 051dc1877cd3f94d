-- The secret that the signature of an event fitted when it was received: what the secret is bound to, and an
-- identifier that does not give it away, as live:1f3a5b7c. NULL where nothing was verified, and for events that
-- were received before this column was there.
--
-- No leaf of the Merkle tree commits to it, so that those of older events stay valid. It is a note of what was
-- found, and no proof: whoever gets around the triggers can change it.

ALTER TABLE events ADD COLUMN signed_with TEXT;

DROP TRIGGER IF EXISTS events_are_unchanged;

-- Erasing is the only change: payload and salt go together and everything else stays.
CREATE TRIGGER events_are_unchanged BEFORE UPDATE ON events
WHEN NOT (
    OLD.payload IS NOT NULL AND NEW.payload IS NULL AND NEW.salt IS NULL
    AND (NEW.position, NEW.event_id, NEW.account, NEW.livemode, NEW.type, NEW.api_version,
         NEW.created, NEW.created_nanos, NEW.received_at, NEW.source, NEW.signature,
         NEW.payload_hash, NEW.leaf_hash, NEW.signed_with)
     IS (OLD.position, OLD.event_id, OLD.account, OLD.livemode, OLD.type, OLD.api_version,
         OLD.created, OLD.created_nanos, OLD.received_at, OLD.source, OLD.signature,
         OLD.payload_hash, OLD.leaf_hash, OLD.signed_with)
)
BEGIN
    SELECT RAISE(ABORT, 'events are never changed, only erased');
END;
