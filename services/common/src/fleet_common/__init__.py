"""What every RouterFleet service shares: settings, broker, telemetry, health, runtime."""
