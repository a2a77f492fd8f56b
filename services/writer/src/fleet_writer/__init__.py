"""RouterFleet metrics-writer: stores events in PostgreSQL exactly once."""
