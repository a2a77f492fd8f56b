"""`routerfleet verify`: from options to an exit code."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from nats.errors import Error as NatsError

from fleet_cli.audit import Finding, StreamAudit, show_ranges
from fleet_cli.audit_reader import Audits, Simulator, reachable, read_audits
from fleet_cli.broker_access import broker_settings, connect_once
from fleet_cli.database import read_model
from fleet_cli.environment import SIMULATOR
from fleet_cli.expected import expected_errors, say
from fleet_cli.folder import DataFolder, load_kept
from fleet_cli.parameters import DEFAULT_DATA_DIR, AsJson, RunningDataDir
from fleet_cli.ports import LOOPBACK
from fleet_common.broker import close, jetstream
from fleet_common.errors import FleetError, TransientError
from fleet_common.settings import NatsSection

_UNREADABLE: Final = 2


@dataclass(frozen=True, slots=True)
class _Places:
    """Where everything is. `notes` say what is left out and why."""

    nats: NatsSection
    database_url: str
    simulator: Simulator | None
    notes: tuple[str, ...]


def verify(
    *,
    data_dir: RunningDataDir = DEFAULT_DATA_DIR,
    nats: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another NATS server than the demo's, with --database; its login comes from the "
            "FLEET_NATS__* variables.",
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The PostgreSQL database to compare with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Account for every message of every stream, from its first to its last.

    Compares the streams, the writer's positions and recorded losses, the keys in the tables, and
    the routers' own count of answered polls where they are simulated. What a stream still holds
    of days of which rows are no longer kept is shown as aged out. Starts and changes nothing;
    services may run meanwhile. Exits with 1 when a message is unaccounted for, and says where;
    with 2 when something could not be read.
    """
    if (nats is None) is not (database is None):
        raise typer.BadParameter("go together", param_hint="--nats and --database")
    try:
        places = _places(data_dir, nats, database)
        audits = asyncio.run(_read(places))
    except (FleetError, NatsError, ExceptionGroup) as error:
        expected = expected_errors(error)
        if expected is None:
            raise
        typer.echo("\n".join(map(say, expected)), err=True)
        raise typer.Exit(_UNREADABLE) from error
    notes = (*places.notes, *audits.notes)
    if as_json:
        sys.stdout.write(json.dumps(to_json(audits, notes)) + "\n")
    else:
        sys.stdout.write("\n".join(to_lines(audits, notes)) + "\n")
    raise typer.Exit(1 if audits.unaccounted else 0)


def _places(data_dir: Path, nats: str | None, database: str | None) -> _Places:
    if nats is not None and database is not None:
        note = "no simulator's ledger: the routers were not asked"
        return _Places(broker_settings(nats, data_dir), database, None, (note,))
    folder = DataFolder(data_dir.absolute())
    running = folder.running()
    if running is None:
        todo = "Name another folder with --data-dir"
        if folder.logs.exists():
            todo = "Start it again (its data is still there)"
        raise TransientError(
            f"no demo runs in {data_dir}: its NATS server and its database cannot be reached. "
            f"{todo}, or name both with --nats and --database"
        )
    simulator, notes = _simulator(folder)
    return _Places(broker_settings(None, data_dir), running.database_url, simulator, notes)


def _simulator(folder: DataFolder) -> tuple[Simulator | None, tuple[str, ...]]:
    process = next((one for one in folder.started_processes() if one.name == SIMULATOR), None)
    port = load_kept(folder).ports.get(SIMULATOR)
    if process is None or port is None:
        return None, ("no simulator runs: the routers' own counts are not compared",)
    started = datetime.fromtimestamp(process.started, UTC)
    return Simulator(f"http://{LOOPBACK}:{port}/ledger", started), ()


