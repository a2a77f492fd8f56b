"""`make chaos`: the whole system under kill -9, pauses, cut connections and a full disk.

tests/chaos is a program, not a set of tests: it runs `routerfleet demo` as people run it,
strikes its processes at random moments of a seed, and checks afterwards that every event
is accounted for, once, and that nothing leaked.
"""
