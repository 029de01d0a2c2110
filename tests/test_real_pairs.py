"""Answers recorded from real containers, and what Elasticsearch makes of each.

``samples/real_pairs.jsonl`` has one a line; ``"...+380 numbers"`` in it stands
for that many numbers of a vector, which are zeros here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.conftest import Answer, Client, Upstream, create

PAIRS = [
    json.loads(line)
    for line in (Path(__file__).parent / "samples" / "real_pairs.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
_LEFT_OUT = re.compile(r"\.\.\.\+(\d+) numbers")


def whole(value: Any) -> Any:
    """The value with its left out numbers as zeros."""
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    items: list[Any] = []
    for item in value:
        left_out = _LEFT_OUT.fullmatch(item) if isinstance(item, str) else None
        items += [0.0] * int(left_out[1]) if left_out else [whole(item)]
    return items


def recorded(pair: dict[str, Any]) -> Answer:
    said = pair["upstream"]
    body = said["body"]
    data = body.encode() if isinstance(body, str) else orjson.dumps(whole(body))
    return Answer(said["status"], data, said["headers"])


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair['server']} {pair['label']}")
async def test_recorded_answer(pair: dict[str, Any], client: Client, upstream: Upstream) -> None:
    await create(client, upstream)
    upstream.answers(recorded(pair))

    reply = await client("POST", "/_inference/text_embedding/id", {"input": ["hi"]})

    expected = pair["expect"]
    assert reply.status == expected["status"], reply.text
    assert upstream.bodies == [{"inputs": ["hi"]}] * expected["calls"]
    if "error" in expected:
        assert reply.json == {"error": expected["error"], "status": expected["status"]}
    else:
        rows = whole(pair["upstream"]["body"])["embeddings"]
        found = [item["embedding"] for item in reply.json["text_embedding"]]
        assert list(reply.json) == ["text_embedding"]
        assert np.array_equal(np.array(found, np.float32), np.array(rows, np.float32))
