"""The control plane without HTTP: JSON values in, JSON values out, errors of Elasticsearch's shape.

Two faces show it: ``/_esinfer/upstreams`` of ``esinfer mock``, and
``/__twin/upstreams`` on the twin's own port.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, cast

import orjson

from esinfer.errors import IllegalArgument, ResourceNotFound
from esinfer.json_schema import Json, any_of, array
from esinfer.nested_parser import OBJECT_ARRAY, DeepField
from esinfer.object_parser import ObjectParser, Text
from esinfer.twin import fields
from esinfer.twin.faults.fault import Fault
from esinfer.twin.faults.kinds import describe_faults, read_fault
from esinfer.twin.json_rows import join
from esinfer.twin.profiles import PROFILES, check_permits, check_task
from esinfer.twin.states import State, StateSettings
from esinfer.twin.upstreams import (
    DEFAULT,
    MOST_UPSTREAMS,
    ServerSettings,
    Upstream,
    Upstreams,
    UpstreamSettings,
)
from esinfer.units import format_time

_MOST_FAULTS: Final = 100
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.ASCII)
"""The form of inference ids."""
_SIZE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class UpstreamNotFound(ResourceNotFound):
    template = "Upstream not found [{name}]"


class FaultsField(DeepField[tuple[Fault, ...]]):
    """An array of faults, each read by the parser of its kind; a single one will do."""

    tokens = OBJECT_ARRAY

    def read(self, value: object) -> tuple[Fault, ...]:
        if isinstance(value, dict):
            return (read_fault(value, ()),)
        items = cast("list[object]", value)
        if len(items) > _MOST_FAULTS:
            raise IllegalArgument(
                reason=f"[{len(items)}] faults, expected [{_MOST_FAULTS}] at most"
            )
        return tuple(read_fault(item, (index,)) for index, item in enumerate(items))

    def json_schema(self) -> Json:
        fault = describe_faults()
        return any_of(array(fault, maxItems=_MOST_FAULTS), fault)


class UpstreamParser(ObjectParser):
    parser_name = "upstream"
    examples: ClassVar = {
        "overloaded twice, and slow": {
            "faults": [
                {"kind": "overloaded", "times": 2},
                {"kind": "latency", "delay": "50ms"},
            ]
        },
        "another upstream, starting": {
            "url": "https://*.example.com/*",
            "state": "cold",
            "ready_after": "10s",
        },
    }

    url = fields.TextField()
    profile = fields.ChoiceField(tuple(PROFILES))
    task = fields.OptionalTextField()
    model = fields.OptionalTextField()
    dimensions = fields.OptionalCountField(1, 4096)
    api_key = fields.OptionalTextField(metadata={"sensitive": True})
    state = fields.ChoiceField(tuple(State))
    ready_after = fields.DurationField()
    ready_after_requests = fields.CountField(1, 1_000_000)
    max_concurrent_requests = fields.CountField(1, 1_000_000)
    faults = FaultsField()


_UPSTREAM: Final = UpstreamParser()


class Control:
    """Sets, shows and clears the upstreams of one twin.

    ``knows_inference_ids`` tells whether requests bear an inference id, which
    they do in process alone.
    """

    def __init__(
        self, upstreams: Upstreams, *, start: UpstreamSettings, knows_inference_ids: bool
    ) -> None:
        self._upstreams = upstreams
        self._start = start
        self._knows_inference_ids = knows_inference_ids

    def load(self, name: str, value: object, text: Text) -> UpstreamSettings:
        """The settings in a body; what it leaves out is as at the start. Changes nothing.

        ``text`` gives the JSON in which places of errors are counted.
        """
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise IllegalArgument(
                reason=f"Invalid upstream name [{name}], expected lower-case letters, digits,"
                " [-], [_] and [.], with a letter or digit at both ends"
            )
        settings = self._settings(_UPSTREAM.parse(value, text))
        if name != DEFAULT and settings.url is None:
            raise IllegalArgument(reason="Required [url]")
        return settings

    def put(self, name: str, settings: UpstreamSettings) -> dict[str, object]:
        """Set all of an upstream; its counts begin anew, its log goes on."""
        if name not in self._upstreams and self._upstreams.is_full:
            raise IllegalArgument(reason=f"There are [{MOST_UPSTREAMS}] upstreams already")
        return _to_wire(self._upstreams.put(name, settings))

    def add_faults(self, name: str, faults: Sequence[Mapping[str, object]]) -> None:
        """Further faults of an upstream, as a body would have them; all else stays as it is."""
        upstream = self._find(name)
        body = {"faults": faults}
        given = self._settings(_UPSTREAM.parse(body, lambda: orjson.dumps(body))).faults
        if len(upstream.faults) + len(given) > _MOST_FAULTS:
            raise IllegalArgument(reason=f"There may be [{_MOST_FAULTS}] faults at most")
        upstream.arm(given)

    def put_calm(self, name: str, settings: UpstreamSettings) -> dict[str, object]:
        """The server of an upstream alone, as it is when it runs and lets everybody in."""
        server = replace(settings.server, api_key=None)
        return self.put(name, UpstreamSettings(url=settings.url, server=server))

    def _settings(self, loaded: dict[str, Any]) -> UpstreamSettings:
        given = dict(loaded)
        start = self._start.server
        profile = given.pop("profile", start.profile)
        server = ServerSettings(
            profile=profile,
            task=given.pop("task", start.task if profile == start.profile else None),
            model=given.pop("model", start.model),
            dimensions=given.pop("dimensions", start.dimensions),
            api_key=given.pop("api_key", start.api_key) or None,
            max_concurrent_requests=given.pop("max_concurrent_requests", None),
        )
        state = StateSettings(
            state=State(given.pop("state", State.RUNNING)),
            ready_after=given.pop("ready_after", None),
            ready_after_requests=given.pop("ready_after_requests", None),
        )
        settings = UpstreamSettings(server=server, state=state, **given)
        self._check(settings)
        return settings

    def _check(self, settings: UpstreamSettings) -> None:
        try:
            check_task(settings.server.profile, settings.server.task)
            check_permits(settings.server.profile, settings.server.max_concurrent_requests)
        except ValueError as error:
            raise IllegalArgument(reason=str(error)) from error
        state = settings.state
        waits = state.ready_after is not None or state.ready_after_requests is not None
        if waits and state.state is not State.COLD:
            raise IllegalArgument(reason="[ready_after…] goes with the state [cold] alone")
        if not self._knows_inference_ids and any(
            fault.match.inference_id is not None for fault in settings.faults
        ):
            raise IllegalArgument(
                reason="[match.inference_id] is known in esinfer mock alone,"
                " no request over HTTP bears one"
            )

    def show(self, name: str) -> dict[str, object]:
        """One upstream, without its key."""
        return _to_wire(self._find(name))

    def show_all(self) -> dict[str, object]:
        """All upstreams."""
        return {"upstreams": [_to_wire(upstream) for upstream in self._upstreams]}

    def delete(self, name: str) -> None:
        """Remove an upstream with its log; the default is as at the start."""
        self._find(name)
        self._upstreams.delete(name)

    def delete_all(self) -> None:
        """Back to the start."""
        self._upstreams.clear()

    def log(self, name: str, size: str | None = None) -> Callable[[], bytes]:
        """What reached an upstream, the oldest first, of which ``size`` leaves the last so many.

        It may be large: what is given back writes it, exchange by exchange, and
        may be called in a thread.
        """
        upstream = self._find(name)
        secrets: Sequence[str] = [upstream.settings.server.api_key or ""]
        exchanges = upstream.log.to_wire(secrets, _load_size(size))
        return lambda: join(map(orjson.dumps, exchanges), before=b'{"exchanges":[', after=b"]}")

    def end(self) -> None:
        """Wake up whoever waits, now and from now on."""
        self._upstreams.pauses.end()

    def clear_log(self, name: str) -> None:
        """Forget what reached an upstream."""
        self._find(name).log.clear()

    def _find(self, name: str) -> Upstream:
        try:
            return self._upstreams.get(name)
        except KeyError as error:
            raise UpstreamNotFound(name=name) from error


def _load_size(text: str | None) -> int | None:
    """A number of exchanges, None if none is given."""
    if text is None:
        return None
    if not _SIZE.fullmatch(text):
        raise IllegalArgument(reason=f"Failed to parse int parameter [size] with value [{text}]")
    return int(text)


def _to_wire(upstream: Upstream) -> dict[str, object]:
    settings = upstream.settings
    ready_after = settings.state.ready_after
    shown: dict[str, object] = {
        "name": upstream.name,
        "url": settings.url,
        "profile": settings.server.profile,
        "task": settings.server.task,
        "model": settings.server.model,
        "dimensions": settings.server.dimensions,
        "state": upstream.state.value,
        "ready_after": None if ready_after is None else format_time(ready_after),
        "ready_after_requests": settings.state.ready_after_requests,
        "max_concurrent_requests": settings.server.max_concurrent_requests,
        "faults": [armed.to_wire() for armed in upstream.faults],
    }
    return {name: value for name, value in shown.items() if value is not None}
