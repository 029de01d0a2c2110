"""Time values and byte sizes in Elasticsearch's notation: ``30s``, ``50mb``.

Read by the configuration and by the query parameters; the caller words the
error, since Elasticsearch words it differently in each place.
"""

from __future__ import annotations

import re

_NANOS = {
    "nanos": 1,
    "micros": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_TIME = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(nanos|micros|ms|s|m|h|d)\s*", re.IGNORECASE)
_BYTES = {"b": 0, "kb": 10, "mb": 20, "gb": 30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)\s*", re.IGNORECASE)

TIME_PATTERN = r"^\s*(?:0|\d+(?:\.\d+)?\s*(?:nanos|micros|[mM]?[sS]|[mM]|[hH]|[dD]))\s*$"
SIZE_PATTERN = r"^\s*\d+(?:\.\d+)?\s*[kKmMgG]?[bB]\s*$"
"""For documentation: what the expressions above take, in the regular expressions of JSON Schema."""

NO_UNIT = "unit is missing or unrecognized"
NEGATIVE = "negative durations are not supported"


def parse_time(text: str) -> float:
    """Seconds of a time value; ValueError with Elasticsearch's words for what is wrong."""
    if text.strip() == "0":
        return 0.0
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(NO_UNIT)
    number, unit = match.groups()
    if number.startswith("-"):
        raise ValueError(NEGATIVE)
    return float(number) * _NANOS[unit.lower()] / 1e9


def format_time(seconds: float) -> str:
    """A duration as ``TimeValue.toString`` prints it: ``30s``, ``1.5m``, ``200ms``."""
    nanos = round(seconds * 1e9)
    if nanos == 0:
        return "0s"
    for unit in ("d", "h", "m", "s", "ms", "micros"):
        if nanos >= _NANOS[unit]:
            tenths = nanos * 10 // _NANOS[unit]
            whole, tenth = divmod(tenths, 10)
            return f"{whole}.{tenth}{unit}" if tenth else f"{whole}{unit}"
    return f"{nanos}nanos"


def parse_size(text: str) -> int:
    """Bytes of a size such as ``50mb`` (powers of 1024); ValueError if it is none."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("expected a byte size such as [50mb]")
    number, unit = match.groups()
    return int(float(number) * (1 << _BYTES[unit.lower()]))
