"""What the local runner adds to an error about streams."""

from typing import Final

from fleet_common.streams.advice import Advice

ADVICE: Final = Advice(
    budget="--budget",
    more_room="Give a larger --budget or another --data-dir",
    refused="Another --data-dir begins anew",
)
