"""Device metrics: the newest reading of each device as Prometheus metrics `routeros_*`."""
