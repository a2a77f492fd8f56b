-- What a stream dropped, as its owner announced it: a plan that shrank it, or its limit
-- reaching what a consumer had not stored. lost_ranges says what the writer itself missed.
CREATE TABLE stream_trims (
    position_id integer NOT NULL REFERENCES stream_positions,
    slot timestamptz NOT NULL,
    cause text NOT NULL,
    from_sequence bigint NOT NULL,
    to_sequence bigint NOT NULL,
    dropped_messages bigint NOT NULL,
    dropped_bytes bigint NOT NULL,
    unstored_messages bigint NOT NULL,
    first_published_at timestamptz,
    last_published_at timestamptz,
    max_bytes_before bigint NOT NULL,
    max_bytes bigint NOT NULL,
    window_seconds bigint NOT NULL,
    PRIMARY KEY (position_id, slot)
);
COMMENT ON COLUMN stream_trims.slot IS 'when it was noticed';
COMMENT ON COLUMN stream_trims.unstored_messages IS 'of those dropped, what a consumer had not stored';
COMMENT ON COLUMN stream_trims.window_seconds IS 'how far back the stream could reach from then on';
