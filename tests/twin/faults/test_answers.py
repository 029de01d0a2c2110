"""Answers in place of the server's own, each in the words of who speaks."""

from __future__ import annotations

import pytest

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.delivery import Call, Effect
from esinfer.twin.dialects import Dialect
from esinfer.twin.faults import answers
from tests.twin.asking import said


def told(effect: Effect, dialect: Dialect) -> tuple[int, object]:
    call = Call(dialect=dialect, model="org/model", answer=lambda: TwinAnswer(status=200))
    return said(effect(call).answer)


BUSY = "Model is overloaded"


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (Dialect.TEI, {"error": BUSY, "error_type": "Overloaded"}),
        (Dialect.OPENAI, {"message": BUSY, "code": 429, "type": "Overloaded"}),
        (Dialect.TGI, {"error": BUSY, "error_type": "overloaded"}),
        (
            Dialect.VLLM,
            {"error": {"message": BUSY, "type": "Too Many Requests", "param": None, "code": 429}},
        ),
    ],
)
def test_overloaded(dialect: Dialect, body: object) -> None:
    assert told(answers.overloaded, dialect) == (429, body)


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [
        (Dialect.TEI, 424, {"error": "Backend error: so", "error_type": "Backend"}),
        (Dialect.OPENAI, 424, {"message": "Backend error: so", "code": 424, "type": "Backend"}),
        (
            Dialect.TGI,
            424,
            {"error": "Request failed during generation: so", "error_type": "generation"},
        ),
        (Dialect.TOOLKIT, 400, {"error": "so"}),
        (
            Dialect.VLLM,
            500,
            {"error": {"message": "so", "type": "InternalServerError", "param": None, "code": 500}},
        ),
    ],
)
def test_backend(dialect: Dialect, status: int, body: object) -> None:
    assert told(answers.backend(message="so"), dialect) == (status, body)


def test_loading_names_the_model_where_the_router_speaks() -> None:
    expected = {"error": "Model org/model is currently loading", "estimated_time": 20.0}
    assert told(answers.loading, Dialect.SERVERLESS) == (503, expected)
    assert told(answers.loading, Dialect.TEI) == (503, {"error": "503 Service Unavailable"})
