"""``GET /_esinfer/metrics``: for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from time import monotonic

from aiohttp import hdrs, web

import esinfer
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import ABOUT, NAMESPACES
from esinfer.api.operation import documented
from esinfer.api.responses import respond_as
from esinfer.endpoints import EndpointStore
from esinfer.errors import ElasticsearchError, EndpointUnreadable, RouterError
from esinfer.metrics.meters import Meters

_SHARE = 0.05
"""Counting endpoints takes no more of the time than this."""


class EndpointCounts:
    """How many endpoints there are; where counting is slow, as they were a little earlier."""

    def __init__(self) -> None:
        self._counts: Mapping[tuple[str, str], int] = {}
        self._next = 0.0

    async def get(self, store: EndpointStore) -> Mapping[tuple[str, str], int] | None:
        """By service and task type; None if the store does not answer.

        While an endpoint cannot be read, as they were before.
        """
        began = monotonic()
        if began < self._next:
            return self._counts
        try:
            endpoints = await store.list()
        except EndpointUnreadable:
            return self._counts
        except ElasticsearchError:
            return None
        self._counts = Counter((each.service, str(each.task_type)) for each in endpoints)
        ended = monotonic()
        self._next = ended + (ended - began) / _SHARE
        return self._counts


METERS = web.AppKey("meters", Meters)
ENDPOINT_COUNTS = web.AppKey("endpoint_counts", EndpointCounts)


@documented(
    "Show the metrics, for Prometheus",
    text_forms=["text/plain", "application/openmetrics-text"],
    errors=[404],
)
async def metrics(request: web.Request) -> web.StreamResponse:
    """All numbers of all workers, as text or, if ``Accept`` asks for it, as OpenMetrics."""
    reject_body(request)
    app = request.app
    if METERS not in app:
        raise RouterError(404, "there are no metrics: metrics.enabled is false")
    from esinfer.metrics.exposition import Facts, expose  # noqa: PLC0415 -- slow to load

    about = app[ABOUT]
    facts = Facts(
        info={
            "version": esinfer.__version__,
            "mode": about.mode,
            "elasticsearch_version": about.version,
        },
        endpoints=await app[ENDPOINT_COUNTS].get(app[NAMESPACES].default.store),
    )
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
    body, content_type = expose(app[METERS].slot.board, facts, accept)
    return respond_as(request, body, content_type)