async def _read(places: _Places) -> Audits:
    client = await connect_once(places.nats, "routerfleet-verify")
    try:
        js = jetstream(client, places.nats)
        await reachable(js)
        async with read_model(places.database_url) as model:
            return await read_audits(client, js, model, places.simulator)
    except TimeoutError as error:
        raise TransientError("NATS does not answer in time") from error
    finally:
        await close(client)


def to_json(audits: Audits, notes: tuple[str, ...]) -> dict[str, object]:
    """`unaccounted`, `streams` by name with every term of the balance, `polls`, `notes`."""
    return {
        "unaccounted": audits.unaccounted,
        "streams": {name: _stream_json(one) for name, one in audits.streams.items()},
        "gone": {name: _findings_json(found) for name, found in audits.gone.items()},
        "polls": None
        if audits.polls is None
        else {
            "answered": audits.polls.answered,
            "recorded": audits.polls.recorded,
            "not_recorded": audits.polls.not_recorded,
            "problems": _findings_json(audits.poll_findings),
        },
        "notes": list(notes),
    }


def _stream_json(one: StreamAudit) -> Mapping[str, object]:
    return {
        "published": one.published,
        "earlier": one.earlier,
        "stored": one.stored,
        "rejected": one.rejected,
        "lost": one.lost,
        "lost_ranges": one.lost_ranges,
        "discarded": one.discarded,
        "discarded_ranges": one.discarded_ranges,
        "unread": one.unread,
        "removed_ranges": one.removed,
        "aged_out_ranges": one.aged_out,
        "rows_counted": one.rows.counted,
        "rows_found": one.rows.found,
        "unaccounted": one.unaccounted,
        "problems": _findings_json(one.findings),
    }


def _findings_json(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {"problem": one.problem.name.lower(), "count": one.count, "ranges": one.ranges}
        for one in findings
    ]


def to_lines(audits: Audits, notes: tuple[str, ...]) -> list[str]:
    """For a person: a block a stream, then what was compared beside it."""
    lines: list[str] = []
    for name, one in audits.streams.items():
        lines += _stream_lines(name, one)
    for name, findings in audits.gone.items():
        lines.append(f"{name}: not on the broker any more; its rows and counts were compared")
        lines += [f"  UNACCOUNTED {finding}" for finding in findings]
    if audits.polls is not None:
        polls = audits.polls
        lines.append(
            f"routers: {polls.answered:,} polls answered since they started, {polls.recorded:,} "
            f"recorded, {polls.not_recorded:,} under way or ended with a poller"
        )
        lines += [f"  UNACCOUNTED {finding}" for finding in audits.poll_findings]
    lines += [f"note: {note}" for note in notes]
    if not audits.streams and not audits.gone:
        lines.append("there is no stream and no position: nothing to account for")
    verdict = "every message is accounted for"
    if audits.unaccounted:
        verdict = f"{audits.unaccounted:,} unaccounted for"
    return [*lines, verdict]


def _stream_lines(name: str, one: StreamAudit) -> list[str]:
    terms = {
        "by an earlier position": one.earlier,
        "stored": one.stored,
        "rejected": one.rejected,
        "recorded as lost": one.lost,
        "discarded before stored": one.discarded,
        "unread in the stream": one.unread,
    }
    shown = " + ".join(f"{count:,} {what}" for what, count in terms.items() if count)
    lines = [f"{name}: {one.published:,} published = {shown or '0'}"]
    if one.lost_ranges:
        lines.append(f"  recorded as lost: sequences {show_ranges(one.lost_ranges)}")
    if one.discarded_ranges:
        lines.append(f"  discarded before stored: {show_ranges(one.discarded_ranges)}")
    if one.removed:
        lines.append(
            f"  taken out of the stream after they were stored: sequences "
            f"{show_ranges(one.removed)}"
        )
    if one.aged_out:
        lines.append(
            f"  aged out: sequences {show_ranges(one.aged_out)}, older than their rows are kept"
        )
    lines += [f"  UNACCOUNTED {finding}" for finding in one.findings]
    return lines
