-- A tenant's own retention as its fleet last asked for it: days by kind of row. It stays when
-- the broker forgets it, since dropping rows too early cannot be undone.
ALTER TABLE tenants ADD COLUMN retention_days jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN tenants.retention_days IS 'days by kind of row; a kind that is missing is kept as the writer is set';
