"""What every server of the twin can do, whichever it imitates."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Protocol

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.permits import Hold

DEFAULT_PROFILE: Final = "tei-1.9"
UNLIMITED: Final = 2**62
"""The ``payload_limit`` of a server that has none."""


class Kind(StrEnum):
    """What is asked for, and the form of its answer."""

    EMBED = "embed"
    """A list of numbers for each input."""
    EMBED_SPARSE = "embed_sparse"
    """A list of weighted token numbers for each input."""
    ELSER = "elser"
    """An object of weighted tokens for each input."""
    RERANK = "rerank"
    """The places of the texts, best first, with their scores."""
    CHAT = "chat"
    """A chat completion, whole or as a stream of events."""


class Server(Protocol):
    """A Hugging Face endpoint as two functions, both without I/O."""

    @property
    def payload_limit(self) -> int:
        """Bytes of the longest body; of a longer one, one byte more is enough to read."""

    @property
    def has_cors(self) -> bool:
        """Whether it lets the pages of any origin call it."""

    def answer(self, request: TwinRequest) -> TwinAnswer:
        """Answer a request by its path and method."""

    def run(
        self,
        kind: Kind,
        headers: Mapping[str, str],
        body: bytes,
        *,
        path: str = "",
        hold: Hold | None = None,
    ) -> TwinAnswer:
        """Answer a body as the server's route for ``kind`` does, whatever the ``path``.

        A server without such a route answers as it answers such a body; one to
        which the path tells more than the route takes it from there.
        """

    def task_of(self, method: str, path: str) -> str | None:
        """The task type that a route is for, None if it is for none or there is no such route.

        That of chat is ``chat_completion``, which serves ``completion``, too.
        """

    def is_quick(self, path: str, body: bytes) -> bool:
        """Whether the event loop may wait for the answer: a few milliseconds at most."""


class MakeServer(Protocol):
    """Makes the server of a profile; what is None is the profile's own choice.

    ValueError for what cannot be made.
    """

    def __call__(
        self,
        profile: str,
        /,
        *,
        model: str | None,
        dimensions: int | None,
        api_key: str | None,
        task: str | None,
        max_concurrent_requests: int | None,
    ) -> Server: ...
