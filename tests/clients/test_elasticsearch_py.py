"""elasticsearch-py against live servers: every inference method, sync and async.

The ordinary test run takes the client of the project's environment; `make
test-clients` runs this file again with each release that is pinned.
"""

from __future__ import annotations

import json
import os
from typing import Any

import elasticsearch
import pytest
from elasticsearch import (
    ApiError,
    BadRequestError,
    Elasticsearch,
    NotFoundError,
)

from tests.clients.conftest import Connect, delete_endpoints
from tests.clients.servers import Servers

MAJOR = elasticsearch.__version__[0]
SPARSE = "sparse_embedding"
DENSE = "text_embedding"
RERANK = "rerank"
COMPLETION = "completion"
CHAT = "chat_completion"

PATHS = {
    SPARSE: "/elser",
    DENSE: "/embed",
    RERANK: "/rerank",
    COMPLETION: "/v1/chat/completions",
    CHAT: "/v1/chat/completions",
}
METHODS = {
    "completion",
    "delete",
    "get",
    "inference",
    "put",
    "put_hugging_face",
    "rerank",
    "sparse_embedding",
    "text_embedding",
    "update",
}
METHODS_OF_9 = {"embedding", "get_region_policy", "put_region_policy", "delete_region_policy"}
"""What the tests below call; the other ``put_*`` are for other services."""

only_9 = pytest.mark.skipif(MAJOR < 9, reason="elasticsearch-py 8 cannot")
MESSAGES = [{"role": "user", "content": "hello there"}]


def settings(task_type: str, upstream: str = "http://hf", api_key: str = "secret") -> Any:
    return {"url": upstream + PATHS[task_type], "api_key": api_key}


def config(task_type: str, upstream: str = "http://hf", api_key: str = "secret") -> Any:
    service_settings = settings(task_type, upstream, api_key)
    return {"service": "hugging_face", "service_settings": service_settings}


def create(es: Elasticsearch, task_type: str, upstream: str = "http://hf") -> str:
    """An endpoint that has the name of its task type."""
    es.inference.put(
        task_type=task_type,
        inference_id=task_type,
        inference_config=config(task_type, upstream),
    )
    return task_type


def stream(es: Elasticsearch, path: str, body: object, accept: str = "text/event-stream") -> Any:
    """What the client has no method for: its answer is the whole text."""
    headers = {"accept": accept, "content-type": "application/json"}
    return es.perform_request("POST", f"/_inference/{path}/_stream", headers=headers, body=body)


def events(text: str) -> list[tuple[str, str]]:
    """Name and data of every event; nothing else is between them."""
    assert text.endswith("\n\n")
    lines = [event.split("\n") for event in text.removesuffix("\n\n").split("\n\n")]
    return [(name.removeprefix("event: "), data.removeprefix("data: ")) for name, data in lines]


def messages(text: str) -> list[Any]:
    """The values of a stream that came to its end."""
    *found, end = events(text)
    assert end == ("message", "[DONE]")
    assert {name for name, _ in found} == {"message"}
    return [json.loads(data) for _, data in found]


@pytest.fixture(params=["mock", "serve"])
def served(request: pytest.FixtureRequest, connect: Connect, servers: Servers) -> Elasticsearch:
    """Endpoints of all task types; behind the second server the twin is reached over HTTP."""
    es = connect(getattr(servers, request.param))
    delete_endpoints(es)
    for task_type in PATHS:
        create(es, task_type, servers.twin)
    return es


def test_the_client_is_the_release_that_is_meant() -> None:
    release = ".".join(map(str, elasticsearch.__version__))
    assert os.environ.get("ESINFER_SUITE_VERSION", release) == release


def test_no_method_of_the_client_is_left_out() -> None:
    public = {name for name in dir(Elasticsearch("http://x:1").inference) if name[0] != "_"}
    others = {name for name in public if name.startswith("put_")} - METHODS - METHODS_OF_9
    assert public - others - {"perform_request", "transport"} == METHODS | (
        METHODS_OF_9 if MAJOR >= 9 else set()
    )


