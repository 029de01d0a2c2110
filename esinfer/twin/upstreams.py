"""The upstreams that a twin stands in for: each a server with a state, faults and a log.

``Upstreams`` is all that one user of the twin has, such as one namespace of a
server for tests: it shares nothing with another, and costs next to nothing to
make. Nothing here does I/O; ``app`` and ``transport`` carry out what an
``Exchange`` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.delivery import Call, Delivery, Effect
from esinfer.twin.dialects import dialect_of, model_of
from esinfer.twin.exchange import Exchange
from esinfer.twin.exchange_log import Entry, ExchangeLog, LogLimits
from esinfer.twin.faults.fault import ArmedFault, Fault
from esinfer.twin.known_models import DEFAULT_MODEL, model_named
from esinfer.twin.pauses import Pauses, Sleep
from esinfer.twin.pins.pins import Pins
from esinfer.twin.received import Received
from esinfer.twin.servers import DEFAULT_PROFILE, MakeServer, Server
from esinfer.twin.states import Condition, State, StateSettings
from esinfer.twin.stubs.shelf import Stubs, deliver
from esinfer.wildcards import fits, specificity

DEFAULT: Final = "default"
"""The upstream that answers where no other one's pattern fits."""
MOST_UPSTREAMS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Which server stands there; what is None is the profile's own choice."""

    profile: str = DEFAULT_PROFILE
    task: str | None = None
    model: str | None = None
    dimensions: int | None = None
    api_key: str | None = field(default=None, repr=False)
    max_concurrent_requests: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """All that is set of an upstream.

    It answers for urls that fit the pattern ``url``, where ``*`` stands for
    any text; without one for none but as the default.
    """

    url: str | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
    state: StateSettings = field(default_factory=StateSettings)
    faults: tuple[Fault, ...] = ()


class Upstream:
    """One upstream at work."""

    def __init__(  # noqa: PLR0913 -- half of it is what the upstreams of a twin share
        self,
        name: str,
        settings: UpstreamSettings,
        *,
        server: Server,
        log: ExchangeLog,
        clock: Callable[[], float],
        sequence: Iterator[int],
        stubs: Stubs,
    ) -> None:
        self.name = name
        self.settings = settings
        self.server = server
        self.log = log
        self._clock = clock
        self._sequence = sequence
        self._stubs = stubs
        self._condition = Condition(settings.state, clock())
        self._faults = [ArmedFault(fault) for fault in settings.faults]

    @property
    def state(self) -> State:
        """The state by now."""
        return self._condition.look(self._clock())

    @property
    def faults(self) -> Sequence[ArmedFault]:
        """The faults that may still hit."""
        return [armed for armed in self._faults if not armed.is_spent]

    def arm(self, faults: Sequence[Fault]) -> None:
        """Further faults, behind those that are there."""
        self._faults += map(ArmedFault, faults)

    def receive(self, received: Received) -> Exchange:
        """The exchange of one request; enter it at once."""
        now = self._clock()
        state = self.state  # the last request that a cold one refuses brings it up
        effect, delay = self._condition.receive(received, now)
        names = [state.value] if effect else []
        fault: ArmedFault | None = None
        if effect is None:
            fault, waits, names = self._strike(received)
            effect = None if fault is None else fault.fault.effect
            delay += waits
        entry = self.log.open(received, next(self._sequence), now)
        entry.faults = names
        make = self._maker(entry, received, effect)
        return Exchange(delay=delay, entry=entry, _make=make, _fault=fault)

    def _strike(self, received: Received) -> tuple[ArmedFault | None, float, list[str]]:
        """The first that hits, the sum of the delays that do, and the names of all these."""
        first: ArmedFault | None = None
        waits = 0.0
        names = []
        for armed in self._faults:
            fault = armed.fault
            is_late = fault.delay is None and first is not None
            if is_late or not armed.strike(received, self.server):
                continue
            names.append(fault.kind)
            if fault.delay is not None:
                waits += fault.delay()
            else:
                first = armed
        return first, waits, names

    def _maker(
        self, entry: Entry, received: Received, effect: Effect | None
    ) -> Callable[[Callable[[], TwinAnswer]], Delivery]:
        if effect is None and not self._stubs:
            return lambda answer: Delivery(answer=answer())
        server = self.settings.server
        dialect = dialect_of(server.profile, self.server, received)
        model = model_of(server.profile, server.model, received)

        def stubbed(answer: Callable[[], TwinAnswer]) -> Delivery:
            taken = self._stubs.take(received)
            entry.stubs = [name for name, *_ in taken]
            call = Call(dialect=dialect, model=model, answer=answer)
            return deliver(taken, call, received.task_type)

        if effect is None:
            return stubbed
        # A fault that changes the good answer changes that of the stubs.
        return lambda answer: effect(
            Call(dialect=dialect, model=model, answer=lambda: stubbed(answer).answer)
        )


