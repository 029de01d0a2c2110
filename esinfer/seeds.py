"""What is there when a server starts: endpoints and, of a mock, what its twin answers.

All of a seed is read before any of it is sown. Endpoints go through the same
steps as those of a PUT, validation call included, against upstreams that are
as told but for their states, faults and stubs, which come last.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from esinfer.api.schemas import load_configuration
from esinfer.errors import ElasticsearchError, EndpointAlreadyExists, EndpointNotFound
from esinfer.lifecycle import Configuration, Lifecycle, check_inference_id
from esinfer.mocking import Mocking, Pinning, Stubbing
from esinfer.seed_file import SeedFile, Steps
from esinfer.similar import did_you_mean
from esinfer.tasks import TaskType

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)
_SECTIONS: Final[Mapping[str, tuple[type, str]]] = {
    "endpoints": (list, "an array of tables, each begun by [[endpoints]] in TOML"),
    "upstreams": (dict, "a table of upstreams by name"),
    "stubs": (list, "an array of tables, each begun by [[stubs]] in TOML"),
    "similarities": (list, "an array of [text, text, cosine]"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    steps: Steps
    inference_id: str
    task_type: TaskType
    configuration: Configuration


async def sow(seed: SeedFile, lifecycle: Lifecycle, twin: Mocking | None) -> None:
    """Put all of a seed where it belongs; SeedError for what is wrong with it.

    Without a ``twin`` there may be endpoints only. One that is there already
    is left as it is, if it is of the same task type and service.
    """
    _check_sections(seed, twin)
    endpoints = [_read_endpoint(seed, index) for index in _indexes(seed, "endpoints")]
    finish = [] if twin is None else _prepare(seed, twin)
    for endpoint in endpoints:
        await _create(seed, lifecycle, endpoint)
    for step in finish:
        step()


def _check_sections(seed: SeedFile, twin: Mocking | None) -> None:
    for name, value in seed.document.items():
        if name not in _SECTIONS:
            hint = did_you_mean(name, _SECTIONS) or f"expected one of [{', '.join(_SECTIONS)}]"
            raise seed.fail(f"unknown section, {hint}", (name,))
        kind, expected = _SECTIONS[name]
        if not isinstance(value, kind):
            raise seed.fail(f"expected {expected}", (name,))
        if twin is None and name != "endpoints":
            raise seed.fail("is for esinfer mock: esinfer serve calls real upstreams", (name,))


def _indexes(seed: SeedFile, name: str) -> Iterator[int]:
    """The places of a section's tables."""
    for index, item in enumerate(seed.document.get(name, ())):
        if not isinstance(item, dict):
            raise seed.fail("expected a table", (name, index))
        yield index


# -- endpoints


def _read_endpoint(seed: SeedFile, index: int) -> _Endpoint:
    steps: Steps = ("endpoints", index)
    body = dict(seed.document["endpoints"][index])
    inference_id = _text(seed, steps, body, "inference_id")
    task_type = _text(seed, steps, body, "task_type")

    def read() -> _Endpoint:
        check_inference_id(inference_id)
        return _Endpoint(
            steps=steps,
            inference_id=inference_id,
            task_type=TaskType.parse(task_type),
            configuration=load_configuration(body),
        )

    return _told(seed, steps, read)


def _text(seed: SeedFile, steps: Steps, body: dict[str, Any], name: str) -> str:
    value = body.pop(name, None)
    if not isinstance(value, str):
        raise seed.fail(f"[{name}] must be a text", (*steps, name))
    return value


async def _create(seed: SeedFile, lifecycle: Lifecycle, endpoint: _Endpoint) -> None:
    inference_id, task_type = endpoint.inference_id, endpoint.task_type
    try:
        if not await _is_there(seed, lifecycle, endpoint):
            await lifecycle.create(inference_id, task_type, endpoint.configuration, None)
    except EndpointAlreadyExists:  # another server, which starts with the same store
        await _is_there(seed, lifecycle, endpoint)
    except ElasticsearchError as error:
        raise seed.fail(_reasons(error), endpoint.steps) from error


