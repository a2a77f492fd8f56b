"""Which NATS server a command talks to: the one named, or the running demo's."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import SecretStr

from fleet_cli.folder import DataFolder
from fleet_common.broker import connect
from fleet_common.errors import ConfigurationError, TransientError
from fleet_common.settings import (
    NatsSection,
    ServiceSettings,
    load_settings,
    without_credentials,
)

_CONNECT_SECONDS: Final = 5.0


def broker_settings(url: str | None, data_dir: Path) -> NatsSection:
    """For a URL the FLEET_NATS__* settings with that URL; otherwise the running demo's.

    Raises TransientError when neither is there.
    """
    if url is not None:
        return load_settings(ServiceSettings).nats.model_copy(update={"url": url})
    running = DataFolder(data_dir.absolute()).running()
    if running is None:
        raise TransientError(
            f"no demo runs in {data_dir}: start one with `routerfleet demo`, name its folder "
            "with --data-dir, or name a server with --nats nats://HOST:PORT"
        )
    return NatsSection(url=running.nats_url, token=SecretStr(running.nats_token))


async def connect_once(settings: NatsSection, name: str) -> Client:
    """Connect, but do not wait for a server that is not there.

    Raises TransientError, and ConfigurationError for a URL that is none.
    """
    shown_url = without_credentials(settings.url)
    heard = _Heard()
    logger = logging.getLogger(connect.__module__)
    logger.addHandler(heard)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await connect(settings, name)
    except TimeoutError:
        raise TransientError(
            f"no NATS server at {shown_url} lets us in within {_CONNECT_SECONDS:g} s "
            f"({heard.reason or 'no answer'}): check address, FLEET_NATS__TOKEN or "
            "FLEET_NATS__USER and FLEET_NATS__PASSWORD, and that the server runs"
        ) from None
    except NatsError as error:  # of a server that is away, or refuses, it is not told
        raise ConfigurationError(f"{shown_url}: {error}") from error
    finally:
        logger.removeHandler(heard)


class _Heard(logging.Handler):
    """What the client complains of goes into the one message, not beside it."""

    reason = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the newest reason."""
        self.reason = str(getattr(record, "reason", "")) or record.getMessage()
