"""What the writer asks the broker about streams."""

from typing import Any, Final, cast

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from fleet_common.broker import created_at
from fleet_contracts.subjects import BadNameError, TenantId, tenant_id
from fleet_writer.errors import BrokerAwayError
from fleet_writer.positions import StreamState

_STREAM_PREFIX: Final = "FLEET_"


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


async def fleet_streams(client: Client, timeout_seconds: float) -> dict[TenantId, str]:
    """Every FLEET_* stream with a tenant's name; raises BrokerAwayError.

    Streams of other names are none of our business.
    """
    found: dict[TenantId, str] = {}
    offset = 0
    while True:
        request = orjson.dumps({"offset": offset})
        try:
            reply = await client.request("$JS.API.STREAM.NAMES", request, timeout=timeout_seconds)
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerAwayError(f"no list of streams: {error}") from error
        document = cast("dict[str, Any]", orjson.loads(reply.data))
        if "error" in document:
            raise BrokerAwayError(f"no list of streams: {document['error']}")
        names = cast("list[str]", document.get("streams") or [])
        for name in names:
            if name.startswith(_STREAM_PREFIX):
                try:
                    found[tenant_id(name.removeprefix(_STREAM_PREFIX))] = name
                except BadNameError:
                    continue
        offset += len(names)
        if not names or offset >= int(document.get("total", 0)):
            return found
