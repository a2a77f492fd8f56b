"""RouterFleet's event contracts: subjects, streams, codec, catalogue."""
