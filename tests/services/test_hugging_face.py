"""Hugging Face's wire format: requests to bytes, statuses to errors, answers to results."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.api.responses import error_body
from esinfer.endpoints import InferenceEndpoint, RateLimit, Secret, SecretSettings
from esinfer.errors import ElasticsearchError, Retry, UpstreamStatusError
from esinfer.services.hugging_face import (
    PROBE,
    SERVICE,
    EmbeddingSettings,
    SparseSettings,
    accept_embedding,
    build_embedding,
    check_status,
    measure_embeddings,
    parse_embeddings,
    parse_sparse,
    token_limit,
)
from esinfer.services.hugging_face_elser import SERVICE as ELSER
from esinfer.tasks import DenseEmbeddings, EmbeddingRequest, InputType, TaskType
from esinfer.upstream import UpstreamResponse
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
REQUEST = EmbeddingRequest(inputs=("a",))


def answered(body: bytes, status: int = 200) -> UpstreamResponse:
    return UpstreamResponse(status=status, body=body)


def dense(body: bytes) -> str:
    return parse_embeddings(REQUEST, answered(body)).to_json().decode()


def sparse(body: bytes, request: EmbeddingRequest = REQUEST) -> str:
    return parse_sparse(request, answered(body)).to_json().decode()


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


def test_validation_call_asks_how_big() -> None:
    assert build_embedding(ENDPOINT, PROBE).body == b'{"inputs":["how big"]}'
    for service in (SERVICE, ELSER):
        for task in service.tasks.values():
            task.accept(ENDPOINT, task.probe)
            assert task.probe == PROBE


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


def test_token_limit_is_three_characters_a_token() -> None:
    limited = replace(SETTINGS, max_input_tokens=10)
    sparse_settings = SparseSettings(url="http://h", rate_limit=LIMIT)
    assert token_limit(ENDPOINT) is None
    assert token_limit(replace(ENDPOINT, service_settings=limited)) == 30
    assert token_limit(replace(ENDPOINT, service_settings=sparse_settings)) == 1536


# -- the validation call's measure ------------------------------------------


def test_measured_size_replaces_what_was_said() -> None:
    result = parse_embeddings(PROBE, answered(b"[[1,2,3]]"))
    assert measure_embeddings(replace(SETTINGS, dimensions=99), result) == replace(
        SETTINGS, dimensions=3, similarity="cosine"
    )


def test_given_similarity_stays() -> None:
    result = parse_embeddings(PROBE, answered(b"[[1]]"))
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
        (parse_sparse if parse == "sparse" else parse_embeddings)(REQUEST, answered(body))
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


@given(st.binary(max_size=40) | st.text('[]{},:"a1-.e truefalsnl\\', max_size=30).map(str.encode))
def test_any_answer_is_a_result_or_an_error_of_ours(body: bytes) -> None:
    for parse in (parse_embeddings, parse_sparse):
        try:
            result = parse(REQUEST, answered(body))
        except ElasticsearchError:
            continue
        assert math.isfinite(len(result.to_json()))
