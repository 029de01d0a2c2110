"""TGI's routes round its chat, which test_chat.py has."""

from __future__ import annotations

import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin
from esinfer.twin.tgi import Tgi
from tests.twin.asking import JSON, get, post, said

ASK = {"messages": [{"role": "user", "content": "hi"}]}
TGI = Tgi(model_id="served", now=lambda: 7.0)


def test_chat_is_that_of_the_twin() -> None:
    twin = Twin(model_id="served", now=lambda: 7.0)
    own = post(TGI, "/v1/chat/completions", ASK)
    assert own.status == 200
    assert own.body == post(twin, "/v1/chat/completions", ASK).body
    assert (
        own.body == TGI.run(Kind.CHAT, JSON, b'{"messages":[{"role":"user","content":"hi"}]}').body
    )


def test_the_root_generates() -> None:
    said_ = 'esinfer twin: you said "hi" (1 message)'
    assert said(post(TGI, "/", {"inputs": "hi"})) == (200, [{"generated_text": said_}])


@pytest.mark.parametrize("kind", [Kind.EMBED, Kind.EMBED_SPARSE, Kind.ELSER])
def test_a_batch_of_inputs_is_no_prompt(kind: Kind) -> None:
    answer = TGI.run(kind, JSON, b'{"inputs":["a"]}')
    assert answer.status == 422
    assert answer.body == (
        b"Failed to deserialize the JSON body into the target type: "
        b"inputs: invalid type: sequence, expected a string at line 1 column 10"
    )


def test_a_query_is_no_prompt() -> None:
    answer = TGI.run(Kind.RERANK, JSON, b'{"query":"a","texts":["b"]}')
    assert answer.status == 422
    assert answer.body.endswith(b"missing field `inputs` at line 1 column 27")


def test_an_invalid_request_is_422_or_if_streamed_an_event() -> None:
    error = "Input validation error: `inputs` cannot be empty"
    assert said(post(TGI, "/v1/chat/completions", {"messages": []})) == (
        422,
        {"error": error, "error_type": "validation"},
    )
    streamed = post(TGI, "/v1/chat/completions", {"messages": [], "stream": True})
    assert streamed.status == 200
    assert list(streamed.events or ()) == [
        b'data: {"error":{"message":"%b","http_status_code":422}}\n\n' % error.encode(),
        b"data: [DONE]\n\n",
    ]


@pytest.mark.parametrize("path", ["/", "/invocations", "/v1/chat/completions"])
def test_the_key_and_json_are_asked_for(path: str) -> None:
    assert post(Tgi(api_key="key"), path, b"{}") == TwinAnswer(status=401)
    assert post(TGI, path, b"{}", {}).status == 415
    assert post(Tgi(payload_limit=1), path, b"{}").status == 413


@pytest.mark.parametrize("key", ["Bearer Key", "bearer KEY"])
def test_the_key_is_compared_without_case(key: str) -> None:
    headers = {**JSON, "Authorization": key}
    assert post(Tgi(api_key="Key"), "/", {"inputs": "a"}, headers).status == 200


def test_the_rest_is_open_to_all() -> None:
    locked = Tgi(model_id="served", api_key="key")
    for path in ("/", "/health", "/ping"):
        assert get(locked, path) == TwinAnswer(status=200)
    assert get(locked, "/metrics").body == b"# TYPE tgi_queue_size gauge\ntgi_queue_size 0\n"
    assert said(get(locked, "/v1/models")) == (
        200,
        {
            "object": "list",
            "data": [{"id": "served", "object": "model", "created": 0, "owned_by": "served"}],
        },
    )
    _, about = said(get(locked, "/info"))
    assert (about["model_id"], about["version"]) == ("served", "3.3.6")
    assert about["max_stop_sequences"] == 4


def test_other_routes_and_methods() -> None:
    assert post(TGI, "/embed", {"inputs": "a"}) == TwinAnswer(status=404)
    answer = TGI.answer(TwinRequest(method="DELETE", path="/", headers={}))
    assert answer == TwinAnswer(status=405, headers={"allow": "GET,HEAD,POST"})
