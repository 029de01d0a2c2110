"""The upstreams that a twin stands in for: each a server with a state, faults and a log.

``Upstreams`` is all that one user of the twin has, such as one namespace of a
server for tests: it shares nothing with another, and costs next to nothing to
make. Nothing here does I/O; ``app`` and ``transport`` carry out what an
``Exchange`` says.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Final

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.delivery import Call, Delivery, Dialect, Effect
from esinfer.twin.exchange_log import Entry, ExchangeLog, LogLimits
from esinfer.twin.faults.fault import ArmedFault, Fault
from esinfer.twin.pauses import Pauses, Sleep
from esinfer.twin.permits import Hold
from esinfer.twin.received import Received
from esinfer.twin.servers import DEFAULT_PROFILE, MakeServer, Server
from esinfer.twin.states import Condition, State, StateSettings

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


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request at an upstream: deliver, wait ``delay`` seconds, then send.

    The server has the request while it waits, and its ``hold`` the permits. So
    ``deliver``, which may be called in a thread, comes first. Tell the ``entry``
    what is sent.
    """

    delay: float
    hold: Hold
    entry: Entry
    _make: Callable[[Callable[[], TwinAnswer]], Delivery]

    def deliver(self, answer: Callable[[], TwinAnswer]) -> Delivery:
        """The delivery; ``answer`` gives the server's own, which a fault may not ask for."""
        return self._make(answer)

    def begin(self, delivery: Delivery) -> None:
        """Log how the answer begins, if it does."""
        if delivery.begins:
            self.entry.answer = delivery.answer

    def end(self, ending: str) -> None:
        """Log how it ended."""
        self.entry.ending = ending


ABANDONED: Final = "abandoned"
"""How an exchange ended of which the caller had enough, or which the twin's end cut short."""


class Upstream:
    """One upstream at work."""

    def __init__(
        self,
        name: str,
        settings: UpstreamSettings,
        *,
        server: Server,
        log: ExchangeLog,
        clock: Callable[[], float],
        sequence: Iterator[int],
    ) -> None:
        self.name = name
        self.settings = settings
        self.server = server
        self.log = log
        self._clock = clock
        self._sequence = sequence
        self._condition = Condition(settings.state, clock())
        self._faults = [ArmedFault(fault) for fault in settings.faults]

    @property
    def state(self) -> State:
        """The state by now."""
        return self._condition.look(self._clock())

    @property
    def faults(self) -> Sequence[ArmedFault]:
        """The faults that may still hit."""
        self._faults = [armed for armed in self._faults if not armed.is_spent]
        return self._faults

    @contextmanager
    def receive(self, received: Received) -> Iterator[Exchange]:
        """The exchange of one request, which lasts as long as the context does."""
        now = self._clock()
        effect, delay = self._condition.receive(received, now)
        names = [self.state.value] if effect else []
        if effect is None:
            effect, waits, names = self._strike(received)
            delay += waits
        entry = self.log.open(received, next(self._sequence), now)
        entry.faults = names
        maker = self._maker(received, effect)
        try:
            with Hold() as hold:
                yield Exchange(delay=delay, hold=hold, entry=entry, _make=maker)
        finally:
            if entry.ending is None:
                entry.ending = ABANDONED

    def _strike(self, received: Received) -> tuple[Effect | None, float, list[str]]:
        """The first effect that hits, the sum of the delays that do, and the names of all these."""
        effect: Effect | None = None
        waits = 0.0
        names = []
        for armed in self.faults if self._faults else ():
            fault = armed.fault
            if (fault.delay is None and effect is not None) or not armed.strike(received):
                continue
            names.append(fault.kind)
            if fault.delay is not None:
                waits += fault.delay()
            else:
                effect = fault.effect
        return effect, waits, names

    def _maker(
        self, received: Received, effect: Effect | None
    ) -> Callable[[Callable[[], TwinAnswer]], Delivery]:
        if effect is None:
            return lambda answer: Delivery(answer=answer())
        server = self.settings.server
        dialect = dialect_of(server.profile, received)
        model = server.model or "sentence-transformers/all-MiniLM-L6-v2"
        return lambda answer: effect(Call(dialect=dialect, model=model, answer=answer))


def dialect_of(profile: str, received: Received) -> Dialect:
    """Who words the errors of a server: chat beside TEI is TGI's."""
    family = profile.partition("-")[0]
    if family == "elser":  # the toolkit's container, with a handler of one's own
        return Dialect.TOOLKIT
    known = {"toolkit", "serverless", "vllm", "tgi"}
    if family in known:
        return Dialect(family)
    return Dialect.TGI if received.is_chat else Dialect.TEI


class Upstreams:
    """Named upstreams, found by url; ``default`` is always there.

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
    ) -> None:
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
            if pattern is None or _pattern(pattern).fullmatch(url) is None:
                continue
            said = _specificity(pattern)
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


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _specificity(pattern: str) -> int:
    """How much a pattern says: the letters that it fixes, and whether these are all."""
    return 2 * len(pattern.replace("*", "")) + ("*" not in pattern)


def single(server: Server) -> Upstreams:
    """Upstreams of which the default is this very server."""

    def serve(_profile: str, /, **_settings: object) -> Server:
        return server

    return Upstreams(serve)
