"""What real containers were seen to answer, and real clients to ask, played back to the twin.

``samples/hf_recorded_pairs.jsonl`` has a pair of request and answer a line,
long values cut short. Those of the Inference Toolkit are played back; infinity
is no server of the twin's, since it takes nothing that Elasticsearch sends.
``samples/hf_client_requests.jsonl`` has the requests of huggingface_hub and
openai.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.profiles import make_server

SAMPLES = Path(__file__).parents[1] / "samples"
_CUT = re.compile(r"\.\.\.\+(\d+) (numbers|arrays|items)")
_CUT_TEXT = re.compile(r" ?\.\.\.\+(\d+) chars$")


def lines(name: str) -> list[dict[str, Any]]:
    text = (SAMPLES / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


PAIRS = lines("hf_recorded_pairs.jsonl")
OF_TOOLKIT = [pair for pair in PAIRS if "toolkit" in pair["server"]]
REQUESTS = [
    asked for asked in lines("hf_client_requests.jsonl") if not asked["path"].startswith("/fail")
]


def uncut(value: Any) -> Any:
    """The value with what was cut off in its lists and texts, made up from what was not."""
    if isinstance(value, dict):
        return {name: uncut(item) for name, item in value.items()}
    if isinstance(value, str):
        cut = _CUT_TEXT.search(value)
        return value if cut is None else value[: cut.start()].ljust(int(cut[1]), "x")
    if not isinstance(value, list):
        return value
    cut = _CUT.fullmatch(value[-1]) if value and isinstance(value[-1], str) else None
    if cut is None:
        return [uncut(item) for item in value]
    known = [uncut(item) for item in value[:-1]]
    return [*known, *[known[-1]] * int(cut[1])]


def shape(value: Any) -> Any:
    """The value with its numbers made alike."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return float if isinstance(value, float) else value


def played(pair: dict[str, Any]) -> TwinAnswer:
    request = pair["request"]
    found = re.search(r"task=([a-z-]+)", pair["server"])
    assert found is not None
    body = request["body"]
    raw = body.encode() if isinstance(body, str) else orjson.dumps(uncut(body)) if body else b""
    return make_server("toolkit", task=found[1]).answer(
        TwinRequest(
            method=request["method"],
            path=f"/{request['path']}",
            headers=request["headers"],
            body=raw,
        )
    )


def test_every_recorded_server_is_the_toolkit_or_infinity() -> None:
    others = {pair["server"].split()[0] for pair in PAIRS if pair not in OF_TOOLKIT}
    assert others == {"infinity_emb"}
    assert len(OF_TOOLKIT) == 28


@pytest.mark.parametrize("pair", OF_TOOLKIT, ids=lambda pair: pair["label"])
def test_toolkit_answers_as_recorded(pair: dict[str, Any]) -> None:
    recorded = pair["response"]
    headers = dict(line.split(": ", 1) for line in recorded["headers"])

    answer = played(pair)

    assert answer.status == recorded["status"]
    assert answer.content_type == headers["content-type"]
    if recorded["body_kind"] == "text":
        assert answer.body.decode() == recorded["body"]
    else:
        assert shape(orjson.loads(answer.body)) == shape(uncut(recorded["body"]))


@pytest.mark.parametrize(
    "pair",
    [pair for pair in OF_TOOLKIT if pair["response"]["status"] != 200],
    ids=lambda pair: pair["label"],
)
def test_toolkit_writes_an_error_in_as_many_bytes(pair: dict[str, Any]) -> None:
    assert len(played(pair).body) == pair["response"]["body_bytes"]


def asked(request: dict[str, Any]) -> TwinAnswer:
    """A client's request, answered by the server that it was meant for."""
    path, body = request["path"], request["body"]
    profile, task = "tei-1.9", None
    if path == "/v1/chat/completions":
        profile = "tgi"
    elif path == "/tk":
        profile, path = "toolkit", "/"
    elif isinstance(body.get("inputs"), dict):
        task = "sentence-similarity"
    return make_server(profile, task=task).answer(
        TwinRequest(
            method=request["method"],
            path=path,
            headers=request["headers"],
            body=orjson.dumps(body),
        )
    )


def summary(answer: TwinAnswer) -> object:
    """The answer without what differs from text to text."""
    if answer.events is not None:
        return len(list(answer.events))
    body = orjson.loads(answer.body)
    if isinstance(body, list):
        return [len(item) if isinstance(item, list) else float for item in body]
    return list(body)


_CHAT = ["object", "id", "created", "model", "system_fingerprint", "choices", "usage"]


@pytest.mark.parametrize(
    ("request_", "status", "expected"),
    list(
        zip(
            REQUESTS,
            [200, 200, 422, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200],
            [
                [384],
                [384, 384],
                ["error", "error_type"],  # the model has no prompts
                [2],
                [float, float],
                ["embeddings"],
                ["embeddings"],
                _CHAT,
                7,  # five tokens, the usage, the end
                8,  # seven tokens, the end
                _CHAT,
                [384],
                ["object", "data", "model", "usage"],
            ],
            strict=True,
        )
    ),
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_clients_ask_is_answered(
    request_: dict[str, Any], status: int, expected: object
) -> None:
    answer = asked(request_)
    assert (answer.status, summary(answer)) == (status, expected)
