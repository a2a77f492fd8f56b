"""Processes on their leash, supervision, and what a dead runner left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from fleet_cli import supervisor as supervisor_module
from fleet_cli.folder import DataFolder, FolderInUseError, FolderLock, StartedProcess, open_folder
from fleet_cli.log_lines import last_lines
from fleet_cli.postgres_process import passable_by_others
from fleet_cli.processes import (
    Account,
    ProcessSpec,
    bound_log,
    end_left_over,
    leash_command,
    start_process,
)
from fleet_cli.restarts import RestartPolicy
from fleet_cli.supervisor import Supervisor
from fleet_common.errors import TransientError
from support.waiting import eventually

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
DEAF = (
    sys.executable,
    "-c",
    (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(600)"
    ),
)
QUICK = RestartPolicy(first_delay=0.05, longest_delay=0.1, failures_to_report=2)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return open_folder(tmp_path / "demo")


def spec(folder: DataFolder, *command: str, grace_seconds: float = 5.0) -> ProcessSpec:
    return ProcessSpec(
        name="thing", command=command, log=folder.log("thing"), grace_seconds=grace_seconds
    )


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("pipe", [False, True], ids=["death-signal", "pipe"])
async def test_a_process_ends_when_the_one_that_started_it_is_killed(
    folder: DataFolder, *, pipe: bool
) -> None:
    if not pipe and sys.platform != "linux":
        pytest.skip("only Linux has a death signal")
    # A runner of its own, because its death is what is tested.
    words = leash_command(spec(folder, *SLEEP), 0, pipe=pipe)
    runner = textwrap.dedent(
        f"""
        import os, subprocess, sys, time
        words = {words!r}
        words[words.index("--parent") + 1] = str(os.getpid())
        child = subprocess.Popen(words, stdin=subprocess.PIPE)
        print(child.pid, flush=True)
        time.sleep(600)
        """
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", runner, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(10):
        pid = int(await process.stdout.readline())
    await eventually(
        lambda: psutil.Process(pid).cmdline(),
        lambda words: words == list(SLEEP),
        what="the command in the leash's place",
    )
    process.kill()
    await process.wait()
    await eventually(lambda: lives(pid), lambda alive: not alive, what="the child's end")


async def test_a_leash_whose_parent_is_gone_starts_nothing(folder: DataFolder) -> None:
    mark = folder / "mark"
    words = leash_command(
        spec(folder, sys.executable, "-c", f"open({str(mark)!r}, 'w')"), 1, pipe=False
    )
    process = await asyncio.create_subprocess_exec(*words)
    assert await process.wait() == 0
    assert not mark.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up")
@pytest.mark.parametrize("reach", [False, True])
async def test_an_unprivileged_process_reaches_a_closed_folder_only_when_told(
    folder: DataFolder, *, reach: bool
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("inside")
    (closed / "file").chmod(0o600)
    assert not passable_by_others(closed)
    child = await start_process(
        ProcessSpec(
            name="thing",
            command=("/bin/sh", "-c", f"id -u; cat {closed / 'file'}"),
            log=folder.log("thing"),
            environment={"PATH": os.defpath},
            account=Account("nobody", reach=reach),
        ),
        os.getpid(),
    )
    async with asyncio.timeout(10):
        code = await child.wait()
    said = last_lines(folder.log("thing"))
    assert said[0] != "0"
    assert ("inside" in said) == reach
    assert (code == 0) == reach


async def test_a_process_that_dies_is_started_again_and_one_that_keeps_dying_is_reported(
    folder: DataFolder,
) -> None:
    told: list[str] = []
    supervisor = Supervisor(folder, told.append, QUICK)
    await supervisor.start(
        spec(folder, sys.executable, "-c", "print('cannot work: no paper'); raise SystemExit(1)")
    )
    await eventually(lambda: supervisor.restarts, lambda count: count >= 2, what="two restarts")
    await supervisor.stop(["thing"])
    assert "exit code 1" in told[0]
    assert "cannot work: no paper" not in told[0]
    assert "keeps failing" in told[1]
    assert "cannot work: no paper" in told[1]


async def test_a_killed_process_comes_back_with_another_pid(folder: DataFolder) -> None:
    supervisor = Supervisor(folder, lambda _: None, QUICK)
    await supervisor.start(spec(folder, *SLEEP))
    first = supervisor.pid("thing")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    second = await eventually(
        lambda: supervisor.pid("thing"), lambda pid: pid not in {None, first}, what="a new pid"
    )
    assert second is not None
    assert [one.pid for one in folder.started_processes()] == [second]
    await supervisor.stop(["thing"])
    assert not lives(second)
    assert folder.started_processes() == ()


async def test_a_process_that_the_system_will_not_start_is_tried_again_until_it_does(
    folder: DataFolder,
) -> None:
    told: list[str] = []
    supervisor = Supervisor(folder, told.append, QUICK)
    await supervisor.start(spec(folder, *SLEEP))
    first = supervisor.pid("thing")
    assert first is not None
    # No log, no process: nothing can be started until there is room for one.
    logs = folder.logs.rename(folder / "elsewhere")
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: told, lambda lines: any("cannot be started" in one for one in lines))
    assert supervisor.pid("thing") is None
    logs.rename(folder.logs)
    second = await eventually(lambda: supervisor.pid("thing"), bool, what="a new process")
    assert second is not None
    assert sum("cannot be started" in one for one in told) == 1
    await supervisor.stop(["thing"])
    assert not lives(second)


async def test_a_process_that_cannot_be_started_now_may_be_tried_again(folder: DataFolder) -> None:
    supervisor = Supervisor(folder, lambda _: None, QUICK)
    logs = folder.logs.rename(folder / "elsewhere")
    # A broker that is away is waited for in the same way: the run goes on.
    with pytest.raises(TransientError, match=r"thing cannot be started: .*No such file"):
        await supervisor.start(spec(folder, *SLEEP))
    assert supervisor.names == ()
    logs.rename(folder.logs)
    await supervisor.start(spec(folder, *SLEEP))
    assert supervisor.pid("thing") is not None
    await supervisor.stop(["thing"])


async def test_a_log_that_cannot_be_shortened_is_told_and_ends_nothing(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_MAX_LOG_BYTES", 4)
    told: list[str] = []
    supervisor = Supervisor(folder, told.append, QUICK)
    await supervisor.start(spec(folder, *SLEEP))
    log = folder.log("thing")
    log.write_text("much to say")
    # Where its older half would go, nothing can be written.
    log.with_suffix(".log.1").mkdir()
    supervisor.bound_logs()
    assert told == [f"log {log} cannot be shortened: Is a directory"]
    assert supervisor.pid("thing") is not None
    await supervisor.stop(["thing"])


async def test_a_process_that_ignores_the_stop_is_killed_after_its_grace(
    folder: DataFolder,
) -> None:
    supervisor = Supervisor(folder, lambda _: None)
    await supervisor.start(spec(folder, *DEAF, grace_seconds=0.3))
    await eventually(lambda: last_lines(folder.log("thing")), bool, what="its first line")
    assert await supervisor.stop(["thing"]) == {"thing": -signal.SIGKILL}


def test_what_a_dead_runner_left_is_ended_and_nobody_else() -> None:
    ours, other = (subprocess.Popen(SLEEP) for _ in range(2))  # noqa: S603 - our own interpreter
    try:
        started = psutil.Process(ours.pid).create_time()
        ended = end_left_over(
            (
                StartedProcess(name="ours", pid=ours.pid, started=started),
                # The pid of a process that has gone now belongs to somebody else.
                StartedProcess(name="gone", pid=other.pid, started=started - 3600),
            )
        )
        assert [one.name for one in ended] == ["ours"]
        assert ours.poll() is not None
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_a_folder_in_use_says_by_whom(folder: DataFolder) -> None:
    lock = FolderLock(folder)
    lock.acquire()
    with pytest.raises(FolderInUseError, match="--data-dir"):
        FolderLock(folder).acquire()
    lock.release()
    again = FolderLock(folder)
    again.acquire()
    again.release()


def test_a_log_keeps_its_newest_half_when_it_is_too_large(folder: DataFolder) -> None:
    log = folder.log("thing")
    with log.open("ab") as writer:
        writer.write(b"".join(b"%09d\n" % number for number in range(1000)))
        writer.flush()
        assert bound_log(log, 5000)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert last_lines(log.with_suffix(".log.1"), 1) == ["000000999"]
    assert not bound_log(log, 5000)


def test_last_lines_of_a_log_that_is_not_there_are_none(folder: DataFolder) -> None:
    before = time.monotonic()
    assert last_lines(folder.log("nothing")) == []
    assert time.monotonic() - before < 1
