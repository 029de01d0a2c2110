"""The route of Google's Vertex AI: bodies of other routes in one, each answered as there.

Source: text-embeddings-inference 1.9 ``server.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from esinfer.twin.answers import JSON, TwinAnswer, failure
from esinfer.twin.rerank import load_rerank_request
from esinfer.twin.serde import Deserializer, MalformedBody

_READERS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "instances": lambda source: source.sequence(Deserializer.content),
}

Respond = Callable[[bytes], TwinAnswer]


def predictions(body: bytes, *, rerank: Respond, other: Respond) -> TwinAnswer:
    """The answers of all instances; the first refusal of one is that of all.

    TEI tries each instance as a body of ``rerank``, and if it is none, takes it
    for a body of the model's ``other`` route.
    """
    fields: dict[str, Any] = Deserializer(body).struct("VertexRequest", _READERS, ("instances",))
    found = [_prediction(orjson.dumps(item), rerank, other) for item in fields["instances"]]
    parts = b",".join(answer.body for answer in found)
    return TwinAnswer(status=200, content_type=JSON, body=b'{"predictions":[' + parts + b"]}")


def _prediction(instance: bytes, rerank: Respond, other: Respond) -> TwinAnswer:
    if _is_rerank(instance):
        return rerank(instance)
    try:
        return other(instance)
    except MalformedBody as error:
        # The instance has been JSON before: serde has no line and column to tell.
        raise failure(422, error.reason) from error


def _is_rerank(instance: bytes) -> bool:
    try:
        load_rerank_request(instance)
    except MalformedBody:
        return False
    return True