class Upstreams:
    """Named upstreams, found by url; ``default`` is always there. They share their ``stubs``
    and the ``pins``, which are those of the embedder that ``make_server`` uses.

    ``sleep`` and ``clock`` (seconds) are the only time there is: with those of
    a virtual clock delays take no time.
    """

    def __init__(
        self,
        make_server: MakeServer,
        *,
        default: UpstreamSettings = UpstreamSettings(),
        limits: LogLimits = LogLimits(),  # noqa: B008 - it is frozen
        sleep: Sleep | None = None,
        clock: Callable[[], float] = time.time,
        pins: Pins | None = None,
    ) -> None:
        self.stubs = Stubs()
        self.pins = Pins() if pins is None else pins
        self.pauses = Pauses() if sleep is None else Pauses(sleep)
        self._make_server = make_server
        self._default = default
        self._limits = limits
        self._clock = clock
        self._sequence = count(1)
        self._upstreams: dict[str, Upstream] = {}

    def find(self, url: str) -> Upstream:
        """The upstream with the pattern that says most about the url; the default if none fits."""
        best: Upstream | None = None
        most = -1
        for upstream in self._upstreams.values():
            pattern = upstream.settings.url
            if pattern is None or not fits(pattern, url):
                continue
            said = specificity(pattern)
            if said > most:
                best, most = upstream, said
        return best or self.get(DEFAULT)

    def get(self, name: str) -> Upstream:
        """The upstream of that name. KeyError if there is none."""
        if name == DEFAULT and name not in self._upstreams:
            self.put(DEFAULT, self._default)
        return self._upstreams[name]

    def put(self, name: str, settings: UpstreamSettings) -> Upstream:
        """Create an upstream, or set one anew; its log goes on."""
        old = self._upstreams.get(name)
        keeps_server = old is not None and old.settings.server == settings.server
        log = old.log if old is not None else ExchangeLog(self._limits)
        made = Upstream(
            name,
            settings,
            server=old.server if old and keeps_server else self._serve(settings.server),
            log=log,
            clock=self._clock,
            sequence=self._sequence,
            stubs=self.stubs,
        )
        self._upstreams[name] = made
        return made

    def _serve(self, settings: ServerSettings) -> Server:
        return self._make_server(
            settings.profile,
            model=settings.model,
            dimensions=settings.dimensions,
            api_key=settings.api_key,
            task=settings.task,
            max_concurrent_requests=settings.max_concurrent_requests,
        )

    def delete(self, name: str) -> None:
        """Remove an upstream with its log; the default is as at the start. KeyError if none."""
        if name != DEFAULT or name in self._upstreams:
            del self._upstreams[name]

    def clear(self) -> None:
        """Back to the start."""
        self._upstreams.clear()

    @property
    def dimensions(self) -> Iterator[tuple[str, int]]:
        """The name of each upstream, and the dimensions of its vectors."""
        for upstream in self:
            server = upstream.settings.server
            model = model_named(server.model or DEFAULT_MODEL, server.dimensions)
            yield upstream.name, model.dimensions

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._upstreams) >= MOST_UPSTREAMS

    def __iter__(self) -> Iterator[Upstream]:
        """All of them, the default first."""
        default = self.get(DEFAULT)
        yield default
        yield from [one for one in self._upstreams.values() if one is not default]

    def __contains__(self, name: object) -> bool:
        return name == DEFAULT or name in self._upstreams


def single(server: Server) -> Upstreams:
    """Upstreams of which the default is this very server."""

    def serve(_profile: str, /, **_settings: object) -> Server:
        return server

    return Upstreams(serve)
