"""Where the time of one request goes.

Source: the ``Server-Timing`` header, https://www.w3.org/TR/server-timing/.
"""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter


class Timing:
    """Seconds of one request: all since ``began``, in queues, in upstreams.

    Of inferences that run at the same time within it, as chunks do, the times add up.
    """

    __slots__ = ("began", "infers", "queue", "upstream")

    def __init__(self) -> None:
        self.began = perf_counter()
        self.infers = False
        self.queue = 0.0
        self.upstream = 0.0

    def header(self) -> str:
        """What ``Server-Timing`` says now, in milliseconds."""
        total = perf_counter() - self.began
        return (
            f"queue;dur={self.queue * 1000:.3f}, upstream;dur={self.upstream * 1000:.3f},"
            f" total;dur={total * 1000:.3f}"
        )


TIMING: ContextVar[Timing | None] = ContextVar("timing", default=None)
"""That of the request that is being answered."""
