"""The request and the result of rerank.

Source: rest.md sections 6.3 and 6.5, hugging_face.md section 3.4.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import orjson

from esinfer import java


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest:
    """Documents to put in the order in which they answer a query.

    With ``has_images`` some of ``inputs`` are data URIs of images, not texts.
    """

    inputs: tuple[str, ...]
    query: str
    top_n: int | None = None
    return_documents: bool | None = None
    has_images: bool = False

    def cut_to(self, limit: int) -> Self:  # noqa: ARG002 - the protocol's signature
        """Itself: documents are never cut."""
        return self

    def shortened(self, factor: float) -> Self:  # noqa: ARG002 - the protocol's signature
        """Itself: documents are never cut."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedDocument:
    """``index`` is the place among the inputs; ``relevance_score`` is read as a float32."""

    index: int
    relevance_score: float
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankResult:
    """The documents in the order of the answer."""

    documents: Sequence[RankedDocument]

    def to_json(self) -> bytes:
        scores = _print_scores([document.relevance_score for document in self.documents])
        rows = b",".join(
            b'{"index":%d,"relevance_score":%s%s}' % (document.index, score, _text(document))
            for document, score in zip(self.documents, scores, strict=True)
        )
        return b'{"rerank":[' + rows + b"]}"


def _print_scores(scores: Sequence[float]) -> list[bytes]:
    import numpy as np  # noqa: PLC0415 - not at start-up: loading it takes a fifth of a second

    singles = np.frombuffer(array("f", scores), dtype=np.float32)
    return java.float_array(singles)[1:-1].split(b",") if scores else []


def _text(document: RankedDocument) -> bytes:
    return b"" if document.text is None else b',"text":' + orjson.dumps(document.text)
