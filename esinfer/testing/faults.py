"""What goes wrong upstream in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from esinfer.testing.control import call

if TYPE_CHECKING:
    from esinfer.mocking import UpstreamControl

_DEFAULT = "default"


class Faults:
    """The faults of a namespace's upstreams; iterating shows those that may still hit."""

    def __init__(self, url: str, use: Callable[[Callable[[UpstreamControl], None]], None]) -> None:
        self._url = url
        self._use = use

    def add(
        self,
        kind: str,
        *,
        times: int | None = None,
        match: Mapping[str, object] | None = None,
        upstream: str = _DEFAULT,
        url: str | None = None,
        **settings: object,
    ) -> None:
        """Have upstream requests go wrong in this way, ``times`` of them or all from now on.

        ``kind``, its ``settings`` and ``match`` are those of the README:
        ``add("latency", delay="2s", match={"inference_id": "my-id"})``.
        ``upstream`` is the name of one that is there; with ``url``, in which
        ``*`` is any text, it is the one for that url, made if there is none.
        What is wrong with a fault is Refused. A new endpoint calls its upstream
        once, and would meet the fault: create endpoints first.
        """
        fault: dict[str, object] = {"kind": kind, **settings}
        fault |= {} if times is None else {"times": times}
        fault |= {} if match is None else {"match": match}
        name = upstream if url is None else self._upstream_of(url)
        self._use(lambda control: control.add_faults(name, [fault]))

    def clear(self) -> None:
        """All upstreams are as at the start."""
        call(self._url, "DELETE", "/_esinfer/upstreams")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each as it was declared, with the ``times`` that are left and its ``hits``."""
        for upstream in self._upstreams():
            yield from upstream["faults"]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _upstreams(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = call(self._url, "GET", "/_esinfer/upstreams")["upstreams"]
        return shown

    def _upstream_of(self, url: str) -> str:
        known = {one.get("url"): one["name"] for one in self._upstreams()}
        if url in known:
            return str(known[url])
        name = f"url-{len(known)}"
        call(self._url, "PUT", f"/_esinfer/upstreams/{name}", {"url": url})
        return name
