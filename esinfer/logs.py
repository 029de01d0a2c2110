"""Log lines on standard error, as text or as JSON objects with Elasticsearch's names.

The record of what is called where stays with the standard library's logging;
`configure` is called once, by the command line.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_NAMES = {logging.WARNING: "WARN", logging.CRITICAL: "FATAL"}
_DATASETS = {"esinfer.access": "esinfer.access"}
_CONTROLS = {
    code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
}
"""Those of ASCII and of Latin-1, and the two separators of lines, which terminals obey as well."""


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, record.levelname)


REQUEST_IDS: ContextVar[dict[str, str]] = ContextVar("request_ids", default={})  # noqa: B039 -- never changed
"""What JSON lines about the request that is being answered have in common, such as ``trace.id``."""


class TextFormatter(logging.Formatter):
    """``2026-01-01T00:00:00.000Z WARN  esinfer.x message``, a stack trace on the lines below.

    Control characters in the message are escaped, so that what a caller sent
    cannot look like a log line of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the base's name
        message = record.message.translate(_CONTROLS)
        return f"{_timestamp(record)} {_level(record):5} {record.name} {message}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the member names of ECS, as in Elasticsearch's own logs.

    What a record's ``ecs`` holds (given with ``extra``) comes as it is.
    Source: https://www.elastic.co/docs/reference/ecs.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "@timestamp": _timestamp(record),
            "log.level": _level(record),
            "log.logger": record.name,
            "message": record.getMessage(),
            "ecs.version": "1.2.0",
            "service.name": "esinfer",
            "event.dataset": _DATASETS.get(record.name, "esinfer.server"),
            "process.pid": os.getpid(),
            **REQUEST_IDS.get(),
            **getattr(record, "ecs", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error.type"] = record.exc_info[0].__name__
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(log_format: str, level: str) -> None:
    """Send all logging to standard error; ``text`` or ``json``, from ``level`` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
