"""Every route, embedder and length of a vector together: none of them fails alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from esinfer.twin.embedders import EMBEDDERS
from esinfer.twin.profiles import make_server
from tests.twin.asking import post, said
from tests.twin.test_minilm import needs_wheel

BATCH = ["a fox", "b"]
TEI_ROUTES: Mapping[str, Mapping[str, object]] = {
    "/": {"inputs": BATCH},
    "/embed": {"inputs": BATCH},
    "/embed_all": {"inputs": BATCH},
    "/v1/embeddings": {"input": BATCH},
    "/similarity": {"inputs": {"source_sentence": "a fox", "sentences": BATCH}},
    "/rerank": {"query": "a fox", "texts": BATCH},
    "/predict": {"inputs": [[text] for text in BATCH]},
    "/embed_sparse": {"inputs": BATCH},
    "/elser": {"inputs": BATCH},
    "/vertex": {"instances": [{"inputs": BATCH}]},
}
WITH_VECTORS = ("/", "/embed", "/embed_all", "/v1/embeddings", "/vertex")
TOOLKIT_TASKS = ("sentence-embeddings", "feature-extraction")


def vectors(value: Any) -> Iterator[list[float]]:
    """The lists of numbers in a JSON value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from vectors(item)
    elif isinstance(value, list) and value and all(isinstance(item, float) for item in value):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from vectors(item)


@pytest.mark.parametrize(
    "embedder",
    ["hash", "static", pytest.param("minilm", marks=needs_wheel)],
)
@pytest.mark.parametrize("dimensions", [100, 256, 257, 384, 768, 4096])
def test_every_route_writes_vectors_of_every_length(embedder: str, dimensions: int) -> None:
    make = EMBEDDERS[embedder]
    tei = make_server("tei-1.9", dimensions=dimensions, embedder=make)
    for path, body in TEI_ROUTES.items():
        status, value = said(post(tei, path, body))
        assert status == 200, path
        if path in WITH_VECTORS:
            assert {len(row) for row in vectors(value)} == {dimensions}, path
    for task in TOOLKIT_TASKS:
        toolkit = make_server("toolkit", task=task, dimensions=dimensions, embedder=make)
        status, value = said(post(toolkit, "/", {"inputs": BATCH}))
        assert (status, {len(row) for row in vectors(value)}) == (200, {dimensions})
