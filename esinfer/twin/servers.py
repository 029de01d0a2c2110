"""What stands behind an upstream: a server of some profile, and how one is made.

``make_server`` here knows text-embeddings-inference 1.9 alone; who joins the
parts may hand ``upstreams.Upstreams`` another with the same signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.tei import Kind, Twin

DEFAULT_PROFILE: Final = "tei-1.9"
PROFILES: Final = (DEFAULT_PROFILE,)
"""The names that ``make_server`` knows."""


class Server(Protocol):
    """A server as a function: one request to one answer, no I/O."""

    @property
    def payload_limit(self) -> int:
        """Bytes of a request body from which on it is refused."""

    def answer(self, request: TwinRequest) -> TwinAnswer:
        """Answer a request by its path and method."""

    def run(self, kind: Kind, headers: Mapping[str, str], body: bytes) -> TwinAnswer:
        """Answer a body as the POST route of ``kind`` does."""


class MakeServer(Protocol):
    """Makes the server of a profile; what is None is the profile's own choice."""

    def __call__(
        self, profile: str, /, *, model: str | None, dimensions: int | None, api_key: str | None
    ) -> Server: ...


def make_server(
    profile: str, *, model: str | None, dimensions: int | None, api_key: str | None
) -> Server:
    """A server of one of ``PROFILES``."""
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}")
    default = Twin()
    return Twin(
        model_id=model or default.model_id,
        dimensions=dimensions or default.dimensions,
        api_key=api_key,
    )
