"""Who words a fault's answer, by server and route, in process and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from esinfer.twin.answers import TwinRequest
from esinfer.twin.dialects import Dialect, dialect_of
from esinfer.twin.profiles import make_server
from esinfer.twin.received import Received


def dialect(profile: str, path: str, task_type: str | None = None) -> Dialect:
    request = TwinRequest(method="POST", path=path, headers={})
    received = Received(request=request, url=f"http://twin{path}", task_type=task_type)
    return dialect_of(profile, make_server(profile), received)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("tei-1.9", "/embed"), Dialect.TEI),
        (("tei-1.8", "/v1/embeddings"), Dialect.OPENAI),
        (("tei-1.9", "/embeddings"), Dialect.OPENAI),
        (("tei-1.9", "/v1/chat/completions"), Dialect.TGI),
        (("tei-1.9", "/v1/embeddings", "text_embedding"), Dialect.TEI),
        (("tei-1.9", "/", "completion"), Dialect.TGI),
        (("toolkit", "/"), Dialect.TOOLKIT),
        (("elser", "/"), Dialect.TOOLKIT),
        (("tgi", "/"), Dialect.TGI),
        (("vllm", "/v1/chat/completions"), Dialect.VLLM),
        (("serverless", "/v1/chat/completions"), Dialect.SERVERLESS),
    ],
)
def test_a_server_has_its_words(asked: Any, expected: Dialect) -> None:
    assert dialect(*asked) is expected
