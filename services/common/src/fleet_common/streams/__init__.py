"""The part of whoever owns the streams, the local runner or the operator.

`applier` brings streams and inventory to the plan, `watch` keeps looking at the streams,
`trims` says what they dropped, `measure` tells the planner how large messages really are.
"""