def test_info_and_ping_answer(es: Elasticsearch) -> None:
    info = es.info()
    assert info["version"]["number"].startswith("9.5.")
    assert info.meta.headers["x-elastic-product"] == "Elasticsearch"
    assert es.ping()


# Endpoints


def test_put_get_update_and_delete(es: Elasticsearch) -> None:
    created = es.inference.put(
        task_type=DENSE, inference_id="a", inference_config=config(DENSE), timeout="10s"
    )
    assert created["service_settings"] == {
        "url": "http://hf/embed",
        "similarity": "cosine",
        "dimensions": 384,
        "rate_limit": {"requests_per_minute": 3000},
    }
    assert es.inference.get(task_type=DENSE, inference_id="a")["endpoints"] == [created.body]

    updated = es.inference.update(
        task_type=DENSE,
        inference_id="a",
        inference_config={"service_settings": {"rate_limit": {"requests_per_minute": 99}}},
    )
    assert updated["service_settings"]["rate_limit"] == {"requests_per_minute": 99}
    assert es.inference.get(inference_id="a")["endpoints"] == [updated.body]

    deleted = es.inference.delete(task_type=DENSE, inference_id="a")
    assert deleted.body == {"acknowledged": True, "pipelines": [], "indexes": []}
    assert es.inference.get()["endpoints"] == []


def test_update_by_the_id_alone_wants_the_task_type_in_the_body(es: Elasticsearch) -> None:
    create(es, COMPLETION)
    change: Any = {"service_settings": {"rate_limit": {"requests_per_minute": 99}}}
    with pytest.raises(BadRequestError, match=r"missing required setting \[task_type\]"):
        es.inference.update(inference_id=COMPLETION, inference_config=change)
    updated = es.inference.update(
        inference_id=COMPLETION, inference_config={"task_type": COMPLETION, **change}
    )
    assert es.inference.get(inference_id=COMPLETION)["endpoints"] == [updated.body]


@only_9
def test_update_takes_a_timeout(es: Elasticsearch) -> None:
    create(es, RERANK)
    updated = es.inference.update(
        task_type=RERANK,
        inference_id=RERANK,
        inference_config={"task_settings": {"top_n": 3}},
        timeout="5s",
    )
    assert updated["task_settings"] == {"top_n": 3}


@pytest.mark.parametrize("task_type", PATHS)
def test_put_hugging_face_creates_an_endpoint(es: Elasticsearch, task_type: str) -> None:
    created = es.inference.put_hugging_face(
        task_type=task_type,
        huggingface_inference_id="b",
        service="hugging_face",
        service_settings=settings(task_type),
        timeout="30s",
    )
    assert (created["task_type"], created["service"]) == (task_type, "hugging_face")
    assert es.inference.get(inference_id="b")["endpoints"] == [created.body]


def test_put_hugging_face_takes_chunking_and_task_settings(es: Elasticsearch) -> None:
    chunking = {"strategy": "word", "max_chunk_size": 100, "overlap": 20}
    dense = es.inference.put_hugging_face(
        task_type=DENSE,
        huggingface_inference_id="dense",
        service="hugging_face",
        service_settings=settings(DENSE),
        chunking_settings=chunking,
    )
    assert dense["chunking_settings"] == chunking
    rerank = es.inference.put_hugging_face(
        task_type=RERANK,
        huggingface_inference_id="rerank",
        service="hugging_face",
        service_settings=settings(RERANK),
        task_settings={"return_documents": True, "top_n": 2},
    )
    assert rerank["task_settings"] == {"return_documents": True, "top_n": 2}


def test_get_lists_all_and_by_task_type(es: Elasticsearch) -> None:
    create(es, DENSE)
    create(es, SPARSE)
    assert ids(es.inference.get()) == [SPARSE, DENSE]
    assert ids(es.inference.get(inference_id="_all")) == [SPARSE, DENSE]
    assert ids(es.inference.get(task_type=SPARSE, inference_id="_all")) == [SPARSE]
    # elasticsearch-py 8 drops a task type that comes without an id.
    assert ids(es.inference.get(task_type=SPARSE)) == ([SPARSE] if MAJOR >= 9 else [SPARSE, DENSE])


