"""The command line itself: help, options that do not go together, Ctrl-C, figures in words."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fleet_cli import __main__ as entry
from fleet_cli import commands
from fleet_cli.commands import build_app
from fleet_cli.figures import Figures, StreamSize
from fleet_cli.shards import describe
from fleet_cli.status import status_line
from fleet_cli.words import counted

MIB = 1024**2


def run(*words: str) -> tuple[int, str]:
    """Exit code and what was printed, on a terminal of 80 columns without its colours."""
    result = CliRunner(env={"COLUMNS": "80"}).invoke(build_app(), list(words))
    return result.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def test_an_early_ctrl_c_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "build_app", interrupted)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_imports_that_take_long_are_inside_what_ctrl_c_ends() -> None:
    code = "import sys, fleet_cli.__main__; print('fleet_cli.commands' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"


def test_a_paragraph_of_help_is_broken_where_the_terminal_ends() -> None:
    code, output = run("demo", "--help")
    assert code == 0
    lines = [line.strip() for line in output.splitlines()]
    begin = next(number for number, line in enumerate(lines) if line.startswith("Ctrl-C stops"))
    paragraph = lines[begin : lines.index("", begin)]
    assert all(len(line) > 60 for line in paragraph[:-1]), paragraph


@pytest.mark.parametrize("option", ["--devices", "--tenants", "--seed"])
def test_options_of_simulated_routers_do_not_go_with_a_fleet_file(option: str) -> None:
    code, output = run("demo", "--fleet", "fleet.yaml", option, "7")
    assert code == 2
    assert option in output
    assert "simulated" in output


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--password-file", "x"), "--router"),
        (("--tls", "anonymous"), "--router"),
        (("--fingerprint", "x"), "--router"),
        (("--credentials-dir", "x"), "--fleet"),
    ],
)
def test_the_doctor_refuses_an_option_that_would_do_nothing(
    words: tuple[str, ...], named: str
) -> None:
    code, output = run("doctor", *words)
    assert code == 2
    assert f"goes with {named}" in output


def test_a_missing_password_file_is_named_once_and_in_words() -> None:
    code, output = run("doctor", "--router", "192.0.2.1", "--password-file", "nowhere")
    assert code == 2
    assert "nowhere: No such file or directory" in output
    assert "Errno" not in output


def test_a_tenant_s_name_is_whole_on_a_narrow_terminal() -> None:
    code, output = run("capacity")
    assert code == 0
    assert "\u2502 tenant-3 " in output
    assert "15.5 MiB" in output
    assert "\u2026" not in output


def test_verify_promises_data_only_where_there_is_some(tmp_path: Path) -> None:
    code, output = run("verify", "--data-dir", str(tmp_path / "nowhere"))
    assert code == 2
    assert "still there" not in output
    (tmp_path / "demo" / "logs").mkdir(parents=True)
    assert "still there" in run("verify", "--data-dir", str(tmp_path / "demo"))[1]


def test_the_status_line_of_many_tenants_names_the_fullest_stream_only() -> None:
    streams = [StreamSize(f"tenant-{n}", n * MIB, 10 * MIB, 1) for n in range(1, 6)]
    line = status_line(5, None, None, Figures(streams=streams), 1)
    assert "streams 15.0 MiB of 50.0 MiB, fullest tenant-5 50%" in line
    assert line.endswith("1 restart")


def test_a_tenant_whose_devices_nobody_has_is_not_left_blank() -> None:
    assert describe({"north": {}, "south": {"shard-0": 3}}) == [
        "north: none yet",
        "south: shard-0 3",
    ]


def test_one_is_not_many() -> None:
    assert [counted(number, "device") for number in (0, 1, 1204)] == [
        "0 devices", "1 device", "1,204 devices",
    ]  # fmt: skip
