"""RouterFleet poller-shard: reads routers over the RouterOS API and publishes events."""
