"""The routes in OpenAI's form: ``/v1/embeddings`` and ``/embeddings``.

Source: text-embeddings-inference 1.9 ``types.rs``, ``server.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from esinfer.twin.embed import Texts
from esinfer.twin.embed_request import EmbedRequest, read_inputs
from esinfer.twin.embedders import Embedder
from esinfer.twin.serde import Deserializer

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

_FLOAT: Final = "float"
_READERS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "input": read_inputs,
    "model": lambda source: source.option(Deserializer.string),
    "user": lambda source: source.option(Deserializer.string),
    "encoding_format": lambda source: source.variant((_FLOAT, "base64")),
    "dimensions": lambda source: source.option(Deserializer.size),
}


@dataclass(frozen=True, slots=True)
class OpenAiForm:
    """Writes vectors as a list of objects, each as numbers or packed, and counts the tokens."""

    encoding: str
    model: str

    def __call__(self, embedder: Embedder, texts: Texts, request: EmbedRequest) -> bytes:
        rows = embedder.dense(texts, dimensions=request.dimensions)
        data = [
            {"object": "embedding", "embedding": self._written(row), "index": index}
            for index, row in enumerate(rows)
        ]
        tokens = sum(map(len, texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = {"object": "list", "data": data, "model": self.model, "usage": usage}
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def _written(self, row: NDArray[float32]) -> object:
        return row if self.encoding == _FLOAT else b64encode(row.astype("<f4").tobytes()).decode()


def load_openai_request(body: bytes, model: str) -> tuple[EmbedRequest, OpenAiForm]:
    """Read a body: what is to be embedded, and how ``model``'s vectors are to be written.

    The model that the request names has no effect.
    """
    fields: dict[str, Any] = Deserializer(body).struct("OpenAICompatRequest", _READERS, ("input",))
    request = EmbedRequest(inputs=fields["input"], dimensions=fields.get("dimensions"))
    return request, OpenAiForm(fields.get("encoding_format", _FLOAT), model)
