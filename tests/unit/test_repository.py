"""Rules of the repository that no linter holds."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES_AT_MOST = 600
SOURCE_FOLDERS = ("proto/src", "services", "operator", "tests", "tools")
LOCAL_PATH = re.compile(r"/(?:root|home|work)/[a-z.]")
DOWNLOAD_HOST = re.compile(r"files\.pythonhosted\.org|pypi\.org/simple|registry\.npmjs\.org")


def committed_files() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - git of this machine
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=30,
    ).stdout.decode()
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in SOURCE_FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if "gen" not in path.parts
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_AT_MOST
    }
    assert long == {}


def test_the_operator_folder_does_not_shadow_the_standard_library() -> None:
    directly_inside = [path.name for path in (ROOT / "operator").glob("*.py")]
    assert directly_inside == []


@pytest.mark.parametrize("pattern", [LOCAL_PATH, DOWNLOAD_HOST], ids=["local-path", "registry"])
def test_no_committed_file_names_this_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    this_file = Path(__file__).resolve()
    hits = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in committed_files()
        if path != this_file and (text := text_of(path)) and (match := pattern.search(text))
    ]
    assert hits == []


def test_every_pinned_package_has_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9._-]+==[^\n]*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9._-]+==", lock, re.MULTILINE)) > 0


def test_make_help_names_every_documented_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],  # noqa: S607 - make of this machine
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout
    for target in ("help", "setup", "demo", "test", "lint", "typecheck", "generate", "bench"):
        assert re.search(rf"^\s+{target}\s+\S", shown, re.MULTILINE), target
    assert re.search(r"^\s+clean\s+\S", shown, re.MULTILINE)