def ids(answer: Any) -> list[str]:
    return [endpoint["inference_id"] for endpoint in answer["endpoints"]]


def test_delete_dry_run_deletes_nothing(es: Elasticsearch) -> None:
    create(es, DENSE)
    dry = es.inference.delete(inference_id=DENSE, dry_run=True, force=False)
    assert dry.body == {
        "acknowledged": False,
        "pipelines": [],
        "indexes": [],
        "error_message": "",
    }
    assert ids(es.inference.get(inference_id=DENSE)) == [DENSE]


@only_9
def test_the_region_policy_is_put_read_and_deleted(es: Elasticsearch) -> None:
    es.options(ignore_status=404).inference.delete_region_policy()
    policy = {"allowed_regions": [{"csp": "aws", "region": "us-east-1"}]}
    created = es.inference.put_region_policy(region_policy=policy, force=True)
    assert created["region_policy"] == policy
    assert set(created) == {"region_policy", "created_at"}
    assert es.inference.get_region_policy().body == created.body

    assert es.inference.delete_region_policy().body == {"acknowledged": True}
    with pytest.raises(NotFoundError, match="No region policy is configured"):
        es.inference.get_region_policy()


# Inference


def test_text_embedding_gives_a_vector_for_each_input(served: Elasticsearch) -> None:
    answer = served.inference.text_embedding(
        inference_id=DENSE, input=["one", "two"], input_type="unspecified", timeout="5s"
    )
    assert [len(item["embedding"]) for item in answer["text_embedding"]] == [384, 384]
    general = served.inference.inference(inference_id=DENSE, input=["one", "two"])
    assert general.body == answer.body
    with pytest.raises(BadRequestError, match=r"Invalid input_type \[search\]"):
        served.inference.text_embedding(inference_id=DENSE, input="one", input_type="search")


def test_sparse_embedding_gives_weighted_tokens(served: Elasticsearch) -> None:
    answer = served.inference.sparse_embedding(inference_id=SPARSE, input="quick fox")
    (item,) = answer["sparse_embedding"]
    assert item["is_truncated"] is False
    assert set(item["embedding"]) == {"quick", "fox"}
    general = served.inference.inference(inference_id=SPARSE, task_type=SPARSE, input="quick fox")
    assert general.body == answer.body


def test_completion_gives_a_text(served: Elasticsearch) -> None:
    answer = served.inference.completion(inference_id=COMPLETION, input="hello there")
    (item,) = answer["completion"]
    assert "hello there" in item["result"]
    general = served.inference.inference(inference_id=COMPLETION, input="hello there")
    assert general.body == answer.body


def test_rerank_puts_the_best_first(served: Elasticsearch) -> None:
    texts = ["a slow dog", "the quick fox", "nothing"]
    answer = served.inference.rerank(inference_id=RERANK, query="quick fox", input=texts)
    assert sorted(item["index"] for item in answer["rerank"]) == [0, 1, 2]
    assert answer["rerank"][0]["index"] == 1
    general = served.inference.inference(inference_id=RERANK, query="quick fox", input=texts)
    assert general.body == answer.body


@only_9
def test_rerank_is_cut_and_returns_documents(served: Elasticsearch) -> None:
    answer = served.inference.rerank(
        inference_id=RERANK, query="fox", input=["a dog", "a fox"], top_n=1, return_documents=True
    )
    (best,) = answer["rerank"]
    assert (best["index"], best["text"]) == (1, "a fox")


def test_rerank_takes_the_task_settings_of_the_endpoint_alone(served: Elasticsearch) -> None:
    change: Any = {"task_settings": {"top_n": 1, "return_documents": True}}
    served.inference.update(task_type=RERANK, inference_id=RERANK, inference_config=change)
    answer = served.inference.rerank(
        inference_id=RERANK, query="fox", input=["a dog", "a fox"], task_settings={"top_n": 2}
    )
    (best,) = answer["rerank"]
    assert (best["index"], best["text"]) == (1, "a fox")


@only_9
@pytest.mark.filterwarnings("ignore:This API is in technical preview")
def test_embedding_finds_no_endpoint_of_its_task(es: Elasticsearch) -> None:
    create(es, DENSE)
    with pytest.raises(BadRequestError, match=r"requested type \[embedding\] does not match"):
        es.inference.embedding(inference_id=DENSE, embedding={"input": "text"})


