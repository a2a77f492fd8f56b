"""`routerfleet soak`: the incident and its cure, a simulated day in minutes.

Pure: options, model, padding, slots, verdict, plot. Edges: link (a router without a socket),
polling, stage (processes), observe, plans. `run` puts one run together.

What is real: nats-server with the incident's limit, the metrics-writer on PostgreSQL, the
SSE gateway with a client, the poller's own reading, mapping and publishing. What is not:
slots follow a virtual clock, which the soak moves on as fast as the services keep up.
"""
