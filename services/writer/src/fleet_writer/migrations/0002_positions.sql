-- How far each stream is stored. last_sequence moves in the transaction that stores the
-- rows: events_stored + events_rejected + events_lost + first_sequence - 1 = last_sequence.
CREATE TABLE stream_positions (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id integer NOT NULL REFERENCES tenants,
    stream text NOT NULL,
    created text NOT NULL,
    generation integer NOT NULL DEFAULT 0,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL,
    last_message_at timestamptz,
    events_stored bigint NOT NULL DEFAULT 0,
    events_rejected bigint NOT NULL DEFAULT 0,
    events_lost bigint NOT NULL DEFAULT 0,
    rows_stored bigint NOT NULL DEFAULT 0,
    rows_duplicate bigint NOT NULL DEFAULT 0,
    rows_expired bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, created, generation)
) WITH (fillfactor = 50);
COMMENT ON COLUMN stream_positions.created IS 'the stream''s creation time: with its name, its identity';
COMMENT ON COLUMN stream_positions.generation IS
    'counts the times the broker came back with fewer messages than were stored';
COMMENT ON COLUMN stream_positions.first_sequence IS 'where this lineage began';

CREATE TABLE lost_ranges (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position_id integer NOT NULL REFERENCES stream_positions,
    from_sequence bigint NOT NULL,
    to_sequence bigint NOT NULL,
    messages bigint GENERATED ALWAYS AS (to_sequence - from_sequence + 1) STORED,
    after timestamptz,
    before timestamptz,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (position_id, from_sequence)
);
COMMENT ON COLUMN lost_ranges.after IS 'when the message before the range was published';
COMMENT ON COLUMN lost_ranges.before IS 'when the message behind the range was published; NULL: none yet';
COMMENT ON COLUMN lost_ranges.reason IS
    'discarded: the stream dropped them before they were stored; deleted: taken out of the stream by hand; unknown';

CREATE TABLE rejected_events (
    position_id integer NOT NULL REFERENCES stream_positions,
    sequence bigint NOT NULL,
    published_at timestamptz NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    payload bytea NOT NULL,
    payload_bytes integer NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (position_id, sequence)
);
COMMENT ON COLUMN rejected_events.payload IS 'the first bytes; payload_bytes is its whole length';

-- What a reader needs to account for every event.
CREATE VIEW stream_accounts AS
SELECT tenants.name AS tenant, stream, created, generation, first_sequence, last_sequence,
       last_message_at, events_stored, events_rejected, events_lost,
       rows_stored, rows_duplicate, rows_expired, updated_at,
       last_sequence - first_sequence + 1 - events_stored - events_rejected - events_lost
           AS events_unaccounted
FROM stream_positions JOIN tenants ON tenants.id = tenant_id;
