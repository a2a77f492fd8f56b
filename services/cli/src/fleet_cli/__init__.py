"""routerfleet: the whole system on one machine, and tools to look at it."""
