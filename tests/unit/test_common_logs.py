import json
import logging
import re
from collections.abc import Iterator

import pytest

from fleet_common.logs import configure_logging
from fleet_common.settings import LogSection


@pytest.fixture(autouse=True)
def restored_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_line_has_time_level_logger_service_message_and_the_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("poller", LogSection())
    logging.getLogger("fleet_poller.x").warning("router is slow", extra={"device": "r1", "n": 3})
    record = json.loads(capsys.readouterr().err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    assert record == {
        "level": "WARNING",
        "logger": "fleet_poller.x",
        "service": "poller",
        "message": "router is slow",
        "device": "r1",
        "n": 3,
    }


def test_every_record_is_one_line_of_json_whatever_is_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("poller", LogSection())
    log = logging.getLogger("fleet_poller.x")
    log.info("two\nlines", extra={"comment": 'Büro "1"\n', "what": object()})
    try:
        int("why")
    except ValueError:
        log.exception("failed")
    lines = capsys.readouterr().err.splitlines()
    records = [json.loads(line) for line in lines]
    assert records[0]["message"] == "two\nlines"
    assert records[0]["comment"] == 'Büro "1"\n'
    assert "ValueError: invalid literal" in records[1]["exc_info"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("poller", LogSection(format="text"))
    logging.getLogger("fleet_poller.x").info("polled", extra={"device": "r1"})
    line = capsys.readouterr().err
    assert re.fullmatch(r"\d\d:\d\d:\d\d info poller: polled device=r1\n", line)


def test_the_level_is_kept_and_chatter_of_libraries_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("poller", LogSection(level="WARNING"))
    logging.getLogger("fleet_poller").info("not shown")
    configure_logging("poller", LogSection(level="DEBUG"))
    logging.getLogger("httpx").info("not shown")
    logging.getLogger("uvicorn.access").info("not shown")
    logging.getLogger("fleet_poller").debug("shown")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == [
        "shown"
    ]
