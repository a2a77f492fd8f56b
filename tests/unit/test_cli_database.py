"""A reader's connection that breaks is a passing trouble, in whatever way it breaks."""

import asyncio
from typing import cast

import asyncpg
import pytest

from fleet_cli.database import ReadModel
from fleet_common.errors import TransientError


class BrokenConnection:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def fetch(self, *_arguments: object) -> list[asyncpg.Record]:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 12; another operation is in progress"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InterfaceError("connection is closed"),
        asyncio.IncompleteReadError(b"", 5),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_way_in_which_a_connection_breaks_is_transient(error: Exception) -> None:
    broken = cast("asyncpg.Connection[asyncpg.Record]", BrokenConnection(error))
    with pytest.raises(TransientError):
        await ReadModel(broken).positions()