async def _is_there(seed: SeedFile, lifecycle: Lifecycle, endpoint: _Endpoint) -> bool:
    """Whether such an endpoint is stored; SeedError if it is another one."""
    try:
        stored = await lifecycle.get(endpoint.inference_id, TaskType.ANY)
    except EndpointNotFound:
        return False
    service = endpoint.configuration.get("service")
    if (stored.task_type, stored.service) != (endpoint.task_type, service):
        raise seed.fail(
            f"endpoint [{endpoint.inference_id}] is there already, with task type"
            f" [{stored.task_type}] and service [{stored.service}]",
            endpoint.steps,
        )
    _LOGGER.info("endpoint [%s] is there already and is left as it is", endpoint.inference_id)
    return True


# -- the twin


def _prepare(seed: SeedFile, twin: Mocking) -> list[Callable[[], object]]:
    """Read all that is the twin's, and set what endpoints need; what is to be done after them."""
    upstreams = {
        name: _load(seed, ("upstreams", name), value, partial(twin.upstreams.load, name))
        for name, value in seed.document.get("upstreams", {}).items()
    }
    stubs = [_read_stub(seed, twin.stubs, index) for index in _indexes(seed, "stubs")]
    _set_similarities(seed, twin.similarities)
    for name, settings in upstreams.items():
        _told(seed, ("upstreams", name), partial(twin.upstreams.put_calm, name, settings))
    return [
        *[partial(twin.upstreams.put, name, settings) for name, settings in upstreams.items()],
        *[partial(twin.stubs.put, name, stub) for name, stub in stubs],
    ]


def _read_stub(seed: SeedFile, stubs: Stubbing, index: int) -> tuple[str | None, Any]:
    steps: Steps = ("stubs", index)
    body = dict(seed.document["stubs"][index])
    name = _text(seed, steps, body, "name") if "name" in body else None
    return name, _load(seed, steps, body, partial(stubs.load, name))


def _set_similarities(seed: SeedFile, pinning: Pinning) -> None:
    if "similarities" in seed.document:
        value = {"similarities": seed.document["similarities"]}
        pins = _load(seed, (), value, pinning.load)
        _told(seed, ("similarities",), partial(pinning.put, pins))


# -- what is wrong


def _told(seed: SeedFile, steps: Steps, step: Callable[[], T]) -> T:
    """What ``step`` gives; SeedError for the value at ``steps`` if it refuses."""
    try:
        return step()
    except ElasticsearchError as error:
        raise seed.fail(_reasons(error), steps) from error


def _load(
    seed: SeedFile, steps: Steps, value: object, load: Callable[[object, Callable[[], bytes]], T]
) -> T:
    """What is loaded out of a value; SeedError for what in it is refused.

    Loaders tell places by line, so they are given a text that has each value
    on a line of its own.
    """
    spread = list(_spread(value, ()))
    try:
        return load(value, lambda: "\n".join(line for line, _ in spread).encode())
    except ElasticsearchError as error:
        chain = list(_chain(error))
        lines = [int(found[1]) for each in chain if (found := _PLACE.match(each.reason))]
        within = spread[lines[-1] - 1][1] if lines else ()
        problem = _PLACE.sub("", chain[-1].reason)
        raise seed.fail(problem, (*steps, *within)) from error


def _spread(value: object, steps: Steps) -> Iterator[tuple[str, Steps]]:
    """The value as JSON, line by line, each with the steps to what begins or ends on it."""
    if not isinstance(value, dict | list) or not value:
        yield json.dumps(value), steps
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    members = value.items() if isinstance(value, dict) else enumerate(value)
    yield opening, steps
    for number, (step, item) in enumerate(members, 1):
        lines = list(_spread(item, (*steps, step)))
        if isinstance(value, dict):
            lines[0] = (f"{json.dumps(step)}: {lines[0][0]}", lines[0][1])
        if number < len(value):
            lines[-1] = (f"{lines[-1][0]},", lines[-1][1])
        yield from lines
    yield closing, steps


_PLACE: Final = re.compile(r"\[(\d+):\d+\] ")


def _chain(error: BaseException | None) -> Iterator[ElasticsearchError]:
    while isinstance(error, ElasticsearchError):
        yield error
        error = error.__cause__


def _reasons(error: ElasticsearchError) -> str:
    """What is wrong in one line: the outermost reason, and the innermost if there is another."""
    reasons = [_PLACE.sub("", each.reason) for each in _chain(error)]
    return ": ".join(dict.fromkeys([reasons[0], reasons[-1]]))
