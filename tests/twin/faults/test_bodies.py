"""Faults that change a body: wherever a server keeps its results, and never without a change."""

from __future__ import annotations

import math
from base64 import b64decode
from struct import iter_unpack
from typing import Any

import orjson
import pytest

from esinfer.twin.answers import EVENT_STREAM, TwinAnswer, json, text
from esinfer.twin.delivery import Call, Delivery, Effect
from esinfer.twin.dialects import Dialect
from esinfer.twin.faults import bodies, events
from esinfer.twin.profiles import make_server
from tests.twin.asking import post


def delivered(effect: Effect, answer: TwinAnswer) -> Delivery:
    return effect(Call(dialect=Dialect.TEI, model="m", answer=lambda: answer))


def changed(effect: Effect, answer: TwinAnswer) -> Any:
    delivery = delivered(effect, answer)
    assert delivery.changed
    return orjson.loads(delivery.answer.body)


def unpacked(packed: str) -> list[float]:
    return [number for (number,) in iter_unpack("<f", b64decode(packed))]


@pytest.mark.parametrize("given", ["a fox", ["a fox", "a dog"]])
def test_packed_vectors_are_changed(given: object) -> None:
    """The openai client asks for them without being told."""
    tei = make_server("tei-1.9", dimensions=8)
    answer = post(tei, "/v1/embeddings", {"input": given, "encoding_format": "base64"})
    good = [unpacked(item["embedding"]) for item in orjson.loads(answer.body)["data"]]
    for dimensions, size in ((None, 7), (3, 3), (10, 10)):
        document = changed(bodies.wrong_dimensions(dimensions=dimensions), answer)
        found = [unpacked(item["embedding"]) for item in document["data"]]
        assert [len(vector) for vector in found] == [size] * len(good)
        assert [vector[:3] for vector in found] == [vector[:3] for vector in good]
    first, *others = (
        unpacked(item["embedding"]) for item in changed(bodies.not_a_number, answer)["data"]
    )
    assert math.isnan(first[0])
    assert first[1:] == good[0][1:]
    assert others == good[1:]


def test_the_toolkits_answer_to_one_text_is_one_vector() -> None:
    answer = json(200, {"embeddings": [0.5, 0.25, 0.125]})
    assert changed(bodies.wrong_dimensions(), answer) == {"embeddings": [0.5, 0.25]}
    assert changed(bodies.wrong_count(), answer) == {"embeddings": []}
    assert changed(bodies.wrong_count(count=2), answer) == {
        "embeddings": [[0.5, 0.25, 0.125], [0.5, 0.25, 0.125]]
    }


@pytest.mark.parametrize("name", ["data", "choices", "similarities", "scores", "predictions"])
def test_results_are_found_by_their_name(name: str) -> None:
    answer = json(200, {"other": 1, name: [0.5, 0.25]})
    assert changed(bodies.wrong_count(), answer) == {"other": 1, name: [0.5]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([[0.5, 0.25], [1, 0.5]], [[0.5], [1]]),
        ([[[0.5, 0.25], [1.5, 0.5]]], [[[0.5], [1.5]]]),
        ({"predictions": [[[0.5, 0.25]]]}, {"predictions": [[[0.5]]]}),
        ({"data": [{"embedding": [0.5, 0.25]}]}, {"data": [{"embedding": [0.5]}]}),
    ],
)
def test_vectors_are_found_however_deep(body: object, expected: object) -> None:
    assert changed(bodies.wrong_dimensions(), json(200, body)) == expected


@pytest.mark.parametrize(
    ("effect", "answer"),
    [
        (bodies.wrong_dimensions(), json(200, [0.5, 0.25])),
        (bodies.wrong_dimensions(), json(200, [{"index": 0, "score": 0.5}])),
        (bodies.wrong_dimensions(dimensions=2), json(200, [[0.5, 0.25]])),
        (bodies.wrong_count(count=1), json(200, [[0.5, 0.25]])),
        (bodies.wrong_count(), json(200, {"scores": 0.5})),
        (bodies.wrong_count(), json(200, [])),
        (bodies.wrong_count(), text(200, "Ok")),
        (bodies.wrong_count(), json(422, [1, 2])),
        (bodies.not_a_number, json(200, {"a": ["1.5", 1, True, None]})),
        (bodies.not_a_number, text(200, "1.5.")),
        (bodies.malformed(), json(400, {})),
        (bodies.invalid_utf8, TwinAnswer(status=200)),
        (bodies.gzip, TwinAnswer(status=200)),
        (bodies.gzip, TwinAnswer(status=200, content_type=EVENT_STREAM, events=[b"data: 1"])),
        (events.crlf, json(200, [])),
        (events.stream_error(), json(200, [])),
        (events.cut_stream(), json(200, [])),
    ],
)
def test_where_there_is_nothing_to_change_it_says_so(effect: Effect, answer: TwinAnswer) -> None:
    assert delivered(effect, answer) == Delivery(answer=answer, changed=False)


def test_nan_stands_for_the_first_fraction() -> None:
    delivery = delivered(bodies.not_a_number, json(200, {"n": 1, "a": [[0.5, 0.25]]}))
    assert delivery.answer.body == b'{"n":1,"a":[[NaN,0.25]]}'
