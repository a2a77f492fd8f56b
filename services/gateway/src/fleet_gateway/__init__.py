"""RouterFleet SSE gateway: streams events to browsers and curl."""
