"""Who words an answer that is a fault's, and of which model.

Source: upstream.md sections 1a to 1d.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from esinfer.twin.known_models import DEFAULT_MODEL
from esinfer.twin.received import Received
from esinfer.twin.servers import Server


class Dialect(StrEnum):
    """Who words an answer."""

    TEI = "tei"
    OPENAI = "openai"
    """TEI on its routes in OpenAI's form."""
    TGI = "tgi"
    TOOLKIT = "toolkit"
    SERVERLESS = "serverless"
    VLLM = "vllm"


_FAMILIES: Final = {
    "toolkit": Dialect.TOOLKIT,
    "elser": Dialect.TOOLKIT,  # its container, with a handler of one's own
    "serverless": Dialect.SERVERLESS,
    "tgi": Dialect.TGI,
    "vllm": Dialect.VLLM,
}
_OPENAI_PATHS: Final = ("/v1/embeddings", "/embeddings")


def dialect_of(profile: str, server: Server, received: Received) -> Dialect:
    """Who words the errors of a server: chat beside TEI is TGI's."""
    family = _FAMILIES.get(profile.partition("-")[0])
    if family is not None:
        return family
    if received.is_chat(server):
        return Dialect.TGI
    # In process the path decides nothing: TEI answers there in its own form.
    by_path = received.task_type is None
    is_openai = by_path and received.request.path in _OPENAI_PATHS
    return Dialect.OPENAI if is_openai else Dialect.TEI


def model_of(profile: str, own: str | None, received: Received) -> str:
    """The model that is asked for: ``own``, or of the router's what the path or the body names."""
    if profile == "serverless":
        from esinfer.twin.serverless import model_in  # noqa: PLC0415 -- as that profile's server

        return model_in(received.request.path) or received.model or own or DEFAULT_MODEL
    return own or DEFAULT_MODEL
