"""A writer's connection that breaks: the database is away, in whatever way it shows."""

from typing import cast

import asyncpg
import pytest

from fleet_writer.database import Connection
from fleet_writer.errors import DatabaseAwayError


class BrokenConnection:
    def __init__(self, error: Exception) -> None:
        self._error = error
        self.terminated = False

    async def fetch(self, *_arguments: object) -> list[asyncpg.Record]:
        raise self._error

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's signature
        del timeout
        raise self._error

    def terminate(self) -> None:
        self.terminated = True


BROKEN = pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("cannot switch to state 12; another operation is in progress"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)


@BROKEN
async def test_every_way_in_which_a_connection_breaks_means_away(error: Exception) -> None:
    broken = cast("asyncpg.Connection[asyncpg.Record]", BrokenConnection(error))
    with pytest.raises(DatabaseAwayError):
        await Connection(broken).fetch("SELECT 1")


@BROKEN
async def test_a_connection_that_cannot_be_closed_is_cut(error: Exception) -> None:
    broken = BrokenConnection(error)
    await Connection(cast("asyncpg.Connection[asyncpg.Record]", broken)).close()
    assert broken.terminated
