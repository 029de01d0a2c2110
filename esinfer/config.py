"""All settings together, and how a ``Config`` is read.

Defaults < a TOML file < environment variables ``ESINFER_SECTION__KEY`` <
``--set section.key=value``; what names no setting is an error. The
declaration of a setting, in the modules of the sections, says how its value is
read, what is allowed and what it means; ``conf/esinfer.toml`` repeats all of
them, and a test compares the two. Only
``app`` and ``cli`` import this module.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from esinfer.mock_sections import (
    ClockConfig,
    JournalConfig,
    MockConfig,
    ReplayConfig,
    TwinConfig,
)
from esinfer.server_sections import (
    ElasticsearchConfig,
    InferenceConfig,
    LoggingConfig,
    MetricsConfig,
    SecurityConfig,
    ServerConfig,
    StoreConfig,
    UpstreamConfig,
)
from esinfer.setting import READ_ERRORS, Setting


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line that says where and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings: durations in seconds, sizes in bytes."""

    server: ServerConfig = field(default_factory=ServerConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    elasticsearch: ElasticsearchConfig = field(default_factory=ElasticsearchConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    upstream: UpstreamConfig = field(default_factory=UpstreamConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    twin: TwinConfig = field(default_factory=TwinConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    mock: MockConfig = field(default_factory=MockConfig)
    clock: ClockConfig = field(default_factory=ClockConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)


_SECTIONS: Mapping[str, type[Any]] = {
    section.name: cast("type[Any]", section.default_factory) for section in fields(Config)
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
        line = f"{self.name}: {problem}"
        return ConfigError(line if line.isprintable() else ascii(line)[1:-1])

    def read(self, section: str, key: str, value: Any) -> object:
        """The setting's value, or a ConfigError."""
        setting = SETTINGS.get(section, {}).get(key)
        if setting is None:
            raise self.fail(f"{self.spell(section, key)} is unknown{self._advice(section, key)}")
        try:
            return setting.read(setting.convert(value) if self.is_text else value)
        except READ_ERRORS as error:
            expected = setting.expected.replace('"', "") if self.is_text else setting.expected
            got = "" if setting.secret else f", got {_shown(value)}"
            raise self.fail(f"{self.spell(section, key)} must be {expected}{got}") from error

    def _advice(self, section: str, key: str) -> str:
        known = [(name, own) for name, settings in SETTINGS.items() for own in settings]
        namesakes = [pair for pair in known if pair[1] == key.strip("_")]
        dotted = {".".join(pair): pair for pair in known}
        close = difflib.get_close_matches(f"{section}.{key}".lower(), dotted, n=1, cutoff=0.7)
        for pair in [*namesakes, *(dotted[name] for name in close)]:
            return f"; did you mean {self.spell(*pair)}?"
        if section in SETTINGS:
            return f"; the settings of {section} are {', '.join(SETTINGS[section])}"
        return f"; the sections are {', '.join(SETTINGS)}"


def _shown(value: object) -> str:
    printed = json.dumps(value, ensure_ascii=False, default=str)
    return printed if len(printed) <= 60 else f"{printed[:57]}..."


_Entries = Iterator[tuple[str, str, object]]


def _file_entries(source: _Source, path: Path) -> _Entries:
    import tomllib  # noqa: PLC0415 -- for those who have a file

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


_PREFIX = "ESINFER_"


def _spell_variable(section: str, key: str) -> str:
    return _PREFIX + (f"{section}__{key}" if section else key).upper()


def _environment_entries(environ: Mapping[str, str]) -> _Entries:
    for name, value in environ.items():
        own = name.removeprefix(_PREFIX)
        if own == name or _is_service_link(own, value):
            continue
        section, _, key = own.lower().partition("__")
        yield (section, key, value) if section and key else ("", own.lower(), value)


_SERVICE_LINK = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
)


def _is_service_link(own: str, value: str) -> bool:
    """Whether Kubernetes set it, as it does in every pod for a service named esinfer."""
    if "__" in own:
        return False
    address = own.endswith("PORT") and "://" in value
    return address or _SERVICE_LINK.fullmatch(own) is not None


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


COMMAND_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "serve": {"store.kind": "sqlite"},
    "mock": {"clock.mode": "auto", "journal.enabled": True},
    "twin": {"server.port": 8080},
}
"""What a command's settings are if nothing is said; what is left out is as declared."""


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
