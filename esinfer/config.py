"""Every setting, declared once, and how a ``Config`` is read.

Defaults < a TOML file < environment variables ``ESINFER_SECTION__KEY`` <
``--set section.key=value``. A field's declaration says how its value is read,
what is allowed and what it means; ``conf/esinfer.toml`` repeats all of them,
and a test compares the two. Only ``app`` and ``cli`` import this module.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from esinfer.units import parse_size, parse_time

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line that says where and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[T]):
    """What a field of a section declares beside its type and default.

    ``read`` takes the value as TOML holds it and ``convert`` makes that out of
    the text of an environment variable or of ``--set``; whatever either raises
    means that the value is not ``expected``. The value of a ``secret`` is never
    shown.
    """

    comment: str
    expected: str
    read: Callable[[object], T]
    convert: Callable[[str], object] = str
    secret: bool = False


_READ_ERRORS = (ValueError, TypeError, LookupError, OverflowError)


def _declare(default: object, setting: Setting[T]) -> T:
    """A dataclass field; ``default`` as TOML holds it."""
    return field(
        default=setting.read(default), repr=not setting.secret, metadata={"setting": setting}
    )


def _exactly(kind: type[T], value: object) -> T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError
    return value


def _within(low: float, value: float, high: float) -> None:
    if not low <= value <= high:  # also refuses nan
        raise ValueError


def _text(default: str, comment: str, *, expected: str, pattern: str = r"[^\x00-\x1f\x7f]+") -> str:
    def read(value: object) -> str:
        text = _exactly(str, value)
        if re.fullmatch(pattern, text) is None:
            raise ValueError
        return text

    return _declare(default, Setting(comment=comment, expected=expected, read=read))


def _secret(default: str, comment: str) -> str:
    def read(value: object) -> str:
        return _exactly(str, value)

    expected = "a string in quotes"
    return _declare(default, Setting(comment=comment, expected=expected, read=read, secret=True))


def _choice(default: str, comment: str, *choices: str) -> str:
    def read(value: object) -> str:
        return choices[choices.index(_exactly(str, value))]

    expected = "one of " + ", ".join(f'"{choice}"' for choice in choices)
    return _declare(default, Setting(comment=comment, expected=expected, read=read))


def _flag(*, default: bool, comment: str) -> bool:
    def read(value: object) -> bool:
        return _exactly(bool, value)

    def convert(text: str) -> bool:
        return {"true": True, "false": False}[text.lower()]

    expected = "true or false"
    return _declare(
        default, Setting(comment=comment, expected=expected, read=read, convert=convert)
    )


def _integer(default: int, comment: str, *, low: int, high: int = 2**31 - 1) -> int:
    def read(value: object) -> int:
        number = _exactly(int, value)
        _within(low, number, high)
        return number

    expected = f"a whole number from {low} to {high}"
    return _declare(default, Setting(comment=comment, expected=expected, read=read, convert=int))


def _fraction(default: float, comment: str, *, low: float, high: float) -> float:
    def read(value: object) -> float:
        number = _exactly(float, value)
        _within(low, number, high)
        return number

    expected = f"a number from {low} to {high}"
    return _declare(default, Setting(comment=comment, expected=expected, read=read, convert=float))


def _duration(default: str, comment: str) -> float:
    def read(value: object) -> float:
        return parse_time(_exactly(str, value))

    expected = f'a duration such as "{default}"'
    return _declare(default, Setting(comment=comment, expected=expected, read=read))


def _size(default: str, comment: str, *, low: str, high: str) -> int:
    def read(value: object) -> int:
        size = parse_size(_exactly(str, value))
        _within(parse_size(low), size, parse_size(high))
        return size

    expected = f'a byte size such as "{default}", from "{low}" to "{high}"'
    return _declare(default, Setting(comment=comment, expected=expected, read=read))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where and how ``serve``, ``mock`` and ``twin`` listen."""

    host: str = _text(
        "127.0.0.1",
        'Address or host name to listen on; "0.0.0.0" is every IPv4 interface.',
        expected='an address or host name such as "127.0.0.1"',
        pattern=r"[^\x00-\x20\x7f]+",
    )
    port: int = _integer(
        9200,
        "TCP port, 0 for any free one. Left out, `esinfer twin` takes 8080.",
        low=0,
        high=65535,
    )
    max_content_length: int = _size(
        "100mb", "Largest request body that is accepted; a size.", low="1b", high="2gb"
    )
    shutdown_timeout: float = _duration(
        "30s", "How long requests in flight may go on after SIGTERM or SIGINT; a duration."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticsearchConfig:
    """The Elasticsearch that the server claims to be."""

    version: str = _text(
        "9.5.0",
        "Version of Elasticsearch that clients are told.",
        expected='a version such as "9.5.0"',
        pattern=r"\d+\.\d+\.\d+(-[A-Za-z0-9.-]+)?",
    )
    cluster_name: str = _text(
        "esinfer",
        "Name of the cluster that clients are told.",
        expected='a name such as "esinfer"',
    )
    node_name: str = _text(
        "esinfer",
        "Name of the node that clients are told.",
        expected='a name such as "esinfer"',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfig:
    """Elasticsearch's ``xpack.inference.*`` settings, by their last names (hugging_face.md 5.3)."""

    max_response_size: int = _size(
        "50mb", "Largest answer of an upstream that is read; a size.", low="1b", high="100mb"
    )
    connect_timeout: float = _duration(
        "5s", "How long connecting to an upstream may take; a duration."
    )
    max_total_connections: int = _integer(50, "Connections to all upstreams together.", low=1)
    max_route_connections: int = _integer(20, "Connections to one upstream host and port.", low=1)
    queue_capacity: int = _integer(
        2000, "Requests that may wait in one rate limit group; 0 is no limit.", low=0
    )
    retry_initial_delay: float = _duration(
        "1s",
        "Longest wait before the first retry, doubled before each further one; a duration.",
    )
    retry_max_delay_bound: float = _duration(
        "5s", "What doubling the longest wait before a retry stops at; a duration."
    )
    retry_timeout: float = _duration(
        "30s", 'No retry later than this after the first attempt, "0s" is no retry; a duration.'
    )
    truncator_reduction_percentage: float = _fraction(
        0.5,
        "Share of each input that is kept when an upstream answers that it is too long.",
        low=0.01,
        high=0.99,
    )
    skip_validate_and_start: bool = _flag(
        default=False, comment="Store new endpoints without the call that validates them."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinConfig:
    """The built-in stand-in for Hugging Face."""

    dimensions: int = _integer(384, "Numbers in a text embedding of the twin.", low=1, high=4096)
    model_id: str = _text(
        "sentence-transformers/all-MiniLM-L6-v2",
        "Name under which the twin reports its model.",
        expected='a model name such as "sentence-transformers/all-MiniLM-L6-v2"',
    )
    api_key: str = _secret("", "Key that the twin asks of its callers; empty asks none.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfig:
    """What is written to standard error."""

    level: str = _choice(
        "info",
        'Least severe level: "debug", "info", "warn" or "error".',
        "debug",
        "info",
        "warn",
        "error",
    )
    format: str = _choice(
        "text", 'Log lines as "text" or as "json" objects; --log-format wins.', "text", "json"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings: durations in seconds, sizes in bytes."""

    server: ServerConfig = ServerConfig()
    elasticsearch: ElasticsearchConfig = ElasticsearchConfig()
    inference: InferenceConfig = InferenceConfig()
    twin: TwinConfig = TwinConfig()
    logging: LoggingConfig = LoggingConfig()


_SECTIONS: Mapping[str, type[Any]] = {
    section.name: type(section.default) for section in fields(Config)
}
SETTINGS: Mapping[str, Mapping[str, Setting[object]]] = {
    name: {key.name: key.metadata["setting"] for key in fields(section)}
    for name, section in _SECTIONS.items()
}
"""Every setting by section and key, in the order of their declaration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where a value comes from, and how a setting is spelled there."""

    name: str
    spell: Callable[[str, str], str] = "{}.{}".format
    is_text: bool = True

    def fail(self, problem: str) -> ConfigError:
        text = f"{self.name}: {problem}"
        return ConfigError(text if text.isprintable() else ascii(text)[1:-1])

    def read(self, section: str, key: str, value: Any) -> object:
        """The setting's value, or a ConfigError."""
        setting = SETTINGS.get(section, {}).get(key)
        if setting is None:
            raise self.fail(f"{self.spell(section, key)} is unknown{self._advice(section, key)}")
        try:
            return setting.read(setting.convert(value) if self.is_text else value)
        except _READ_ERRORS as error:
            expected = setting.expected.replace('"', "") if self.is_text else setting.expected
            got = "" if setting.secret else f", got {_shown(value)}"
            raise self.fail(f"{self.spell(section, key)} must be {expected}{got}") from error

    def _advice(self, section: str, key: str) -> str:
        known = [(name, own) for name, settings in SETTINGS.items() for own in settings]
        namesakes = [pair for pair in known if pair[1] == key]
        dotted = {".".join(pair): pair for pair in known}
        close = difflib.get_close_matches(f"{section}.{key}".lower(), dotted, n=1, cutoff=0.7)
        for pair in [*namesakes, *(dotted[name] for name in close)]:
            return f"; did you mean {self.spell(*pair)}?"
        if section in SETTINGS:
            return f"; the settings of {section} are {', '.join(SETTINGS[section])}"
        return f"; the sections are {', '.join(SETTINGS)}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


_Entries = Iterator[tuple[str, str, object]]


def _file_entries(source: _Source, path: Path) -> _Entries:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise source.fail(f"not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise source.fail("not valid TOML: the file is not UTF-8 text") from error
    except OSError as error:
        raise source.fail(f"cannot read the file: {error.strerror}") from error
    for section, table in document.items():
        if isinstance(table, dict) and section in SETTINGS:
            for key, value in table.items():
                yield section, key, value
        elif section in SETTINGS:
            raise source.fail(f"{section} must be a section, begun by the line [{section}]")
        elif isinstance(table, dict):
            close = difflib.get_close_matches(section, SETTINGS, n=1) or SETTINGS
            advice = " or ".join(f"[{name}]" for name in close)
            raise source.fail(f"[{section}] is unknown; did you mean {advice}?")
        else:
            yield "", section, table


def _spell_key(section: str, key: str) -> str:
    return f"[{section}] {key}" if section else key


def _spell_variable(section: str, key: str) -> str:
    return f"ESINFER_{section}__{key}".upper() if section else f"ESINFER__{key}".upper()


def _environment_entries(environ: Mapping[str, str]) -> _Entries:
    for name, value in environ.items():
        if name.startswith("ESINFER_") and "__" in name:
            section, _, key = name.removeprefix("ESINFER").lower().partition("__")
            yield section.removeprefix("_"), key, value


def _dotted_entries(values: Mapping[str, object]) -> _Entries:
    for name, value in values.items():
        section, _, key = name.partition(".")
        yield section, key, value


def _override_entries(source: _Source, overrides: Sequence[str]) -> _Entries:
    for number, override in enumerate(overrides, 1):
        name, equals, value = override.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot):  # not shown: what was meant may be a secret
            raise source.fail(f"number {number} must be section.key=value, as in server.port=9200")
        yield section, key, value


def load(
    conf: Path | None,
    environ: Mapping[str, str],
    overrides: Sequence[str],
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> Config:
    """The configuration out of all its sources, a later one winning.

    ``defaults`` are a command's own, by ``section.key`` and as TOML holds them.
    Raises ConfigError for whatever is not exactly a known setting with a fitting value.
    """
    default = _Source(name="default", is_text=False)
    layers = [(default, _dotted_entries(defaults))]
    if conf is not None:
        file = _Source(name=str(conf), spell=_spell_key, is_text=False)
        layers.append((file, _file_entries(file, conf)))
    layers.append(
        (_Source(name="environment", spell=_spell_variable), _environment_entries(environ))
    )
    option = _Source(name="--set")
    layers.append((option, _override_entries(option, overrides)))

    values: dict[str, dict[str, object]] = {section: {} for section in SETTINGS}
    for source, entries in layers:
        for section, key, value in entries:
            values[section][key] = source.read(section, key, value)
    return Config(**{name: _SECTIONS[name](**given) for name, given in values.items()})
