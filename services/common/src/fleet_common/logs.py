"""Logging: one JSON object a line, or text for a terminal. Fields go in `extra`."""

import logging
import sys
import time
from typing import override

from pythonjsonlogger.json import JsonFormatter

from fleet_common.settings import LogSection

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """`12:00:00 warning poller: message key=value …`."""

    def __init__(self, service: str) -> None:
        super().__init__("%(asctime)s", "%H:%M:%S")
        self._service = service

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(
            f"{key}={value}" for key, value in vars(record).items() if key not in _STANDARD_FIELDS
        )
        line = (
            f"{self.formatTime(record, self.datefmt)} {record.levelname.lower()} "
            f"{self._service}: {record.getMessage()}"
        )
        if fields:
            line = f"{line} {fields}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _json_formatter(service: str) -> JsonFormatter:
    formatter = JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        static_fields={"service": service},
    )
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    return formatter


def configure_logging(service: str, settings: LogSection) -> None:
    """Send all records to standard error in the chosen form; replaces earlier handlers."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.format == "json":
        handler.setFormatter(_json_formatter(service))
    else:
        handler.setFormatter(TextFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level)
    # Access logs and reconnect chatter belong to debugging.
    for noisy in ("uvicorn.access", "uvicorn.error", "nats.aio.client", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
