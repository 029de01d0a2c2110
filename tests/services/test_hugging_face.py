"""Hugging Face's wire format: requests to bytes, statuses to errors, answers to results."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer import java
from esinfer.api.responses import chat_error_body, error_body
from esinfer.chat import ChatRequest
from esinfer.endpoints import (
    InferenceEndpoint,
    RateLimit,
    Secret,
    SecretSettings,
    ServiceSettings,
)
from esinfer.errors import ElasticsearchError, Retry, UpstreamStatusError
from esinfer.rerank import RerankRequest
from esinfer.services.hugging_face import (
    CHAT_PROBE,
    COMPLETION_PROBE,
    EMBEDDING_PROBE,
    RERANK_PROBE,
    SERVICE,
    ChatSettings,
    EmbeddingSettings,
    SparseSettings,
    accept_completion,
    accept_embedding,
    build_embedding,
    measure_embeddings,
    token_limit,
)
from esinfer.services.hugging_face_answers import parse_embeddings, parse_rerank, parse_sparse
from esinfer.services.hugging_face_elser import SERVICE as ELSER
from esinfer.services.hugging_face_statuses import check_status
from esinfer.tasks import (
    CompletionRequest,
    DenseEmbeddings,
    EmbeddingRequest,
    InputType,
    TaskType,
)
from esinfer.upstream import UpstreamRequest, UpstreamResponse
from tests.conftest import envelope

LIMIT = RateLimit(requests_per_minute=3000)
SETTINGS = EmbeddingSettings(url="http://h/x?q", rate_limit=LIMIT)
ENDPOINT = InferenceEndpoint(
    inference_id="id",
    task_type=TaskType.TEXT_EMBEDDING,
    service="hugging_face",
    service_settings=SETTINGS,
    secret_settings=SecretSettings(api_key=Secret("hf_key")),
)
RANKER = replace(
    ENDPOINT,
    task_type=TaskType.RERANK,
    service_settings=ServiceSettings(url="http://h/rerank", rate_limit=LIMIT),
)
COMPLETER = replace(
    ENDPOINT,
    task_type=TaskType.COMPLETION,
    service_settings=ChatSettings(url="http://h/v1", rate_limit=LIMIT),
)
CHATTER = replace(COMPLETER, task_type=TaskType.CHAT_COMPLETION)
REQUEST = EmbeddingRequest(inputs=("a",))
PROMPT = CompletionRequest(inputs=("a",))


def answered(body: bytes, status: int = 200) -> UpstreamResponse:
    return UpstreamResponse(status=status, body=body)


def dense(body: bytes) -> str:
    return parse_embeddings(body).to_json().decode()


def sparse(body: bytes, request: EmbeddingRequest = REQUEST) -> str:
    return parse_sparse(body, request.truncated).to_json().decode()


# -- requests ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        (("a",), '{"inputs":["a"]}'),
        (("a", "", "b c"), '{"inputs":["a","","b c"]}'),
        (('"\\/\n',), '{"inputs":["\\"\\\\/\\n"]}'),
        (("é😀\u2028",), '{"inputs":["é😀\u2028"]}'),
    ],
)
def test_request_is_exactly_the_inputs(inputs: tuple[str, ...], body: str) -> None:
    request = EmbeddingRequest(inputs=inputs, input_type=InputType.INTERNAL_SEARCH)
    built = build_embedding(ENDPOINT, request)
    assert built.body == body.encode()
    assert built.url == "http://h/x?q"
    assert dict(built.headers) == {
        "Content-Type": "application/json",
        "Authorization": "Bearer hf_key",
    }
    assert (built.task_type, built.inference_id) == (TaskType.TEXT_EMBEDDING, "id")


PROBES: dict[TaskType, tuple[object, bytes]] = {
    TaskType.TEXT_EMBEDDING: (EMBEDDING_PROBE, b'{"inputs":["how big"]}'),
    TaskType.SPARSE_EMBEDDING: (EMBEDDING_PROBE, b'{"inputs":["how big"]}'),
    TaskType.RERANK: (RERANK_PROBE, b'{"texts":["how big"],"query":"test query"}'),
    TaskType.COMPLETION: (
        COMPLETION_PROBE,
        b'{"messages":[{"content":"how big","role":"user"}],"n":1,"stream":false}',
    ),
    TaskType.CHAT_COMPLETION: (
        CHAT_PROBE,
        b'{"messages":[{"content":"how big","role":"user"}],"n":1,"stream":true,'
        b'"stream_options":{"include_usage":true}}',
    ),
}


def test_validation_call_asks_how_big() -> None:
    for service in (SERVICE, ELSER):
        for task_type, task in service.tasks.items():
            probe, body = PROBES[task_type]
            task.accept(ENDPOINT, task.probe)
            assert task.probe == probe
            streams = task.streaming if task.probe_streams else None
            build = task.build if streams is None else streams.build
            assert build(ENDPOINT, task.probe).body == body
    assert list(PROBES) == list(SERVICE.tasks)


@pytest.mark.parametrize(
    "input_type",
    [None, InputType.UNSPECIFIED, InputType.INTERNAL_INGEST, InputType.INTERNAL_SEARCH],
)
def test_input_type_that_says_nothing_is_accepted(input_type: InputType | None) -> None:
    accept_embedding(ENDPOINT, replace(REQUEST, input_type=input_type))


@pytest.mark.parametrize("input_type", ["ingest", "search", "classification", "clustering"])
def test_input_type_is_refused(input_type: str) -> None:
    with pytest.raises(ElasticsearchError) as raised:
        accept_embedding(ENDPOINT, replace(REQUEST, input_type=InputType(input_type)))
    assert error_body(raised.value) == envelope(
        "validation_exception",
        f"Validation Failed: 1: Invalid input_type [{input_type}]."
        " The input_type option is not supported by this service;",
    )


@pytest.mark.parametrize("input_type", ["ingest", "search", "classification", "clustering"])
def test_input_type_of_a_completion_is_refused(input_type: str) -> None:
    with pytest.raises(ElasticsearchError, match=f"Invalid input_type .{input_type}."):
        accept_completion(COMPLETER, replace(PROMPT, input_type=InputType(input_type)))


@pytest.mark.parametrize("inputs", [("a", "b"), ("a", "a"), ("", "")])
def test_completion_takes_one_input(inputs: tuple[str, ...]) -> None:
    accept_completion(COMPLETER, PROMPT)
    with pytest.raises(ElasticsearchError) as raised:
        accept_completion(COMPLETER, replace(PROMPT, inputs=inputs))
    assert error_body(raised.value) == envelope(
        "status_exception", "Hugging Face completions only accepts 1 input"
    )


def with_model(endpoint: InferenceEndpoint, model_id: str) -> InferenceEndpoint:
    settings = ChatSettings(url="http://h/v1", rate_limit=LIMIT, model_id=model_id)
    return replace(endpoint, service_settings=settings)


def built(endpoint: InferenceEndpoint, request: object, *, stream: bool = False) -> str:
    """The body of a request, of which everything else is checked."""
    task = SERVICE.tasks[endpoint.task_type]
    streams = task.streaming if stream else None
    sent: UpstreamRequest = (task.build if streams is None else streams.build)(endpoint, request)
    assert sent.url == endpoint.service_settings.url
    assert dict(sent.headers) == {
        "Content-Type": "application/json",
        "Authorization": "Bearer hf_key",
    }
    assert (sent.task_type, sent.inference_id) == (endpoint.task_type, "id")
    return sent.body.decode()


STREAMED = '"n":1,"stream":true,"stream_options":{"include_usage":true}}'


def test_completion_asks_for_the_model_of_the_settings() -> None:
    message = '{"messages":[{"content":"a","role":"user"}],'
    named = with_model(COMPLETER, "m")
    assert built(COMPLETER, PROMPT) == message + '"n":1,"stream":false}'
    assert built(named, PROMPT) == message + '"model":"m","n":1,"stream":false}'
    assert built(COMPLETER, PROMPT, stream=True) == message + STREAMED
    assert built(named, PROMPT, stream=True) == message + '"model":"m",' + STREAMED


def test_model_of_a_chat_request_wins_over_the_settings() -> None:
    plain = ChatRequest(messages=({"content": "a", "role": "user"},), max_completion_tokens=7)
    asked = replace(plain, model="asked")
    message = '{"messages":[{"content":"a","role":"user"}],'
    rest = '"max_tokens":7,' + STREAMED
    named = with_model(CHATTER, "m")
    assert built(CHATTER, plain, stream=True) == message + rest
    assert built(named, plain, stream=True) == message + '"model":"m",' + rest
    assert built(CHATTER, asked, stream=True) == message + '"model":"asked",' + rest
    assert built(named, asked, stream=True) == message + '"model":"asked",' + rest
    whole = message + '"max_tokens":7,"n":1,"stream":false}'
    assert built(CHATTER, plain) == whole


@pytest.mark.parametrize(
    ("stored", "top_n", "return_documents", "options"),
    [
        ({}, None, None, ""),
        ({}, 3, None, ',"top_n":3'),
        ({}, None, True, ',"return_text":true'),
        ({}, 3, False, ',"return_text":false,"top_n":3'),
        ({"top_n": 2}, None, None, ',"top_n":2'),
        ({"return_documents": False}, None, None, ',"return_text":false'),
        ({"top_n": 2, "return_documents": True}, None, None, ',"return_text":true,"top_n":2'),
        ({"top_n": 2, "return_documents": True}, 5, False, ',"return_text":false,"top_n":5'),
        ({"top_n": 2, "return_documents": False}, None, True, ',"return_text":true,"top_n":2'),
        ({"top_n": 2, "return_documents": False}, 1, None, ',"return_text":false,"top_n":1'),
    ],
)
def test_what_a_rerank_request_says_wins_over_the_settings(
    stored: dict[str, object], top_n: int | None, return_documents: bool | None, options: str
) -> None:
    endpoint = replace(RANKER, task_settings=stored)
    request = RerankRequest(
        inputs=("é", "b"), query='"q"', top_n=top_n, return_documents=return_documents
    )
    assert built(endpoint, request) == '{"texts":["é","b"],"query":"\\"q\\""' + options + "}"


def test_token_limit_is_three_characters_a_token() -> None:
    limited = replace(SETTINGS, max_input_tokens=10)
    sparse_settings = SparseSettings(url="http://h", rate_limit=LIMIT)
    assert token_limit(ENDPOINT) is None
    assert token_limit(replace(ENDPOINT, service_settings=limited)) == 30
    assert token_limit(replace(ENDPOINT, service_settings=sparse_settings)) == 1536
    for endpoint in (RANKER, COMPLETER, CHATTER):
        assert SERVICE.tasks[endpoint.task_type].character_limit(endpoint) is None


# -- the validation call's measure ------------------------------------------


def test_measured_size_replaces_what_was_said() -> None:
    result = parse_embeddings(b"[[1,2,3]]")
    assert measure_embeddings(replace(SETTINGS, dimensions=99), result) == replace(
        SETTINGS, dimensions=3, similarity="cosine"
    )


def test_given_similarity_stays() -> None:
    result = parse_embeddings(b"[[1]]")
    assert measure_embeddings(replace(SETTINGS, similarity="l2_norm"), result) == replace(
        SETTINGS, dimensions=1, similarity="l2_norm"
    )


def test_answer_without_embeddings_measures_nothing() -> None:
    with pytest.raises(ElasticsearchError, match="Could not determine embedding size"):
        measure_embeddings(SETTINGS, DenseEmbeddings(vectors=[]))


# -- statuses ---------------------------------------------------------------

NAMED = {*range(300, 306), 307, *range(400, 418), 421, 422, 423, 424, 429}
"""The statuses that come back as they are; any other becomes 400."""

SPECIAL = {
    401: ("Received an authentication error status code", Retry.NO),
    413: ("Received a content too large status code", Retry.SHORTER),
    429: ("Received a rate limit status code", Retry.AGAIN),
    502: ("Received a rate limit status code", Retry.AGAIN),
    503: ("Received a rate limit status code", Retry.AGAIN),
}


def expected(status: int) -> tuple[str, Retry]:
    if status < 400:
        return "Unhandled redirection", Retry.NO
    if status < 500:
        return SPECIAL.get(status, ("Received an unsuccessful status code", Retry.NO))
    return SPECIAL.get(status, ("Received a server error status code", Retry.NO))


def refusal(status: int, body: bytes = b"") -> UpstreamStatusError:
    with pytest.raises(UpstreamStatusError) as raised:
        check_status(ENDPOINT, answered(body, status))
    return raised.value


@pytest.mark.parametrize("status", range(300, 600))
def test_status_is_mapped(status: int) -> None:
    prefix, retry = expected(status)
    error = refusal(status)
    mapped = status if status in NAMED else 400
    assert error_body(error) == envelope(
        "status_exception",
        f"{prefix} for request from inference entity id [id] status [{status}]",
        mapped,
    )
    assert error.retry is retry


@pytest.mark.parametrize("status", range(200, 300))
def test_2xx_is_no_error(status: int) -> None:
    check_status(ENDPOINT, answered(b'{"error":"no"}', status))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error":"too long"}', "too long"),
        ('{"error":"é \\"x\\"","error_type":"Validation"}', 'é "x"'),
        ('{"warnings":["w"],"error":"loading","estimated_time":20.5}', "loading"),
        ('  {"error":"x"}\n', "x"),
    ],
)
def test_message_of_the_upstream_is_passed_on(body: str, message: str) -> None:
    assert refusal(400, body.encode()).reason == (
        "Received an unsuccessful status code for request from inference entity id [id]"
        f" status [400]. Error message: [{message}]"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'"error"',
        b"[]",
        b'[{"error":"x"}]',
        b"null",
        b'{"error":""}',
        b'{"error":null}',
        b'{"error":1}',
        b'{"error":["x"]}',
        b'{"error":{"message":"x"}}',
        b'{"detail":"x"}',
        b'{"message":"x"}',
        b'{"nested":{"error":"x"}}',
        b'{"error":"x"',
        b"\xff\xfe",
        b'{"error":"\xff"}',
    ],
)
def test_body_without_an_error_text_adds_nothing(body: bytes) -> None:
    assert refusal(400, body).reason == (
        "Received an unsuccessful status code for request from inference entity id [id]"
        " status [400]"
    )


# -- statuses of completion and chat ----------------------------------------

CHAT_SPECIAL = {
    400: ("Received a bad request status code", Retry.NO),
    401: ("Received an authentication error status code", Retry.NO),
    404: ("Resource not found at [http://h/v1]", Retry.NO),
    413: ("Received a content too large status code", Retry.SHORTER),
    422: ("Received an input validation error response", Retry.NO),
    429: ("Received a rate limit status code", Retry.NO),
    500: ("Received a server error status code", Retry.AGAIN),
    503: ("Received a server busy error status code", Retry.AGAIN),
}


def expected_chat(status: int) -> tuple[str, Retry]:
    if status in CHAT_SPECIAL:
        return CHAT_SPECIAL[status]
    if status < 400:
        return "Unhandled redirection", Retry.NO
    if status < 500:
        return "Received an unsuccessful status code", Retry.NO
    return "Received a server error status code", Retry.NO


def refused(endpoint: InferenceEndpoint, status: int, body: bytes = b"") -> UpstreamStatusError:
    with pytest.raises(UpstreamStatusError) as raised:
        SERVICE.tasks[endpoint.task_type].check(endpoint, answered(body, status))
    return raised.value


@pytest.mark.parametrize("endpoint", [RANKER, COMPLETER, CHATTER], ids=lambda e: e.task_type)
@pytest.mark.parametrize("status", range(300, 600))
def test_status_is_mapped_by_the_table_of_its_task(
    endpoint: InferenceEndpoint, status: int
) -> None:
    prefix, retry = expected(status) if endpoint is RANKER else expected_chat(status)
    error = refused(endpoint, status)
    mapped = status if status in NAMED else 400
    reason = f"{prefix} for request from inference entity id [id] status [{status}]"
    assert error_body(error) == envelope("status_exception", reason, mapped)
    assert error.retry is retry
    if endpoint is not CHATTER:
        assert error.chat is None


@pytest.mark.parametrize("endpoint", [RANKER, COMPLETER, CHATTER], ids=lambda e: e.task_type)
@pytest.mark.parametrize("status", range(200, 300))
def test_2xx_is_no_error_for_any_task(endpoint: InferenceEndpoint, status: int) -> None:
    error = b'{"error":{"message":"no"}}'
    SERVICE.tasks[endpoint.task_type].check(endpoint, answered(error, status))


TOO_LONG = "Please reduce your prompt; or completion length."


@pytest.mark.parametrize("endpoint", [COMPLETER, CHATTER], ids=lambda e: e.task_type)
@pytest.mark.parametrize(
    ("status", "message", "prefix", "retry"),
    [
        (400, TOO_LONG, "Received a content too large status code", Retry.SHORTER),
        (400, f"5000. {TOO_LONG}!", "Received a content too large status code", Retry.SHORTER),
        (400, TOO_LONG.lower(), "Received a bad request status code", Retry.NO),
        (400, "no", "Received a bad request status code", Retry.NO),
        (402, TOO_LONG, "Received an unsuccessful status code", Retry.NO),
        (422, TOO_LONG, "Received an input validation error response", Retry.NO),
        (500, TOO_LONG, "Received a server error status code", Retry.AGAIN),
    ],
)
def test_prompt_that_is_too_long_counts_as_content_too_large(
    endpoint: InferenceEndpoint, status: int, message: str, prefix: str, retry: Retry
) -> None:
    error = refused(endpoint, status, orjson.dumps({"error": {"message": message}}))
    assert (error.retry, error.status) == (retry, status if status < 500 else 400)
    assert error.reason == (
        f"{prefix} for request from inference entity id [id] status [{status}]."
        f" Error message: [{message}]"
    )


def test_prompt_that_is_too_long_is_no_matter_of_other_tasks() -> None:
    for endpoint in (ENDPOINT, RANKER):
        error = refused(endpoint, 400, orjson.dumps({"error": TOO_LONG}))
        assert error.retry is Retry.NO
        assert error.reason.startswith("Received an unsuccessful status code for request")


@pytest.mark.parametrize("url", ["http://h/{url}", "http://h/{0}?{}", "http://h/%7B[x]"])
def test_url_that_was_not_found_is_named_as_it_is(url: str) -> None:
    endpoint = replace(COMPLETER, service_settings=ChatSettings(url=url, rate_limit=LIMIT))
    assert refused(endpoint, 404).reason == (
        f"Resource not found at [{url}] for request from inference entity id [id] status [404]"
    )


COMPLETION_401 = (
    "Received an authentication error status code for request from inference entity id [id]"
    " status [401]"
)


@pytest.mark.parametrize(
    ("body", "tail"),
    [
        (b'{"error":{"message":"No key"}}', ". Error message: [No key]"),
        (b'{"error":{"message":""}}', ""),
        (b'{"error":"No key"}', ""),  # Hugging Face's own form, which is not OpenAI's
        (b'{"error":{}}', ""),
        (b"what? this isn't a json", ""),
    ],
)
def test_completion_passes_on_openai_s_messages(body: bytes, tail: str) -> None:
    error = refused(COMPLETER, 401, body)
    assert (error.reason, error.chat) == (COMPLETION_401 + tail, None)


CHAT_404 = "Resource not found at [http://h/v1] for request from inference entity id [id]"


@pytest.mark.parametrize(
    ("status", "body", "members"),
    [
        (
            404,
            b'{"error":"Model not found."}',
            {
                "message": f"{CHAT_404} status [404]. Error message: [Model not found.]",
                "type": "hugging_face_error",
            },
        ),
        (
            404,
            b'{"error":{"message":"M","http_status_code":418}}',
            {
                "code": "418",
                "message": f"{CHAT_404} status [404]. Error message: [M]",
                "type": "hugging_face_error",
            },
        ),
        (
            404,
            b"<html>",
            {
                "code": "not_found",
                "message": f"{CHAT_404} status [404]",
                "type": "UnifiedChatCompletionErrorResponse",
            },
        ),
        (
            500,
            b"what? this isn't a json",
            {
                "code": "bad_request",
                "message": "Received a server error status code for request from inference entity"
                " id [id] status [500]",
                "type": "UnifiedChatCompletionErrorResponse",
            },
        ),
        (
            429,
            b"",
            {
                "code": "too_many_requests",
                "message": "Received a rate limit status code for request from inference entity"
                " id [id] status [429]",
                "type": "UnifiedChatCompletionErrorResponse",
            },
        ),
        (
            418,
            b"",
            {
                "code": "bad_request",
                "message": "Received an unsuccessful status code for request from inference entity"
                " id [id] status [418]",
                "type": "UnifiedChatCompletionErrorResponse",
            },
        ),
        (
            503,
            b'{"error":"loading","estimated_time":20.5}',
            {
                "message": "Received a server busy error status code for request from inference"
                " entity id [id] status [503]. Error message: [loading]",
                "type": "hugging_face_error",
            },
        ),
    ],
)
def test_chat_names_its_errors_in_openai_s_form(
    status: int, body: bytes, members: dict[str, str]
) -> None:
    shown = chat_error_body(refused(CHATTER, status, body))
    assert shown == {"error": members}
    assert list(shown["error"]) == list(members)


# -- dense answers ----------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "embeddings"),
    [
        ("[[0.014539449,-0.015288644]]", "[0.014539449,-0.015288644]"),
        ("[[1,0,-3]]", "[1.0,0.0,-3.0]"),
        ("[[40294967295]]", "[4.0294965E10]"),
        ("[[18446744073709551616]]", "[1.8446744E19]"),
        ("[[-0,-0.0]]", "[0.0,-0.0]"),
        ("[[0.0005]]", "[5.0E-4]"),
        ("[[1e39,-1e39]]", '["Infinity","-Infinity"]'),
        ("[[1e400,-1e400]]", '["Infinity","-Infinity"]'),
        ("[[1" + "0" * 400 + "]]", '["Infinity"]'),
        ("[[1e-50]]", "[0.0]"),
        ("[[]]", "[]"),
    ],
)
def test_numbers_become_float32(body: str, embeddings: str) -> None:
    wire = f'{{"text_embedding":[{{"embedding":{embeddings}}}]}}'
    assert dense(body.encode()) == wire
    assert dense(f'{{"embeddings":{body}}}'.encode()) == wire
    assert dense(f"{body}x".encode()) == wire  # read the careful way


ONE = '{"text_embedding":[{"embedding":[1.0]}]}'


@pytest.mark.parametrize(
    "body",
    [
        "[[1]]",
        " \n[ [ 1 ] ] ",
        "[[1]]{",
        "[[1]] trailing",
        "\ufeff[[1]]",
        '{"embeddings":[[1]]}',
        '{"embeddings":[[1]]}{',
        '{"embeddings":[[1]]',
        '{"embeddings":[[1]],"embeddings":[[2]]}',
        '{"embeddings":[[1]],"embedd\\u0069ngs":[[2]]}',
        '{"embedd\\u0069ngs":[[1]]}',
        '{"embeddings":[[1]],"a":1,"a":2}',
        '{"a":true,"b":null,"c":"embeddings","embeddings":[[1]]}',
        '{"model":"m","usage":{"total":1},"list":["x"],"embeddings":[[1]],"n":"o"}',
        '{"nested":{"embeddings":[[1]]}}',
        '{"nested":{"embeddings":[[1]]},"embeddings":[[2]]}',
        '{"a":[{"embeddings":[[1]]}],"embeddings":[[2]]}',
        '{"a":"\\"","embeddings":[[1]]}',
        '{"normalized":false,"embeddings":[[1]]}',
    ],
)
def test_first_embeddings_of_the_body_are_read_and_nothing_behind_them(body: str) -> None:
    assert dense(body.encode()) == ONE


def test_number_of_results_is_not_compared_with_the_inputs() -> None:
    assert dense(b"[[1],[2,3]]") == (
        '{"text_embedding":[{"embedding":[1.0]},{"embedding":[2.0,3.0]}]}'
    )
    assert dense(b"[]") == '{"text_embedding":[]}'


def malformed(body: bytes, parse: object = None) -> dict[str, object]:
    with pytest.raises(ElasticsearchError) as raised:
        (sparse if parse == "sparse" else dense)(body)
    assert raised.value.retry is Retry.AGAIN
    found: dict[str, object] = error_body(raised.value)["error"]
    del found["root_cause"]
    return found


def unexpected(expected: str, found: str, line: int, col: int) -> dict[str, object]:
    reason = f"Failed to parse object: expecting token of type [{expected}] but found [{found}]"
    return {"type": "parsing_exception", "reason": reason, "line": line, "col": col}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[1.0]", unexpected("START_ARRAY", "VALUE_NUMBER", 1, 2)),
        (b'[{"a":1}]', unexpected("START_ARRAY", "START_OBJECT", 1, 2)),
        (b"[null]", unexpected("START_ARRAY", "VALUE_NULL", 1, 2)),
        (b'[["1"]]', unexpected("VALUE_NUMBER", "VALUE_STRING", 1, 3)),
        (b"[[1,\n true]]", unexpected("VALUE_NUMBER", "VALUE_BOOLEAN", 2, 2)),
        (b"[[false]]", unexpected("VALUE_NUMBER", "VALUE_BOOLEAN", 1, 3)),
        (b"[[null]]", unexpected("VALUE_NUMBER", "VALUE_NULL", 1, 3)),
        (b"[[[1]]]", unexpected("VALUE_NUMBER", "START_ARRAY", 1, 3)),
        (b"[[1],2]", unexpected("START_ARRAY", "VALUE_NUMBER", 1, 6)),
        (b'{"embeddings":{"a":1}}', unexpected("START_ARRAY", "START_OBJECT", 1, 15)),
        (b'{"embeddings":"a"}', unexpected("START_ARRAY", "VALUE_STRING", 1, 15)),
        (b'{"embeddings":null}', unexpected("START_ARRAY", "VALUE_NULL", 1, 15)),
        (b'{"embeddings":[1,2]}', unexpected("START_ARRAY", "VALUE_NUMBER", 1, 16)),
        (b'{"embeddings":[["a"]]}', unexpected("VALUE_NUMBER", "VALUE_STRING", 1, 17)),
    ],
)
def test_unexpected_token_is_named_with_its_place(body: bytes, error: dict[str, object]) -> None:
    assert malformed(body) == error


@pytest.mark.parametrize(
    ("body", "token", "col"),
    [
        (b'"a"', "VALUE_STRING", 1),
        (b"1", "VALUE_NUMBER", 1),
        (b" true", "VALUE_BOOLEAN", 2),
        (b"null", "VALUE_NULL", 1),
        (b" ", "null", 2),
    ],
)
def test_scalar_is_no_answer(body: bytes, token: str, col: int) -> None:
    assert malformed(body) == {
        "type": "parsing_exception",
        "reason": f"Failed to parse object: unexpected token [{token}] found",
        "line": 1,
        "col": col,
    }


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"data":[{"embedding":[1]}]}', b'{"a":"embeddings"}', b'{"not_embeddings":[[1]]}'],
)
def test_object_without_embeddings_is_refused(body: bytes) -> None:
    assert malformed(body) == {
        "type": "illegal_state_exception",
        "reason": "Failed to find required field [embeddings] in Hugging Face embeddings response",
    }


@pytest.mark.parametrize("parse", ["dense", "sparse"])
@pytest.mark.parametrize(
    "body", [b"[", b"[[1", b"[[1,", b'[{"a"', b'[{"a":1', b"{", b'{"embeddings":[[']
)
def test_body_that_breaks_off_is_no_answer(body: bytes, parse: str) -> None:
    kinds = {"x_content_e_o_f_exception", "x_content_parse_exception", "parsing_exception"}
    assert malformed(body, parse)["type"] in kinds


@pytest.mark.parametrize("parse", ["dense", "sparse"])
@pytest.mark.parametrize(
    "body", [b"<html>", b"\xff\xfe", b"[[1}", b"[[01]]", b"[[NaN]]", b"{'a':1}"]
)
def test_body_that_is_no_json_is_no_answer(body: bytes, parse: str) -> None:
    assert malformed(body, parse)["type"] in {"x_content_parse_exception", "parsing_exception"}


def test_repeated_field_before_the_embeddings_is_refused() -> None:
    error = malformed(b'{"a":1,"a":2,"embeddings":[[1]]}')
    assert error["type"] == "x_content_parse_exception"
    assert str(error["reason"]).startswith("[1:11] Duplicate field 'a'")


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(-(10**30), 10**30),
)
ROWS = st.lists(st.lists(NUMBERS, max_size=5), max_size=4)


@given(ROWS)
def test_both_readers_of_dense_answers_agree(rows: list[list[float]]) -> None:
    body = json.dumps(rows).encode()
    quick, careful = dense(body), dense(body + b"}")
    assert quick == careful == dense(b'{"embeddings":' + body + b"}")
    parsed = [item["embedding"] for item in json.loads(quick)["text_embedding"]]
    assert len(parsed) == len(rows)
    for row, numbers in zip(rows, parsed, strict=True):
        with np.errstate(over="ignore"):
            expected_row = np.array([float(x) for x in row], dtype=np.float64).astype(np.float32)
        assert [np.float32(float(x)) for x in numbers] == expected_row.tolist()


# -- sparse answers ---------------------------------------------------------


def one(tokens: str, truncated: str = "false") -> str:
    return f'{{"sparse_embedding":[{{"is_truncated":{truncated},"embedding":{tokens}}}]}}'


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ('[{".":0.133155956864357,"the":0.6747211217880249}]', '{".":0.13315596,"the":0.6747211}'),
        ('[{"z":1,"a":2,"10":3,"2":4}]', '{"z":1.0,"a":2.0,"10":3.0,"2":4.0}'),
        ('[{"a":1e39,"b":0.0001}]', '{"a":"Infinity","b":1.0E-4}'),
        ('[{"é😀":1,"\\"":2,"true":3,"a:":4}]', '{"é😀":1.0,"\\"":2.0,"true":3.0,"a:":4.0}'),
        ('[ { "a" : 1 } ]', '{"a":1.0}'),
        ('[{"a":1}]x', '{"a":1.0}'),
        ('[{"":1}]', '{"":1.0}'),
        ("[{}]", "{}"),
    ],
)
def test_tokens_keep_the_order_of_the_upstream(body: str, tokens: str) -> None:
    assert sparse(body.encode()) == one(tokens)
    assert sparse(f"{body}]".encode()) == one(tokens)


def test_empty_sparse_answer_is_an_empty_result() -> None:
    assert sparse(b"[]") == '{"sparse_embedding":[]}'


def test_flag_tells_which_input_was_cut() -> None:
    request = EmbeddingRequest(inputs=("abcd", "ab")).cut_to(3)
    assert sparse(b'[{"a":1},{"b":2}]', request) == (
        '{"sparse_embedding":[{"is_truncated":true,"embedding":{"a":1.0}},'
        '{"is_truncated":false,"embedding":{"b":2.0}}]}'
    )


def test_result_beyond_the_inputs_is_not_truncated() -> None:
    request = EmbeddingRequest(inputs=("abcd",)).cut_to(3)
    assert sparse(b'[{"a":1},{"b":2}]', request) == (
        '{"sparse_embedding":[{"is_truncated":true,"embedding":{"a":1.0}},'
        '{"is_truncated":false,"embedding":{"b":2.0}}]}'
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"a":1}', unexpected("START_ARRAY", "START_OBJECT", 1, 1)),
        (b'{"a":{"b":1}}', unexpected("START_ARRAY", "START_OBJECT", 1, 1)),
        (b'"a"', unexpected("START_ARRAY", "VALUE_STRING", 1, 1)),
        (b" ", unexpected("START_ARRAY", "null", 1, 2)),
        (b"[[1]]", unexpected("START_OBJECT", "START_ARRAY", 1, 2)),
        (b"[1]", unexpected("START_OBJECT", "VALUE_NUMBER", 1, 2)),
        (b"[null]", unexpected("START_OBJECT", "VALUE_NULL", 1, 2)),
        (b'[{"a":"b"}]', unexpected("VALUE_NUMBER", "VALUE_STRING", 1, 7)),
        (b'[{"a":true}]', unexpected("VALUE_NUMBER", "VALUE_BOOLEAN", 1, 7)),
        (b'[{"a":null}]', unexpected("VALUE_NUMBER", "VALUE_NULL", 1, 7)),
        (b'[{"a":{"b":1}}]', unexpected("VALUE_NUMBER", "START_OBJECT", 1, 7)),
        (b'[{"a":[1]}]', unexpected("VALUE_NUMBER", "START_ARRAY", 1, 7)),
        (
            b'[[{"index":1,"value":0.5}]]',  # what text-embeddings-inference's /embed_sparse says
            unexpected("START_OBJECT", "START_ARRAY", 1, 2),
        ),
    ],
)
def test_unexpected_token_in_a_sparse_answer_is_named(
    body: bytes, error: dict[str, object]
) -> None:
    assert malformed(body, "sparse") == error


@pytest.mark.parametrize(
    "body", [b'[{"a":1,"a":2}]', b'[{"a":1,"a" :2}]', b'[{"a":1,"\\u0061":2}]']
)
def test_repeated_token_is_refused(body: bytes) -> None:
    error = malformed(body, "sparse")
    assert error["type"] == "x_content_parse_exception"
    assert "Duplicate field 'a'" in str(error["reason"])


WEIGHTS = st.lists(st.dictionaries(st.text(max_size=4), NUMBERS, max_size=4), max_size=3)


@given(WEIGHTS)
def test_both_readers_of_sparse_answers_agree(maps: list[dict[str, float]]) -> None:
    body = json.dumps(maps, ensure_ascii=False).encode("utf-8", "replace")
    quick, careful = sparse(body), sparse(body + b"]")
    assert quick == careful
    found = [item["embedding"] for item in json.loads(quick)["sparse_embedding"]]
    assert [list(item) for item in found] == [list(item) for item in json.loads(body)]


# -- ranks ------------------------------------------------------------------


def ranks(body: bytes, top_n: int | None = None) -> str:
    return parse_rerank(body, top_n).to_json().decode()


def scores(*values: object) -> bytes:
    return orjson.dumps([{"index": n, "score": value} for n, value in enumerate(values)])


def order(body: bytes, top_n: int | None = None) -> list[int]:
    return [document.index for document in parse_rerank(body, top_n).documents]


@pytest.mark.parametrize(
    ("body", "documents"),
    [
        ('[{"index":0,"score":0.5}]', '{"index":0,"relevance_score":0.5}'),
        (
            '[{"score":1.1111111111111112,"extra":[],"text":"é\\n","index":7}]',
            '{"index":7,"relevance_score":1.1111112,"text":"é\\n"}',
        ),
        ('[{"index":0,"score":1,"text":""}]', '{"index":0,"relevance_score":1.0,"text":""}'),
        ('[{"index":-1,"score":5e-4}]', '{"index":-1,"relevance_score":5.0E-4}'),
        ('[{"index":2147483647,"score":-0.0}]', '{"index":2147483647,"relevance_score":-0.0}'),
        ('[{"index":1.9,"score":1e39}]', '{"index":1,"relevance_score":"Infinity"}'),
        ('[{"index":"3","score":"0.5"}]', '{"index":3,"relevance_score":0.5}'),
        (
            '[{"index":0,"score":-1' + "0" * 400 + "}]",
            '{"index":0,"relevance_score":"-Infinity"}',
        ),
        ('[{"index":0,"score":0.5}] x', '{"index":0,"relevance_score":0.5}'),
        ("[]", ""),
    ],
)
def test_documents_are_passed_on_as_they_are(body: str, documents: str) -> None:
    assert ranks(body.encode()) == f'{{"rerank":[{documents}]}}'


def test_documents_are_sorted_best_first_and_cut() -> None:
    body = scores(-0.5, 1.1, -0.4, -0.3, -0.2)
    assert order(body) == [1, 4, 3, 2, 0]
    assert [order(body, top_n) for top_n in (1, 2, 5, 9)] == [
        [1],
        [1, 4],
        [1, 4, 3, 2, 0],
        [1, 4, 3, 2, 0],
    ]


def test_ties_keep_the_order_of_the_upstream() -> None:
    assert order(scores(0.5, 0.9, 0.5, 0.9, 0.5)) == [1, 3, 0, 2, 4]
    assert order(scores(0.1, 0.1 + 1e-12)) == [0, 1]  # the same float32


def test_indices_are_not_checked() -> None:
    body = b'[{"index":9,"score":1},{"index":9,"score":2},{"index":-5,"score":3}]'
    assert order(body) == [-5, 9, 9]


def test_request_wins_when_ranks_are_cut() -> None:
    endpoint = replace(RANKER, task_settings={"top_n": 2})
    parse = SERVICE.tasks[TaskType.RERANK].parse
    answer = answered(scores(1, 2, 3))
    for top_n, wire in (
        (None, '{"index":2,"relevance_score":3.0},{"index":1,"relevance_score":2.0}'),
        (1, '{"index":2,"relevance_score":3.0}'),
    ):
        request = RerankRequest(inputs=("a",), query="q", top_n=top_n)
        assert parse(endpoint, request, answer).to_json().decode() == f'{{"rerank":[{wire}]}}'


def ranks_refused(body: bytes) -> dict[str, object]:
    with pytest.raises(ElasticsearchError) as raised:
        parse_rerank(body, None)
    assert raised.value.retry is Retry.AGAIN
    error: dict[str, object] = error_body(raised.value)["error"]
    del error["root_cause"]
    return error


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'[{"score":1.1,"text":"x"}]', "Required [index]"),
        (b'[{"index":1,"text":"x"}]', "Required [score]"),
        (b"[{}]", "Required [index, score]"),
        (b'[{"index":0,"score":1},{"index":1}]', "Required [score]"),
    ],
)
def test_rank_lacks_a_member(body: bytes, reason: str) -> None:
    assert ranks_refused(body) == {"type": "illegal_argument_exception", "reason": reason}


@pytest.mark.parametrize(
    ("member", "token"),
    [
        ('"index":null', "VALUE_NULL"),
        ('"index":true', "VALUE_BOOLEAN"),
        ('"index":[]', "START_ARRAY"),
        ('"score":null', "VALUE_NULL"),
        ('"score":{}', "START_OBJECT"),
        ('"text":null', "VALUE_NULL"),
        ('"text":5', "VALUE_NUMBER"),
    ],
)
def test_member_of_a_rank_has_another_type(member: str, token: str) -> None:
    name = member.partition(":")[0].strip('"')
    found = ranks_refused(f"[{{{member}}}]".encode())
    assert found["type"] == "x_content_parse_exception"
    problem = f" [RankedDoc] {name} doesn't support values of type: {token}"
    assert str(found["reason"]).partition("]")[2] == problem


@pytest.mark.parametrize(
    ("member", "cause"),
    [
        ('"index":"x"', 'For input string: "x"'),
        ('"index":2147483648', "Value [2147483648] is out of range for an integer"),
        ('"score":"x"', 'For input string: "x"'),
        ('"score":""', 'For input string: ""'),
    ],
)
def test_member_of_a_rank_is_no_number(member: str, cause: str) -> None:
    name = member.partition(":")[0].strip('"')
    found = ranks_refused(f"[{{{member}}}]".encode())
    problem = f" [RankedDoc] failed to parse field [{name}]"
    assert str(found["reason"]).partition("]")[2] == problem
    assert cause in str(found["caused_by"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"index":0,"score":1}', unexpected("START_ARRAY", "START_OBJECT", 1, 1)),
        (b'\n"a"', unexpected("START_ARRAY", "VALUE_STRING", 2, 1)),
        (b" ", unexpected("START_ARRAY", "null", 1, 2)),
    ],
)
def test_ranks_are_an_array(body: bytes, error: dict[str, object]) -> None:
    assert ranks_refused(body) == error


@pytest.mark.parametrize("body", [b"[5]", b"[[]]", b"[null]", b"[", b'[{"index":0', b"<html>"])
def test_other_ranks_are_no_answer(body: bytes) -> None:
    assert ranks_refused(body)["type"] in {
        "x_content_parse_exception",
        "x_content_e_o_f_exception",
    }


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=6), st.integers(1, 7))
def test_ranks_are_the_best_of_the_scores(values: list[float], top_n: int) -> None:
    documents = parse_rerank(
        json.dumps(
            [{"index": n, "score": java.double(value)} for n, value in enumerate(values)]
        ).encode(),
        top_n,
    ).documents
    assert [d.relevance_score for d in documents] == sorted(values, reverse=True)[:top_n]
    assert [values[d.index] for d in documents] == [d.relevance_score for d in documents]


@given(st.binary(max_size=40) | st.text('[]{},:"a1-.e truefalsnl\\', max_size=30).map(str.encode))
def test_any_answer_is_a_result_or_an_error_of_ours(body: bytes) -> None:
    for task_type, (request, _) in PROBES.items():
        try:
            result = SERVICE.tasks[task_type].parse(ENDPOINT, request, answered(body))
        except ElasticsearchError:
            continue
        assert orjson.loads(result.to_json())


def test_images_are_not_ranked() -> None:
    request = RerankRequest(inputs=("data:image/png;base64,AAAA",), query="q", has_images=True)
    with pytest.raises(ElasticsearchError) as refused:
        SERVICE.tasks[TaskType.RERANK].accept(ENDPOINT, request)
    assert error_body(refused.value) == {
        "error": {
            "root_cause": [{"type": "status_exception", "reason": IMAGES_REFUSED}],
            "type": "status_exception",
            "reason": IMAGES_REFUSED,
        },
        "status": 400,
    }


IMAGES_REFUSED = "The hugging_face service does not support rerank with non-text inputs or queries"


def test_a_chat_that_asks_for_reasoning_is_refused() -> None:
    request = ChatRequest(
        messages=({"content": "a", "role": "user"},), reasoning={"effort": "high"}
    )
    with pytest.raises(ElasticsearchError) as refused:
        SERVICE.tasks[TaskType.CHAT_COMPLETION].accept(ENDPOINT, request)
    assert chat_error_body(refused.value) == {
        "error": {
            "code": "bad_request",
            "message": "The hugging_face service does not support reasoning",
            "type": "status_exception",
        }
    }
