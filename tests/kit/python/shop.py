"""The code under test: a shop that finds things by what they mean.

It knows Elasticsearch alone, and nothing of esinfer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from elasticsearch import ApiError, AsyncElasticsearch, Elasticsearch

EMBEDDINGS = "shop-embeddings"
RERANKER = "shop-reranker"
CHAT = "shop-chat"


class Shop:
    """A shop with a client of Elasticsearch."""

    def __init__(self, es: Elasticsearch) -> None:
        self._es = es

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts; none if the model is not to be had."""
        try:
            answer = self._es.inference.text_embedding(inference_id=EMBEDDINGS, input=list(texts))
        except ApiError:
            return []
        return [item["embedding"] for item in answer["text_embedding"]]

    def best(self, wish: str, offers: Sequence[str]) -> str:
        """The offer that is nearest to a wish."""
        answer = self._es.inference.rerank(inference_id=RERANKER, query=wish, input=list(offers))
        first: int = answer["rerank"][0]["index"]
        return offers[first]

    def advise(self, question: str) -> str:
        """What the chat says, as it comes in."""
        events = self._es.perform_request(
            "POST",
            f"/_inference/chat_completion/{CHAT}/_stream",
            headers={"content-type": "application/json", "accept": "text/event-stream"},
            body={"messages": [{"role": "user", "content": question}]},
        )
        return "".join(map(_text, _values(events.body)))


def _values(events: str) -> list[Any]:
    lines = events.splitlines()
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("data:")]
    return [json.loads(data) for data in found if data != "[DONE]"]


def _text(event: Any) -> str:
    choices = event["choices"]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def embed_soon(es: AsyncElasticsearch, text: str) -> list[float]:
    """The vector of a text, without blocking."""
    answer = await es.inference.text_embedding(inference_id=EMBEDDINGS, input=text)
    vector: list[float] = answer["text_embedding"][0]["embedding"]
    return vector
