"""What the owner of the streams adds to an error: how the person who reads it gives more room."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """The words of the local runner or the operator; all may stay empty but `budget`.

    `budget` is what they call what they were given. The others are whole sentences without a
    full stop.
    """

    budget: str = "the budget"
    more_room: str = ""
    refused: str = ""
