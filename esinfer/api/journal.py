"""``/_esinfer/journal``: what clients asked of a namespace, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aiohttp import web

from esinfer.api import answers
from esinfer.api.answers import INTEGER, NUMBER, OBJECT, TEXT
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import Parameter, documented
from esinfer.api.responses import dump, respond, respond_json
from esinfer.errors import IllegalArgument, ResourceNotFound, StatusException
from esinfer.journal import Entry, Journal, Query, search
from esinfer.json_schema import Named, array, record
from esinfer.threads import run_beside

_MOST = 2**53
_USUAL = 100
"""Entries that are shown when nothing is said."""


_ENTRY = Named(
    "JournalEntry",
    {
        "type": "object",
        "properties": {
            "sequence": INTEGER,
            "time": {**NUMBER, "description": "Seconds of the namespace's clock."},
            "duration": {"type": ["number", "null"]},
            "inference_id": TEXT,
            "task_type": TEXT,
            "request": OBJECT,
            "answer": {"type": ["object", "null"]},
            "waited": {**NUMBER, "description": "Seconds in queues of rate limits."},
            "attempts": array(OBJECT),
        },
        "required": ["sequence", "time", "duration", "request", "answer", "waited", "attempts"],
    },
)
_FILTERS = [
    Parameter("method", "Only requests with this method."),
    Parameter("path", "Only requests of this path; `*` stands for any text."),
    Parameter("inference_id", "Only requests of this inference endpoint."),
    Parameter("task_type", "Only requests of this task type."),
    Parameter("status", "Only requests that were answered with this status.", INTEGER),
    Parameter("text", "Only requests with this text in their body."),
    Parameter("since", "Only requests after this sequence number.", INTEGER),
    Parameter("size", "At most so many, the newest.", {**INTEGER, "default": _USUAL}),
]


class NoJournal(StatusException):
    template = "No journal is kept; [journal.enabled] is false"


class EntryNotFound(ResourceNotFound):
    template = "Journal entry not found [{sequence}]"


def _journal(request: web.Request) -> Journal:
    journal = request[NAMESPACE].journal
    if journal is None:
        raise NoJournal
    return journal


@documented(
    "Show what clients asked and what came of it",
    parameters=_FILTERS,
    answer=record({"total": INTEGER, "forgotten": INTEGER, "entries": array(_ENTRY)}),
)
async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/journal?method&path&inference_id&task_type&status&text&since&size``."""
    journal = _journal(request)
    text = request[PARAMETERS].text
    query = Query(
        method=(text("method") or "").upper() or None,
        path=text("path"),
        inference_id=text("inference_id"),
        task_type=text("task_type"),
        status=_number(request, "status"),
        text=text("text"),
        since=_number(request, "since") or 0,
        size=_size(request),
    )
    reject_body(request)
    return await respond(
        request, await run_beside(partial(_dump, tuple(journal), journal.forgotten, query))
    )


def _dump(entries: Sequence[Entry], forgotten: int, query: Query) -> bytes:
    total, found = search(entries, query)
    shown = [entry.to_wire() for entry in found]
    return dump({"total": total, "forgotten": forgotten, "entries": shown})


def _size(request: web.Request) -> int:
    size = _number(request, "size")
    return _USUAL if size is None else size


def _number(request: web.Request, name: str) -> int | None:
    value = request[PARAMETERS].text(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal()) or int(value) > _MOST:
        raise IllegalArgument(
            reason=f"Failed to parse value [{value}] for [{name}], expected a whole number from"
            f" [0] to [{_MOST}]"
        )
    return int(value)


@documented(
    "Show an entry of the journal",
    parameters=[Parameter("sequence", "Sequence number of the entry.")],
    answer=_ENTRY,
    errors=[404],
)
async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/journal/{sequence}``."""
    journal = _journal(request)
    reject_body(request)
    entry = _find(journal, request.match_info["sequence"])
    return await respond(request, await run_beside(lambda: dump(entry.to_wire())))


def _find(journal: Journal, sequence: str) -> Entry:
    number = int(sequence) if sequence.isascii() and sequence.isdecimal() else 0
    entry = journal.get(number)
    if entry is None:
        raise EntryNotFound(sequence=sequence)
    return entry


@documented("Clear the journal", answer=answers.ACKNOWLEDGED)
async def clear(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/journal``."""
    journal = _journal(request)
    reject_body(request)
    journal.clear()
    return await respond_json(request, {"acknowledged": True})
