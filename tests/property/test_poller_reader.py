"""Whatever a router answers, a poll ends in valid events or in a typed error."""

import asyncio
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.codec import decode
from fleet_contracts.subjects import Kind
from fleet_poller import menus
from fleet_poller.events import Occasion, poll_events
from fleet_poller.memory import DeviceMemory
from fleet_poller.parse.interfaces import DESCRIPTION_ATTRIBUTES, READING_ATTRIBUTES
from fleet_poller.parse.inventory import INVENTORY_RESOURCE_ATTRIBUTES
from fleet_poller.parse.system import RESOURCE_ATTRIBUTES
from fleet_poller.parse.wireless import CLIENT_ATTRIBUTES
from fleet_poller.reader import read_device
from fleet_poller.routeros.commands import Answer, Command, Reply, Trap
from fleet_poller.routeros.errors import RouterError
from fleet_poller.routeros.wire import Attributes, SentenceDecoder, encode_sentence

SLOT = 1_800_000_000_000
NAMES = sorted(
    {
        *READING_ATTRIBUTES,
        *DESCRIPTION_ATTRIBUTES,
        *RESOURCE_ATTRIBUTES,
        *INVENTORY_RESOURCE_ATTRIBUTES,
        *CLIENT_ATTRIBUTES,
        "value",
        "load",
        "rate",
        "status",
        "full-duplex",
        "channel",
        "noise-floor",
        "tx-power",
        "registered-peers",
        "channel-width",
        "frequency",
        "current-channel",
        "voltage",
        "fan-state",
        "channel.frequency",
    }
)
WORDS = (
    b"", b"true", b"no", b"*1", b"*A", b"*FFFFFFFFF", b"auto", b"ether", b"link-ok", b"-1",
    b"02:00:00:00:00:01", b"sep/31/2024 25:61:61", b"9999-12-31 23:59:59", b"caf\xe9",
    b"0000-01-01 00:00:00", b"9" * 5000 + b"s",
)  # fmt: skip
UNITS = (b"Mbps", b"Gbps", b"w", b"d", b"s", b"ms", b"dBm", b"%", b"mhz", b".5", b":59:59")
TRAPS = (
    Trap("no such command prefix", 0),
    Trap("failure: busy", 4),
    Trap("not enough permissions (9)", 4),
)


def value(chance: random.Random) -> bytes:
    """Something a router might print, or a broken or hostile one."""
    digits = b"%d" % chance.randrange(10 ** chance.choice((1, 2, 5, 10, 20, 30)))
    match chance.randrange(6):
        case 0:
            return chance.choice(WORDS)
        case 1:
            return digits
        case 2:
            return digits + chance.choice(UNITS)
        case 3:
            extension = b"C" + b"e" * chance.randrange(40)
            return b"%b/%b-%b/ax(%bdBm)" % (digits[:8], digits, extension, digits)
        case 4:
            return digits + b"," + digits
        case _:
            return chance.randbytes(chance.randrange(30))


def rows(chance: random.Random, least: int) -> list[Attributes]:
    """Up to five rows of any attributes."""
    return [
        {
            name.encode(): value(chance)
            for name in chance.sample(NAMES, chance.randrange(len(NAMES)))
        }
        for _ in range(chance.randint(least, 5))
    ]


def reply(found: list[Attributes]) -> Reply:
    """The answer as it comes from the wire."""
    words = ([b"!re", b".tag=1", *(b"=%b=%b" % item for item in row.items())] for row in found)
    return Reply([one for row in words for one in SentenceDecoder().feed(encode_sentence(row))])


class RandomRouter:
    """A session that answers anything; the two required menus with at least one row."""

    closed = False

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.asked: list[str] = []

    async def exchange(self, commands: Sequence[Command], deadline: float) -> list[Answer]:  # noqa: ARG002 - a session's signature
        self.asked += [command.path for command in commands]
        return [self._answer(command) for command in commands]

    def _answer(self, command: Command) -> Answer:
        if command.path in {menus.RESOURCE.path, menus.INTERFACES.path}:
            return reply(rows(self._chance, 1))
        if self._chance.random() < 0.1:
            return self._chance.choice(TRAPS)
        return reply(rows(self._chance, 0))

    async def log_out(self, deadline: float) -> None:
        """Nothing to do."""

    def abort(self, error: RouterError | None = None) -> None:
        """Nothing to do."""


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_a_poll_of_any_router_gives_valid_events_or_a_typed_error(seed: int) -> None:
    router = RandomRouter(random.Random(seed))  # noqa: S311 - repeatable, no secret
    memory = DeviceMemory()

    async def poll(slot_ms: int) -> None:
        try:
            readings = await read_device(router, memory, CadenceSpec(), slot_ms, 0.0)
        except RouterError:
            return
        events = poll_events(Occasion(slot_ms, 1, 1), readings)
        for kind, payload in events:
            decode(f"fleet.alpha.core-1.{kind.value}", payload)
        assert [kind for kind, _ in events].count(Kind.STATUS) == 1

    async def polls() -> None:
        for number in range(3):
            await poll(SLOT + number * 60_000)

    asyncio.run(polls())
    assert router.asked
