"""The same fixture in async tests."""

from __future__ import annotations

import asyncio

from elasticsearch import AsyncElasticsearch
from shop import EMBEDDINGS, embed_soon

from esinfer.testing import Esinfer


async def test_fifty_at_once_keep_to_the_rate_limit(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS, rate_limit={"requests_per_minute": 120})
    async with AsyncElasticsearch(esinfer.url) as client:
        vectors = await asyncio.gather(*(embed_soon(client, f"text {n}") for n in range(50)))
    assert len(vectors) == 50
    sent = sorted(request.attempts[0].time for request in esinfer.journal)
    assert sent[-1] - sent[0] >= 49 * 0.5 - 0.001
    esinfer.journal.assert_request("POST", status=200, times=50)
