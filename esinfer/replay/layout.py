"""The text of a recording: JSON, an entry a request, sorted, an answer or event a line.

So the same recording is the same text, and what is recorded anew changes few
lines. What cannot be read is refused with the file and the line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from esinfer.replay.asked import Key, canonical
from esinfer.replay.problems import Misfit, RecordingError
from esinfer.replay.runs import Runs

FORMAT: Final = "esinfer recording"
VERSION: Final = 1

_ENTRY: Final = ("url", "task_type", "request", "answers")


def render(entries: Mapping[Key, str]) -> str:
    """The whole text, of entries as ``render_entry`` writes them."""
    head = f'{{\n"format": "{FORMAT}",\n"version": {VERSION},\n"entries": ['
    return head + ",".join(f"\n{entries[key]}" for key in sorted(entries)) + "\n]\n}\n"


def render_entry(key: Key, runs: Runs) -> str:
    """One entry: what was asked, then each answer."""
    url, task_type = _dump(key.url), _dump(key.task_type)
    answers = ",\n".join(f"  {_render_answer(wire)}" for wire in runs.to_wire())
    return (
        f'{{"url": {url}, "task_type": {task_type},\n'
        f' "request": {key.request},\n "answers": [\n{answers}\n ]}}'
    )


def _render_answer(wire: Mapping[str, Any]) -> str:
    members = []
    for name, value in wire.items():
        text = _dump(value)
        if name == "events" and value:
            text = "[\n" + ",\n".join(f"    {_dump(event)}" for event in value) + "\n  ]"
        members.append(f"{_dump(name)}: {text}")
    return "{" + ", ".join(members) + "}"


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()


def parse(text: bytes, path: Path) -> dict[Key, Runs]:
    """The entries; RecordingError, which names ``path``, for what ``render`` did not write."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RecordingError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from error
    _check_head(document, path)
    if not isinstance(document.get("entries"), list):
        raise RecordingError(f"{path}: [entries] must be a list")
    return dict(_read_entries(document["entries"], text, path))


def _check_head(document: Any, path: Path) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise RecordingError(f'{path}: not a recording: "format" must be "{FORMAT}"')
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise RecordingError(f"{path}: [version] must be a whole number from 1 on")
    if version > VERSION:
        raise RecordingError(
            f"{path}: version {version} of the format, written by a newer esinfer;"
            f" this one reads version {VERSION}"
        )


def _read_entries(entries: list[Any], text: bytes, path: Path) -> Iterator[tuple[Key, Runs]]:
    for number, entry in enumerate(entries):
        try:
            yield _read_entry(entry)
        except Misfit as error:
            line = _line_of_entry(text.decode(), number)
            raise RecordingError(f"{path}, in the entry at line {line}: {error}") from error


def _read_entry(entry: Any) -> tuple[Key, Runs]:
    if not isinstance(entry, dict) or entry.keys() != {*_ENTRY}:
        raise Misfit(f"an entry must have the members {_join(_ENTRY)} and no other")
    if not isinstance(entry["url"], str) or not isinstance(entry["task_type"], str):
        raise Misfit("[url] and [task_type] must be texts")
    key = Key(entry["url"], entry["task_type"], canonical(entry["request"]))
    return key, Runs.from_wire(entry["answers"])


def _join(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}]" for name in names)


_START: Final = re.compile(r'"entries"\s*:\s*\[\s*')
_BETWEEN: Final = re.compile(r"[\s,]*")


def _line_of_entry(text: str, number: int) -> int:
    """Where the entry of that number begins, in a text that is good JSON."""
    decoder = json.JSONDecoder()
    start = _START.search(text)
    position = start.end() if start else 0
    for _ in range(number):
        _, end = decoder.raw_decode(text, position)
        between = _BETWEEN.match(text, end)
        position = between.end() if between else end
    return text.count("\n", 0, position) + 1
