"""The chunks that Elasticsearch gives, case by case; all data, none of our own making."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from esinfer.chunking import settings
from esinfer.chunking.chunker import chunk, spans

GOLDENS = Path(__file__).parents[1] / "samples" / "chunking" / "golden.jsonl.xz"


def read_goldens() -> list[dict[str, Any]]:
    # Texts hold other line separators, which splitlines would take for ends of lines.
    lines = lzma.decompress(GOLDENS.read_bytes()).decode("utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in read_goldens()])
def test_the_chunks_are_those_of_elasticsearch(case: dict[str, Any]) -> None:
    chunks = chunk(case["text"], settings.load(case["settings"]))
    units = case["text"].encode("utf-16-le")
    assert chunks == [
        (start, end, units[2 * start : 2 * end].decode("utf-16-le"))
        for start, end in case["chunks"]
    ]
    assert [list(span) for span in spans(case["text"], settings.load(case["settings"]))] == (
        case["chunks_cp"]
    )
