"""Log lines on standard error, as text or as JSON objects with Elasticsearch's names.

The record of what is called where stays with the standard library's logging;
`configure` is called once, by the command line.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_NAMES = {logging.WARNING: "WARN", logging.CRITICAL: "FATAL"}
_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), 127)}


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, record.levelname)


class TextFormatter(logging.Formatter):
    """``2026-01-01T00:00:00.000Z WARN  esinfer.x message``, a stack trace on the lines below.

    Control characters in the message are escaped, so that what a caller sent
    cannot look like a log line of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the base's name
        message = record.message.translate(_CONTROLS)
        return f"{_timestamp(record)} {_level(record):5} {record.name} {message}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the member names of Elasticsearch's own logs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "@timestamp": _timestamp(record),
            "log.level": _level(record),
            "log.logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(log_format: str, level: str) -> None:
    """Send all logging to standard error; ``text`` or ``json``, from ``level`` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
