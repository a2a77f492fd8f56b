"""What the writer asks the broker about streams."""

from datetime import datetime

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from fleet_common.broker import created_at
from fleet_common.errors import TransientError
from fleet_common.jetstream_api import Answer, ask
from fleet_common.tenant_streams import tenants_with_streams
from fleet_contracts.streams import WRITER_CONSUMER
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
    return StreamState(
        name=name,
        created=created_at(info),
        first_sequence=info.state.first_seq,
        last_sequence=info.state.last_seq,
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


async def published_at(
    client: Client, name: str, timeout_seconds: float, sequence: int
) -> datetime | None:
    """When a message was published, to the microsecond, as the stream's leader has it.

    None when the stream does not hold it; raises BrokerAwayError.
    """
    answer = await _ask(client, f"STREAM.MSG.GET.{name}", {"seq": sequence}, timeout_seconds)
    # The server gives nanoseconds; what is behind the microseconds is cut off, not rounded.
    return datetime.fromisoformat(answer["message"]["time"]) if answer else None


async def acknowledged_sequence(client: Client, name: str, timeout_seconds: float) -> int | None:
    """How far the stream is stored, as the writer's consumer tells (see source).

    None when there is no such consumer; raises BrokerAwayError.
    """
    operation = f"CONSUMER.INFO.{name}.{WRITER_CONSUMER}"
    answer = await _ask(client, operation, {}, timeout_seconds)
    return answer["ack_floor"]["stream_seq"] if answer else None


async def fleet_streams(client: Client, timeout_seconds: float) -> dict[TenantId, str]:
    """Every tenant's stream by name; raises BrokerAwayError."""
    try:
        tenants = await tenants_with_streams(client, timeout_seconds=timeout_seconds)
    except TransientError as error:
        raise BrokerAwayError(str(error)) from error
    return {tenant: stream_name(tenant) for tenant in tenants}


async def _ask(client: Client, operation: str, body: Answer, timeout_seconds: float) -> Answer:
    try:
        return await ask(client, operation, body, timeout_seconds)
    except TransientError as error:
        raise BrokerAwayError(str(error)) from error
