"""The settings of what stands in for Hugging Face, and of what watches tests.

``config`` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

from esinfer.setting import (
    choice,
    flag,
    integer,
    secret,
    size,
    text,
)

TWIN_PROFILES = ("tei-1.9", "tei-1.8", "toolkit", "serverless", "tgi", "elser", "vllm")
"""The servers that the twin can imitate; a test compares them with ``twin.profiles``."""


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
