"""What the writer asks the broker about streams."""

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from fleet_common.broker import created_at
from fleet_common.errors import TransientError
from fleet_common.tenant_streams import tenants_with_streams
from fleet_contracts.subjects import TenantId, stream_name
from fleet_writer.errors import BrokerAwayError
from fleet_writer.positions import StreamState


async def stream_state(js: JetStreamContext, name: str) -> StreamState | None:
    """The stream's state, None when there is no such stream; raises BrokerAwayError."""
    try:
        info = await js.stream_info(name)
    except NotFoundError:
        return None
    except (NatsError, TimeoutError, OSError) as error:
        raise BrokerAwayError(f"no answer about stream {name}: {error}") from error
    config, state = info.config, info.state
    return StreamState(
        name=name,
        created=created_at(info),
        first_sequence=state.first_seq,
        last_sequence=state.last_seq,
        messages=state.messages,
        bytes=state.bytes,
        max_bytes=config.max_bytes or 0,
        max_age_seconds=config.max_age or 0.0,
    )


async def next_sequence(js: JetStreamContext, name: str, start: int) -> int | None:
    """The first sequence from `start` on that the stream holds, as its leader sees it.

    None when it holds none, or is gone; raises BrokerAwayError.
    """
    try:
        message = await js.get_msg(name, seq=start, subject=">", next=True)
    except NotFoundError:
        return None
    except (NatsError, TimeoutError, OSError) as error:
        raise BrokerAwayError(f"no answer about messages of {name}: {error}") from error
    return message.seq


async def fleet_streams(client: Client, timeout_seconds: float) -> dict[TenantId, str]:
    """Every tenant's stream by name; raises BrokerAwayError."""
    try:
        tenants = await tenants_with_streams(client, timeout_seconds=timeout_seconds)
    except TransientError as error:
        raise BrokerAwayError(str(error)) from error
    return {tenant: stream_name(tenant) for tenant in tenants}
