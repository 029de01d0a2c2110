"""Every setting, declared once, and how a ``Config`` is read.

Defaults < a TOML file < environment variables ``ESINFER_SECTION__KEY`` <
``--set section.key=value``; what names no setting is an error. A field's
declaration says how its value is read, what is allowed and what it means;
``conf/esinfer.toml`` repeats all of them, and a test compares the two. Only
``app`` and ``cli`` import this module.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from esinfer.addresses import check_entry
from esinfer.setting import (
    READ_ERRORS,
    Setting,
    choice,
    duration,
    flag,
    fraction,
    integer,
    path,
    secret,
    size,
    text,
    texts,
)


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line that says where and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where and how ``serve``, ``mock`` and ``twin`` listen."""

    host: str = text(
        "127.0.0.1",
        'Address or host name to listen on; "0.0.0.0" is every IPv4 interface.',
        expected='an address or host name such as "127.0.0.1"',
        pattern=r"[^\x00-\x20\x7f]+",
    )
    port: int = integer(
        9200,
        "TCP port, 0 for any free one. Left out, `esinfer twin` takes 8080.",
        low=0,
        high=65535,
    )
    max_content_length: int = size(
        "100mb", "Largest request body that is accepted; a size.", low="1b", high="2gb"
    )
    shutdown_timeout: float = duration(
        "30s", "How long requests in flight may go on after SIGTERM or SIGINT; a duration."
    )
    shutdown_delay: float = duration(
        "0s", "How long /_esinfer/ready answers 503 before the server stops accepting; a duration."
    )
    workers: int = integer(
        1, "Processes that serve the port, of `serve` with a durable store.", low=1, high=256
    )
    max_inputs: int = integer(
        0, "Most inputs of one inference, each a text or document; 0 is no limit.", low=0
    )
    max_headers: int = integer(128, "Most headers of one request.", low=16, high=10_000)
    max_connections: int = integer(
        10_000, "Connections at once, one more is answered 429; 0 is no limit.", low=0
    )
    receive_timeout: float = duration(
        "2m", 'How long a client may take to send a request, "0s" is no limit; a duration.'
    )
    certificate: str = path(
        "PEM file with the certificate to serve HTTPS with, and its chain; empty is HTTP.",
        expected='the name of a PEM file such as "/etc/esinfer/server.crt"',
    )
    key: str = path(
        "PEM file with the certificate's private key; empty if the certificate's file has it.",
        expected='the name of a PEM file such as "/etc/esinfer/server.key"',
    )
    key_password: str = secret("", "Password of the private key; empty is none.")
    client_ca: str = path(
        "PEM file with the CAs of clients; with it a client must show a certificate.",
        expected='the name of a PEM file such as "/etc/esinfer/clients.crt"',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """Who may call ``serve`` and ``mock``."""

    credentials: str = path(
        "TOML file of users, API keys and tokens, one of which is asked for; empty asks none.",
        expected='the name of a file such as "/etc/esinfer/credentials.toml"',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticsearchConfig:
    """The Elasticsearch that the server claims to be."""

    version: str = text(
        "9.5.0",
        "Version of Elasticsearch that clients are told; from 9.6 on chat answers without _stream.",
        expected='a version such as "9.5.0"',
        pattern=r"\d+\.\d+\.\d+(-[A-Za-z0-9.-]+)?",
    )
    cluster_name: str = text(
        "esinfer",
        "Name of the cluster that clients are told.",
        expected='a name such as "esinfer"',
    )
    node_name: str = text(
        "esinfer",
        "Name of the node that clients are told.",
        expected='a name such as "esinfer"',
    )
    event_byte_order_mark: bool = flag(
        default=False, comment="Whether each event of a stream begins with a byte-order mark."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfig:
    """Elasticsearch's ``xpack.inference.*`` settings, by their last names (hugging_face.md 5.3)."""

    max_response_size: int = size(
        "50mb", "Largest answer of an upstream that is read; a size.", low="1b", high="100mb"
    )
    connect_timeout: float = duration(
        "5s", "How long connecting to an upstream may take; a duration."
    )
    max_total_connections: int = integer(50, "Connections to all upstreams together.", low=1)
    max_route_connections: int = integer(20, "Connections to one upstream host and port.", low=1)
    queue_capacity: int = integer(
        2000, "Requests that may wait in one rate limit group; 0 is no limit.", low=0
    )
    retry_initial_delay: float = duration(
        "1s",
        "Longest wait before the first retry, doubled before each further one; a duration.",
    )
    retry_max_delay_bound: float = duration(
        "5s", "What doubling the longest wait before a retry stops at; a duration."
    )
    retry_timeout: float = duration(
        "30s", 'No retry later than this after the first attempt, "0s" is no retry; a duration.'
    )
    truncator_reduction_percentage: float = fraction(
        0.5,
        "Share of each input that is kept when an upstream answers that it is too long.",
        low=0.01,
        high=0.99,
    )
    skip_validate_and_start: bool = flag(
        default=False, comment="Store new endpoints without the call that validates them."
    )


TWIN_PROFILES = ("tei-1.9", "tei-1.8", "toolkit", "serverless", "tgi", "elser", "vllm")
"""The servers that the twin can imitate; a test compares them with ``twin.profiles``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where ``serve`` and ``mock`` keep endpoints and the region policy."""

    kind: str = choice(
        "memory",
        '"memory", "sqlite" or "postgresql". Left out, `esinfer serve` takes "sqlite".',
        "memory",
        "sqlite",
        "postgresql",
    )
    path: str = text(
        "",
        "SQLite file; empty is esinfer/endpoints.db in $XDG_DATA_HOME, else in ~/.local/share.",
        expected='a file such as "/var/lib/esinfer/endpoints.db"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )
    url: str = secret(
        "", 'PostgreSQL database, such as "postgresql://user:password@host:5432/database".'
    )
    key: str = secret(
        "", "Key that encrypts stored secrets: 32 bytes in base64. Several: the first encrypts."
    )
    key_file: str = text(
        "",
        "File with such keys, one a line, in place of `key`.",
        expected='a file such as "/etc/esinfer/keys"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )
    seed: str = text(
        "",
        "TOML or JSON file with what is there at the start, see the README; --seed wins.",
        expected='a file such as "/etc/esinfer/seed.toml"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamConfig:
    """Which upstreams ``serve`` may call; link-local and metadata addresses need a listed CIDR."""

    allow: tuple[str, ...] = texts(
        'Hosts ("a.example", "*.example"), addresses, CIDRs; empty allows all but metadata, etc.',
        expected='a list of hosts, addresses and CIDRs such as ["*.example.com", "10.0.0.0/8"]',
        check=check_entry,
    )
    allow_private: bool = flag(
        default=True, comment="Whether loopback and private addresses need no CIDR in the list."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinConfig:
    """The built-in stand-in for Hugging Face."""

    profile: str = choice(
        "tei-1.9",
        "Server that the twin imitates, one of those in the README; --profile wins.",
        *TWIN_PROFILES,
    )
    task: str = text(
        "",
        "The one task of its model; empty is every one (tei) or the usual one (toolkit).",
        expected='a task of the profile such as "sentence-similarity", or ""',
        pattern="[a-z-]*",
    )
    model: str = choice(
        "static",
        'What makes vectors: "static", a table of tokens; "minilm", once installed; or "hash".',
        "static",
        "minilm",
        "hash",
    )
    dimensions: int = integer(
        0,
        "Numbers in a text embedding of the twin; 0 is as many as the model has.",
        low=0,
        high=4096,
    )
    model_id: str = text(
        "sentence-transformers/all-MiniLM-L6-v2",
        "Name of the twin's model; one that Elastic recommends has its dimensions and tokens.",
        expected='a model name such as "sentence-transformers/all-MiniLM-L6-v2"',
    )
    api_key: str = secret("", "Key that the twin asks of its callers; empty asks none.")
    log_entries: int = integer(
        1000, "Requests that the log of an upstream keeps, 0 for none.", low=0, high=1_000_000
    )
    log_body_size: int = size(
        "64kb", "Bytes of each body that the log keeps; a size.", low="0b", high="100mb"
    )
    log_size: int = size(
        "64mb", "Bytes that the log of an upstream takes; a size.", low="0b", high="2gb"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig:
    """Recordings of exchanges with upstreams."""

    record: str = text(
        "",
        "Directory in which `serve` records exchanges; empty for none. --record wins.",
        expected='a directory such as "tests/recordings"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )
    record_mode: str = choice(
        "once",
        'When to record: "once" if there is no file yet, "new" what it lacks, "all", or "none".',
        "once",
        "new",
        "all",
        "none",
    )
    play: str = text(
        "",
        "Directory of recordings from which `mock` answers; empty for none. --replay wins.",
        expected='a directory such as "tests/recordings"',
        pattern=r"[^\x00-\x1f\x7f]*",
    )
    on_miss: str = choice(
        "error",
        'What answers a request that `mock` has no recording of: an "error" or the "twin".',
        "error",
        "twin",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MockConfig:
    """What is special about ``mock``."""

    namespaces: int = integer(
        10_000, "Namespaces beside the default, 0 for none.", low=0, high=1_000_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfig:
    """How time passes for the waits that esinfer itself makes."""

    mode: str = choice(
        "real",
        '"real", "auto" (no wait takes time) or "manual". Left out, `esinfer mock` takes "auto".',
        "real",
        "auto",
        "manual",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """The journal of what clients asked and what that caused."""

    enabled: bool = flag(
        default=False, comment="Whether it is kept. Left out, `esinfer mock` keeps it."
    )
    entries: int = integer(
        10_000, "Requests that a namespace's journal keeps.", low=1, high=1_000_000
    )
    body_size: int = size(
        "64kb", "Bytes of each body that it keeps; a size.", low="0b", high="100mb"
    )
    size: int = size("64mb", "Bytes that it takes; a size.", low="0b", high="2gb")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfig:
    """What is written to standard error."""

    level: str = choice(
        "info",
        'Least severe level: "debug", "info", "warn" or "error".',
        "debug",
        "info",
        "warn",
        "error",
    )
    format: str = choice(
        "text", 'Log lines as "text" or as "json" objects; --log-format wins.', "text", "json"
    )
    access_log: bool = flag(default=False, comment="Whether every request is logged, at info.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """What is measured and told, of `serve` and `mock`."""

    enabled: bool = flag(default=True, comment="Whether /_esinfer/metrics counts and answers.")
    server_timing: bool = flag(
        default=True, comment="Whether answers to inferences have a Server-Timing header."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings: durations in seconds, sizes in bytes."""

    server: ServerConfig = ServerConfig()
    security: SecurityConfig = SecurityConfig()
    elasticsearch: ElasticsearchConfig = ElasticsearchConfig()
    inference: InferenceConfig = InferenceConfig()
    upstream: UpstreamConfig = UpstreamConfig()
    store: StoreConfig = StoreConfig()
    twin: TwinConfig = TwinConfig()
    replay: ReplayConfig = ReplayConfig()
    mock: MockConfig = MockConfig()
    clock: ClockConfig = ClockConfig()
    journal: JournalConfig = JournalConfig()
    logging: LoggingConfig = LoggingConfig()
    metrics: MetricsConfig = MetricsConfig()


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
