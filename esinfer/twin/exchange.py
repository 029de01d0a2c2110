"""One request on its way through an upstream, for whoever carries it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.delivery import Delivery
from esinfer.twin.exchange_log import Entry
from esinfer.twin.faults.fault import ArmedFault
from esinfer.twin.permits import Hold


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request at an upstream, a context: deliver, wait ``delay`` seconds, then send.

    The server has the request while it waits, and its ``hold`` the permits. So
    ``deliver``, which may be called in a thread, comes first. Tell the ``entry``
    what is sent.
    """

    delay: float
    entry: Entry
    _make: Callable[[Callable[[], TwinAnswer]], Delivery]
    _fault: ArmedFault | None = None
    hold: Hold = field(default_factory=Hold)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.hold.__exit__(*exception)
        if self.entry.ending is None:
            self.entry.ending = ABANDONED

    def deliver(self, answer: Callable[[], TwinAnswer]) -> Delivery:
        """The delivery; ``answer`` gives the server's own, which a fault may not ask for."""
        return self._make(answer)

    def begin(self, delivery: Delivery) -> None:
        """Log how the answer begins, if it does; a fault that changed nothing has not hit."""
        if self._fault is not None and not delivery.changed:
            self._fault.withdraw()
            self.entry.faults.remove(self._fault.fault.kind)
        if delivery.begins:
            self.entry.begin(delivery.answer)

    def end(self, ending: str) -> None:
        """Log how it ended."""
        self.entry.ending = ending


ABANDONED: Final = "abandoned"
"""How an exchange ended of which the caller had enough, or which the twin's end cut short."""
