"""The operator: RouterFleet resources in, streams, inventory and poller shards out."""
