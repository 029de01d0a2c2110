"""What can be set of the twin of a mock, as JSON values, whichever twin it is.

``load`` reads what the others take, out of a body, and changes nothing; all
raise ElasticsearchErrors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class UpstreamControl(Protocol):
    """Sets and shows the twin's upstreams."""

    def load(self, name: str, value: object, text: Callable[[], bytes]) -> Any: ...
    def put(self, name: str, settings: Any) -> object: ...
    def put_calm(self, name: str, settings: Any) -> object:
        """The same without what makes requests fail."""

    def add_faults(self, name: str, faults: Sequence[Mapping[str, object]]) -> None:
        """Further faults, as JSON values, behind those that an upstream has."""

    def show(self, name: str) -> object: ...
    def show_all(self) -> object: ...
    def delete(self, name: str) -> None: ...
    def delete_all(self) -> None: ...
    def log(self, name: str, size: str | None = None) -> Callable[[], bytes]:
        """What writes the last ``size`` exchanges, or all, as JSON; a thread may call it."""

    def clear_log(self, name: str) -> None: ...
    def end(self) -> None:
        """Wake up whoever is kept waiting on purpose, now and from now on."""


class Stubbing(Protocol):
    """Sets and shows stubs; a name of None asks for one to be given."""

    def load(self, name: str | None, value: object, text: Callable[[], bytes]) -> Any: ...
    def put(self, name: str | None, stub: Any) -> object: ...
    def show(self, name: str) -> object: ...
    def show_all(self) -> object: ...
    def delete(self, name: str) -> None: ...
    def delete_all(self) -> None: ...


class Pinning(Protocol):
    """Sets and shows the cosines of pinned texts."""

    def load(self, value: object, text: Callable[[], bytes]) -> Any: ...
    def put(self, pins: Any) -> object: ...
    def add(self, pins: Any) -> object: ...
    def show(self) -> object: ...
    def delete_all(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mocking:
    """All three of one twin."""

    upstreams: UpstreamControl
    stubs: Stubbing
    similarities: Pinning
