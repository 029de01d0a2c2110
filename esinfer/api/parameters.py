"""Query parameters, read as Elasticsearch reads them.

What a handler has not asked for when it is done is unrecognized. Source:
rest.md sections 1 and 7.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from esinfer import units
from esinfer.errors import BadBoolean, BadParameter, BadTimeValue, UnrecognizedParameters
from esinfer.similar import did_you_mean

COMMON = ("error_trace", "filter_path", "format", "human", "pretty")
"""Parameters that every route takes."""

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})(.{0,2})", re.DOTALL)


def check_escapes(text: str) -> None:
    """Refuse broken percent escapes in a path or a query."""
    match = _BAD_ESCAPE.search(text)
    if match is None:
        return
    rest = match[1]
    if not rest:
        problem = f"unterminated escape sequence at end of string: {text}"
    elif len(rest) == 1:
        problem = f"partial escape sequence at end of string: {text}"
    else:
        problem = f"invalid escape sequence `%{rest}' at index {match.start()} of: {text}"
    raise BadParameter(problem=problem)


class Parameters:
    """The query parameters of one request; the last of several with one name counts."""

    __slots__ = ("_read", "_values", "path")

    def __init__(self, path: str, query: str, path_names: Iterable[str] = ()) -> None:
        self.path = path
        self._values = _split(query) if query else {}
        self._read = {*COMMON, *path_names}

    def text(self, name: str) -> str | None:
        """The value as sent."""
        self._read.add(name)
        return self._values.get(name)

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """True for ``name``, ``name=`` and ``name=true``."""
        value = self.text(name)
        if value is None:
            return default
        if value in ("", "true"):
            return True
        if value == "false":
            return False
        raise BadBoolean(value=value)

    def time(self, name: str) -> float | None:
        """Seconds of a time value, None if absent or 0, which means the same."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return units.parse_time(value) or None
        except ValueError as error:
            raise BadTimeValue(name=name, value=value, problem=error) from None

    def reject_unknown(self) -> None:
        """Raise for every parameter that nobody has read."""
        unknown = sorted(self._values.keys() - self._read)
        if not unknown:
            return
        word = "parameter: " if len(unknown) == 1 else "parameters: "
        raise UnrecognizedParameters(
            path=self.path,
            parameters=word + ", ".join(self._suggest(name) for name in unknown),
        )

    def _suggest(self, name: str) -> str:
        hint = did_you_mean(name, self._read)
        return f"[{name}] -> {hint}" if hint else f"[{name}]"


def _split(query: str) -> dict[str, str]:
    """Names and values; ``;`` separates as ``&`` does, ``+`` is a blank."""
    values: dict[str, str] = {}
    for item in query.replace(";", "&").split("&"):
        name, equals, value = item.partition("=")
        if name:
            values[unquote_plus(name)] = unquote_plus(value) if equals else ""
    return values
