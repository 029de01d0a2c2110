"""Namespaces: many servers in one, of which none sees anything of another.

A ``Namespace`` holds all that is private: endpoints, region policy, rate
limits, the twin's upstreams, journal and clock. It is made when it is first
named and costs next to nothing until it is used.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from esinfer.clock import Clock, Mode
from esinfer.endpoints import EndpointStore
from esinfer.errors import IllegalArgument, ResourceNotFound, StatusException
from esinfer.inference import Inference
from esinfer.journal import Journal
from esinfer.lifecycle import Lifecycle
from esinfer.mocking import Mocking
from esinfer.region_policy import NoRegionPolicy, RegionPolicies

DEFAULT: Final = "default"
"""The namespace of requests that name none; it is always there."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


class NamespaceNotFound(ResourceNotFound):
    template = "Namespace not found [{name}]"


class TooManyNamespaces(StatusException):
    status = 429
    template = (
        "There are [{most}] namespaces already, as many as [mock.namespaces] allows; drop one with"
        " DELETE /_esinfer/namespaces/<name>"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """All that is private to a namespace.

    ``journal`` is None where none is kept, ``mocking`` where there is no
    twin. ``random`` is where chance comes from; seeded, it repeats.
    """

    name: str
    clock: Clock
    random: Random
    store: EndpointStore
    region_policy: RegionPolicies
    inference: Inference
    lifecycle: Lifecycle
    journal: Journal | None
    mocking: Mocking | None

    def close(self) -> None:
        """Let the requests in flight come to their end, and no time pass over it."""
        if self.mocking is not None:
            self.mocking.upstreams.end()
        self.clock.mode = Mode.AUTO


def check_name(name: str) -> str:
    """The name; IllegalArgument if no namespace may have it."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise IllegalArgument(
            reason=f"Invalid namespace [{name}], expected [1] to [128] letters, digits, [-], [_]"
            " and [.]"
        )
    return name


class Namespaces:
    """The namespaces of a server, by name; ``most`` beside the default, 0 for none.

    ``sow`` puts into the default one what is there at the start.
    """

    def __init__(
        self,
        make: Callable[[str], Namespace],
        *,
        most: int,
        sow: Callable[[Namespace], Awaitable[None]] | None = None,
    ) -> None:
        self._make = make
        self._most = most
        self._sow = sow
        self.default = make(DEFAULT)
        self._named: dict[str, Namespace] = {}

    def find(self, name: str) -> Namespace:
        """The namespace of that name, made if there is none."""
        if name == DEFAULT:
            return self.default
        found = self._named.get(name)
        if found is None:
            if len(self._named) >= self._most:
                raise TooManyNamespaces(most=self._most)
            found = self._named[name] = self._make(name)
        return found

    def __iter__(self) -> Iterator[Namespace]:
        """All of them, the default first."""
        yield self.default
        yield from tuple(self._named.values())

    def drop(self, name: str) -> None:
        """Forget a namespace; what is in flight there comes to its end. NamespaceNotFound."""
        if name == DEFAULT:
            raise IllegalArgument(
                reason="The namespace [default] cannot be dropped; POST /_esinfer/reset empties it"
            )
        namespace = self._named.pop(name, None)
        if namespace is None:
            raise NamespaceNotFound(name=name)
        namespace.close()

    def drop_all(self) -> None:
        """Forget all but the default."""
        for name in tuple(self._named):
            self.drop(name)

    async def reset(self, name: str) -> Namespace:
        """All of a namespace is as at the start; what is in flight comes to its end."""
        old = self.find(name)
        new = self._make(name)
        if name == DEFAULT:
            self.default = new
        else:
            self._named[name] = new
        old.close()
        for endpoint in await new.store.list():  # a durable store is the same as before
            await new.store.delete(endpoint.inference_id)
        with suppress(NoRegionPolicy):
            await new.region_policy.delete()
        if name == DEFAULT:
            await self.sow()
        return new

    async def sow(self) -> None:
        """Put into the default namespace what is there at the start."""
        if self._sow is not None:
            await self._sow(self.default)

    def close(self) -> None:
        """Keep nobody waiting on purpose any longer."""
        for namespace in self:
            if namespace.mocking is not None:
                namespace.mocking.upstreams.end()
            if namespace.clock.mode is Mode.MANUAL:  # there is nobody to move it any more
                namespace.clock.mode = Mode.AUTO
