"""The operator's side of the broker, as the controller asks it."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from fleet_common.broker import close
from fleet_common.settings import NatsSection
from fleet_operator.broker_side import BrokerSide
from fleet_operator.broker_state import Asked
from fleet_operator.fleets import Known
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.settings import OperatorSection


@asynccontextmanager
async def broker_side(url: str, section: OperatorSection) -> AsyncGenerator[BrokerSide]:
    """Connected; closed at the end."""
    broker = BrokerSide(NatsSection(url=url), section, OperatorMetrics())
    await broker.connect()
    try:
        yield broker
    finally:
        await close(broker.client)


def asked(known: Iterable[Known], *, all_known: bool = True) -> Asked:
    """All that these fleets ask."""
    known = tuple(known)
    records = {key: value for one in known for key, value in one.records.items()}
    return Asked(
        tuple(one.fleet for one in known if one.fleet is not None), records, frozenset(), all_known
    )
