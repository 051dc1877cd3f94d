-- The signature of an event is erased with its body: whoever holds the endpoint's secret could confirm a guessed
-- body with it. The hash that the event's leaf commits to stays in this column. It is salted with a salt that is
-- derived from the event's own, which is erased too.
--
-- NULL where there is no signature, and where an earlier version logged one: that hash has no salt.
ALTER TABLE events ADD COLUMN signature_hash BLOB;

-- Erasing is the only change: payload, salt and signature go together, the signature's hash is kept, and everything
-- else stays. An event that an earlier version erased still has its signature, which may go alone.
DROP TRIGGER events_are_unchanged;
CREATE TRIGGER events_are_unchanged BEFORE UPDATE ON events
WHEN NOT (
    (OLD.payload IS NOT NULL OR OLD.signature IS NOT NULL)
    AND NEW.payload IS NULL AND NEW.salt IS NULL AND NEW.signature IS NULL
    AND NEW.signature_hash IS ifnull(OLD.signature_hash, NEW.signature_hash)
    AND (NEW.signature_hash IS NULL) = (OLD.signature IS NULL AND OLD.signature_hash IS NULL)
    AND (NEW.position, NEW.event_id, NEW.account, NEW.livemode, NEW.type, NEW.api_version,
         NEW.created, NEW.created_nanos, NEW.received_at, NEW.source,
         NEW.payload_hash, NEW.leaf_hash, NEW.signed_with)
     IS (OLD.position, OLD.event_id, OLD.account, OLD.livemode, OLD.type, OLD.api_version,
         OLD.created, OLD.created_nanos, OLD.received_at, OLD.source,
         OLD.payload_hash, OLD.leaf_hash, OLD.signed_with)
)
BEGIN
    SELECT RAISE(ABORT, 'events are never changed, only erased');
END;
