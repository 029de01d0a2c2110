"""What is asked, each time of texts that nobody has asked of before, and the right answers.

A right answer is what the twin says in this process to the same texts; so an
answer that belongs to another request is wrong.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import numpy as np

from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin

_TWIN = Twin()
_JSON = {"content-type": "application/json"}
_WORDS = """
    river bank market doctor engine music winter garden letter school window planet
    bread castle tiger answer signal coffee bridge forest painter island ticket valley
""".split()  # noqa: SIM905 -- so many are read more easily
_NUMBERS = count()
_CHUNK_WORDS = 20
"""Words of a chunk; a text is one long sentence, which is cut into chunks that overlap."""

ENDPOINTS: Mapping[str, tuple[str, dict[str, object]]] = {
    "text_embedding/dense": ("", {}),
    "text_embedding/chunks": (
        "",
        {
            "chunking_settings": {
                "strategy": "sentence",
                "max_chunk_size": _CHUNK_WORDS,
                "sentence_overlap": 0,
            }
        },
    ),
    "sparse_embedding/sparse": ("/elser", {}),
    "rerank/rank": ("/rerank", {}),
    "completion/complete": ("/v1/chat/completions", {}),
    "chat_completion/chat": ("/v1/chat/completions", {}),
}
"""Path → the upstream's path, and what the endpoint has beside its service settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request; ``expected`` makes the right answer to it, ``streams`` if that is events."""

    path: str
    body: Mapping[str, object]
    expected: Callable[[], object]
    streams: bool = False


def _text(words: int = 8) -> str:
    chosen = random.choices(_WORDS, k=words - 1)  # noqa: S311 -- no secret
    return " ".join([*chosen, str(next(_NUMBERS))])


def _texts() -> list[str]:
    return [_text() for _ in range(random.choice((1, 1, 1, 4, 32)))]  # noqa: S311 -- no secret


def _ask_twin(kind: Kind, **body: object) -> Any:
    answer = _TWIN.run(kind, _JSON, json.dumps(body).encode())
    return json.loads(answer.body)


def dense() -> Question:
    """Text embeddings: one vector for each text, in order."""
    texts = _texts()

    def expected() -> object:
        vectors = _ask_twin(Kind.EMBED, inputs=texts)
        return {"text_embedding": [{"embedding": vector} for vector in vectors]}

    path = "/_inference/text_embedding/dense"
    return Question(path=path, body={"input": texts}, expected=expected)


def sparse() -> Question:
    """Sparse embeddings: weights of tokens for each text."""
    texts = _texts()

    def expected() -> object:
        found = _ask_twin(Kind.ELSER, inputs=texts)
        return {"sparse_embedding": [{"is_truncated": False, "embedding": own} for own in found]}

    path = "/_inference/sparse_embedding/sparse"
    return Question(path=path, body={"input": texts}, expected=expected)


def rank() -> Question:
    """Documents ranked by a query."""
    texts, query = [_text() for _ in range(5)], _text()

    def expected() -> object:
        ranked = _ask_twin(Kind.RERANK, texts=texts, query=query)
        ranked.sort(key=lambda one: -one["score"])
        return {
            "rerank": [{"index": one["index"], "relevance_score": one["score"]} for one in ranked]
        }

    return Question(
        path="/_inference/rerank/rank", body={"query": query, "input": texts}, expected=expected
    )


def _said(text: str) -> str:
    found = _ask_twin(Kind.CHAT, messages=[{"role": "user", "content": text}])
    said: str = found["choices"][0]["message"]["content"]
    return said


def complete() -> Question:
    """A completion, whole."""
    text = _text()
    return Question(
        path="/_inference/completion/complete",
        body={"input": text},
        expected=lambda: {"completion": [{"result": _said(text)}]},
    )


def stream() -> Question:
    """A completion, streamed."""
    text = _text(30)
    return Question(
        path="/_inference/completion/complete/_stream",
        body={"input": text},
        expected=lambda: _said(text),
        streams=True,
    )


def chat() -> Question:
    """A chat, streamed."""
    text = _text(30)
    return Question(
        path="/_inference/chat_completion/chat/_stream",
        body={"messages": [{"role": "user", "content": text}]},
        expected=lambda: _said(text),
        streams=True,
    )


def chunked() -> Question:
    """Chunked inference: several chunks a text, in more batches than one."""
    texts = [_text(5 * _CHUNK_WORDS) for _ in range(6)]
    path = "/_esinfer/inference/text_embedding/chunks/chunked"
    return Question(path=path, body={"input": texts}, expected=lambda: texts)


def are_right_chunks(texts: Sequence[str], answer: Mapping[str, Any]) -> bool:
    """Whether each text's chunks make up the text and have their vectors, or it is an error."""
    if len(answer["chunks"]) != len(texts):
        return False
    return all(
        isinstance(own, dict) or _are_chunks_of(text, own)
        for text, own in zip(texts, answer["chunks"], strict=True)
    )


def _are_chunks_of(text: str, chunks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing of the text is missing, and each part and its vector are its own."""
    places = [(chunk["start_offset"], chunk["end_offset"]) for chunk in chunks]
    parts = [text[start:end] for start, end in places]
    return (
        (places[0][0], places[-1][1]) == (0, len(text))
        and all(left[0] < right[0] <= left[1] for left, right in pairwise(places))
        and [chunk["text"] for chunk in chunks] == parts
        and [chunk["embeddings"] for chunk in chunks] == _ask_twin(Kind.EMBED, inputs=parts)
    )


def rounded(value: Any) -> Any:
    """JSON with the numbers that a float32 can hold: the server has no others."""
    match value:
        case float():
            return float(np.float32(value))
        case list():
            return [rounded(one) for one in value]
        case dict():
            return {name: rounded(one) for name, one in value.items()}
        case _:
            return value


ALL: Sequence[Callable[[], Question]] = (
    dense,
    dense,
    sparse,
    rank,
    complete,
    stream,
    chat,
    chunked,
)
