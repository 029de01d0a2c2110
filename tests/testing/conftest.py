"""Requests as a journal has them, made without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from esinfer.testing import Request

MakeRequest = Callable[..., Request]


@pytest.fixture
def make_request() -> MakeRequest:
    """A good embedding, but for what is said; each has the next number."""
    made = 0

    def make(**changed: Any) -> Request:
        nonlocal made
        made += 1
        usual: dict[str, Any] = {
            "sequence": made,
            "time": 0.0,
            "duration": 0.0,
            "method": "POST",
            "path": "/_inference/text_embedding/my-id",
            "query": "",
            "headers": {},
            "inference_id": "my-id",
            "task_type": "text_embedding",
            "body": {"input": ["a"]},
            "status": 200,
            "answer": {},
            "answer_headers": {},
            "waited": 0.0,
            "attempts": (),
        }
        return Request(**usual | changed)

    return make
