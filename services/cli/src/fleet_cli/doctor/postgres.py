"""Checks of a PostgreSQL server."""

from importlib import resources
from typing import Final

from fleet_cli.database import Schema, read_model
from fleet_cli.doctor.result import Result, fail, ok, warn
from fleet_common.errors import TransientError

OLDEST_SERVER: Final = 14


async def check_database(url: str) -> list[Result]:
    """Reachable, new enough, migrated to this version's tables, TimescaleDB or not."""
    try:
        async with read_model(url) as model:
            results = [judge_version(await model.server_version())]
            try:
                schema = await model.schema()
            except TransientError as error:
                return [*results, not_migrated(str(error))]
            return [*results, *judge_schema(schema, known_migrations())]
    except (TransientError, ValueError) as error:
        return [
            fail(
                "postgresql",
                str(error),
                "check --database postgresql://USER:PASSWORD@HOST:PORT/NAME, that the server "
                "runs and that pg_hba.conf lets this user in",
            )
        ]


def judge_version(version: str) -> Result:
    """`18.4 (Debian …)`."""
    major = version.partition(".")[0].partition(" ")[0]
    if major.isdigit() and int(major) < OLDEST_SERVER:
        return fail("postgresql", f"server {version}", f"upgrade to {OLDEST_SERVER} or later")
    return ok("postgresql", f"server {version} answers")


def known_migrations() -> tuple[str, ...]:
    """The migrations of the installed writer."""
    entries = resources.files("fleet_writer").joinpath("migrations").iterdir()
    return tuple(sorted(entry.name for entry in entries if entry.name.endswith(".sql")))


def not_migrated(reason: str) -> Result:
    """A database nobody has prepared yet."""
    return warn("migrations", reason, "the writer applies them when it first starts")


def judge_schema(schema: Schema, known: tuple[str, ...]) -> list[Result]:
    """Whether tables and code belong together."""
    results: list[Result] = []
    newer = [name for name in schema.migrations if name not in known]
    waiting = [name for name in known if name not in schema.migrations]
    if newer:
        results.append(
            fail(
                "migrations",
                f"the database has {', '.join(newer)}, which this version does not know",
                "use the version that migrated it, or a later one: there is no way back",
            )
        )
    elif waiting:
        advice = "the writer applies them at its next start"
        results.append(warn("migrations", f"not applied yet: {', '.join(waiting)}", advice))
    else:
        results.append(ok("migrations", f"all {len(known)} applied"))
    if schema.timescaledb is None:
        results.append(ok("timescaledb", "not installed; plain partitions are used"))
    else:
        results.append(ok("timescaledb", f"version {schema.timescaledb} is used"))
    return results
