"""The whole system on a real cluster: `make e2e`. What it needs is in `e2e.options`."""