# Streams


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_completion_streams_what_it_says_at_once(served: Elasticsearch, accept: str) -> None:
    answer = stream(served, f"completion/{COMPLETION}", {"input": "hello there"}, accept)
    assert answer.meta.headers["content-type"] == "text/event-stream"
    parts = [item["delta"] for value in messages(answer.body) for item in value["completion"]]
    whole = served.inference.completion(inference_id=COMPLETION, input="hello there")
    assert len(parts) > 1
    assert "".join(parts) == whole["completion"][0]["result"]


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_chat_completion_streams_chunks_and_the_usage(served: Elasticsearch, accept: str) -> None:
    answer = stream(served, f"chat_completion/{CHAT}", {"messages": MESSAGES}, accept)
    *chunks, last = messages(answer.body)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert "hello there" in text
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert last["choices"] == []
    usage = last["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_chat_completion_calls_a_tool(served: Elasticsearch) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    body = {"messages": MESSAGES, "tools": [tool], "tool_choice": "required"}
    chunks = messages(stream(served, f"chat_completion/{CHAT}", body).body)
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert calls[0]["function"]["name"] == "weather"
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {}


def test_an_error_before_a_stream_is_an_exception_with_one_event(es: Elasticsearch) -> None:
    reason = "Inference endpoint not found [nope]"
    with pytest.raises(NotFoundError) as completion:
        stream(es, "completion/nope", {"input": "text"})
    ((name, data),) = events(completion.value.body)
    body = json.loads(data)
    assert (name, body["status"], body["error"]["reason"]) == ("error", 404, reason)

    with pytest.raises(NotFoundError) as chat:
        stream(es, "chat_completion/nope", {"messages": MESSAGES})
    ((name, data),) = events(chat.value.body)
    assert name == "error"
    assert json.loads(data)["error"] == {
        "code": "not_found",
        "message": reason,
        "type": "resource_not_found_exception",
    }


def test_a_task_that_does_not_stream_is_a_405(served: Elasticsearch) -> None:
    with pytest.raises(ApiError) as caught:
        stream(served, f"text_embedding/{DENSE}", {"input": "text"})
    assert caught.value.status_code == 405
    assert "Streaming is not allowed for service [hugging_face]" in caught.value.body


def test_what_the_upstream_refuses_before_it_streams_has_its_status(served: Elasticsearch) -> None:
    choice = {"type": "function", "function": {"name": "nope"}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    body = {"messages": MESSAGES, "tools": [tool], "tool_choice": choice}
    with pytest.raises(ApiError) as caught:
        stream(served, f"chat_completion/{CHAT}", body)
    assert caught.value.status_code == 422
    ((name, data),) = events(caught.value.body)
    assert name == "error"
    assert "Tool with name nope not found" in json.loads(data)["error"]["message"]


def test_an_error_in_a_stream_is_its_last_event(served: Elasticsearch) -> None:
    """The twin finds a wrong value only when it has begun to stream."""
    body = {"messages": MESSAGES, "top_p": 5}
    answer = stream(served, f"chat_completion/{CHAT}", body)
    ((name, data),) = events(answer.body)
    assert (answer.meta.status, name) == (200, "error")
    assert "top_p" in json.loads(data)["error"]["message"]


def test_a_chat_completion_does_nothing_but_stream(es: Elasticsearch) -> None:
    create(es, CHAT)
    with pytest.raises(BadRequestError) as caught:
        es.perform_request(
            "POST",
            f"/_inference/chat_completion/{CHAT}",
            headers={"accept": "application/json", "content-type": "application/json"},
            body={"messages": MESSAGES},
        )
    assert caught.value.body["error"] == {
        "code": "bad_request",
        "message": "The [chat_completion] task type only supports streaming, "
        "please try again with the _stream API",
        "type": "status_exception",
    }


# Errors, and what goes with every request


def test_errors_arrive_as_the_clients_exceptions(es: Elasticsearch) -> None:
    with pytest.raises(NotFoundError) as missing:
        es.inference.get(inference_id="nope")
    assert str(missing.value) == (
        "NotFoundError(404, 'resource_not_found_exception', 'Inference endpoint not found [nope]')"
    )
    with pytest.raises(BadRequestError, match=r"Unknown service \[nope\]"):
        es.inference.put(
            task_type=DENSE, inference_id="x", inference_config={**config(DENSE), "service": "nope"}
        )
    create(es, DENSE)
    with pytest.raises(BadRequestError, match="already exists") as exists:
        create(es, DENSE)
    assert exists.value.body["status"] == 400


def test_a_key_that_the_upstream_refuses_is_not_stored(connect: Connect, servers: Servers) -> None:
    es = connect(servers.serve)
    delete_endpoints(es)
    right, wrong = config(DENSE, servers.twin), config(DENSE, servers.twin, "wrong")
    with pytest.raises(BadRequestError) as refused:
        es.inference.put(task_type=DENSE, inference_id="a", inference_config=wrong)
    assert "authentication error" in refused.value.body["error"]["caused_by"]["reason"]
    assert "authentication error" in str(refused.value)
    with pytest.raises(NotFoundError):
        es.inference.get(inference_id="a")

    es.inference.put(task_type=DENSE, inference_id="a", inference_config=right)
    change: Any = {"service_settings": {"api_key": "wrong"}}
    with pytest.raises(BadRequestError, match="authentication error"):
        es.inference.update(task_type=DENSE, inference_id="a", inference_config=change)
    assert es.inference.text_embedding(inference_id="a", input="text")["text_embedding"]


def test_ids_are_percent_decoded(es: Elasticsearch) -> None:
    with pytest.raises(NotFoundError, match="a/ü"):
        es.inference.get(inference_id="a/ü")


def test_compressed_requests_and_answers_work(connect: Connect, servers: Servers) -> None:
    es = connect(servers.mock, http_compress=True)
    delete_endpoints(es)
    assert es.ping()
    create(es, DENSE)
    create(es, COMPLETION)
    answer = es.inference.text_embedding(inference_id=DENSE, input="text " * 500)
    assert len(answer["text_embedding"]) == 1
    assert answer.meta.headers["content-encoding"] == "gzip"
    assert messages(stream(es, f"completion/{COMPLETION}", {"input": "text " * 500}).body)
    with pytest.raises(NotFoundError) as missing:
        stream(es, "completion/nope", {"input": "text"})
    assert events(missing.value.body)[0][0] == "error"


def test_the_opaque_id_comes_back(es: Elasticsearch) -> None:
    create(es, COMPLETION)
    known = es.options(opaque_id="mine")
    assert known.info().meta.headers["x-opaque-id"] == "mine"
    answer = stream(known, f"completion/{COMPLETION}", {"input": "text"})
    assert answer.meta.headers["x-opaque-id"] == "mine"
    with pytest.raises(NotFoundError) as missing:
        known.inference.get(inference_id="nope")
    assert missing.value.meta.headers["x-opaque-id"] == "mine"


def test_every_common_parameter_is_taken(es: Elasticsearch) -> None:
    create(es, DENSE)
    answer = es.inference.text_embedding(
        inference_id=DENSE,
        input="text",
        timeout="5s",
        error_trace=True,
        human=True,
        pretty=True,
        filter_path=["text_embedding.embedding", "-nothing"],
    )
    assert len(answer["text_embedding"][0]["embedding"]) == 384


@pytest.mark.parametrize(
    "credentials",
    [{"basic_auth": ("elastic", "changeme")}, {"api_key": "key"}, {"bearer_auth": "token"}],
)
def test_credentials_of_any_kind_are_taken(
    connect: Connect, servers: Servers, credentials: dict[str, Any]
) -> None:
    assert connect(servers.mock, **credentials).info()["version"]["build_flavor"] == "default"


def test_no_call_warns(es: Elasticsearch) -> None:
    """Warnings are errors here: a Warning header would have raised above."""
    assert issubclass(elasticsearch.ElasticsearchWarning, Warning)
    assert "warning" not in es.inference.get().meta.headers
