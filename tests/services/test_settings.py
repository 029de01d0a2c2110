"""Service settings: what a PUT and an ``_update`` may say, and the words for what they may not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from esinfer.api.responses import error_body
from esinfer.endpoints import RateLimit, Secret, SecretSettings, ServiceSettings
from esinfer.errors import ElasticsearchError
from esinfer.object_parser import ObjectParser
from esinfer.services.hugging_face import (
    ChatSettings,
    ChatSettingsParser,
    EmbeddingSettings,
    EmbeddingSettingsParser,
    EmbeddingUpdateParser,
    RateLimitUpdateParser,
    RerankSettingsParser,
    RerankTaskSettings,
    SparseSettings,
    SparseSettingsParser,
)
from esinfer.services.settings import NO_TASK_SETTINGS, load_secrets, update_secrets
from tests.conftest import PROBES, Answer, Client, Upstream, create, envelope

URL = "http://h"
DENSE = EmbeddingSettingsParser()
SPARSE = SparseSettingsParser()
CHAT = ChatSettingsParser()
RERANK = RerankSettingsParser()
DENSE_UPDATE = EmbeddingUpdateParser()
RATE_UPDATE = RateLimitUpdateParser()
PARSE_ERROR = "x_content_parse_exception"
ILLEGAL = "illegal_argument_exception"


def parse(parser: ObjectParser, value: object) -> Any:
    return parser.parse(value, lambda: orjson.dumps(value))


def refusal(parser: ObjectParser, value: object) -> dict[str, Any]:
    """The whole body with which the settings are refused."""
    with pytest.raises(ElasticsearchError) as raised:
        parse(parser, value)
    return error_body(raised.value)


def failed(column: int, name: str, cause: str, kind: str = ILLEGAL) -> dict[str, object]:
    """The body for a field whose value was read and refused."""
    return envelope(
        PARSE_ERROR,
        f"[1:{column}] [service_settings] failed to parse field [{name}]",
        caused_by={"type": kind, "reason": cause},
    )


def nested(column: int, inner: dict[str, object]) -> dict[str, object]:
    """The body for a rate limit whose own parser failed; that failure is the root cause."""
    return envelope(
        PARSE_ERROR,
        f"[1:{column}] [service_settings] failed to parse field [rate_limit]",
        caused_by=inner,
        root={"type": inner["type"], "reason": inner["reason"]},
    )


# -- url --------------------------------------------------------------------


@pytest.mark.parametrize("parser", [DENSE, SPARSE, CHAT, RERANK])
@pytest.mark.parametrize("settings", [{}, {"api_key": "k"}])
def test_url_is_required(parser: ObjectParser, settings: dict[str, object]) -> None:
    assert refusal(parser, settings) == envelope(
        ILLEGAL, "[service_settings] does not contain the required setting [url]"
    )


@pytest.mark.parametrize("parser", [DENSE, SPARSE, CHAT, RERANK])
def test_url_may_not_be_empty(parser: ObjectParser) -> None:
    assert refusal(parser, {"url": ""}) == envelope(
        ILLEGAL, "[service_settings] Invalid value empty string. [url] must be a non-empty string"
    )


@pytest.mark.parametrize("parser", [DENSE, CHAT, RERANK])
def test_url_must_be_a_uri(parser: ObjectParser) -> None:
    assert refusal(parser, {"url": "https://www.abc^.com"}) == envelope(
        ILLEGAL,
        "[service_settings] Invalid url [https://www.abc^.com] received for field [url]. Error:"
        " unable to parse url [https://www.abc^.com]. Reason: Illegal character in authority",
    )


def test_sparse_error_does_not_name_the_url_field() -> None:
    assert refusal(SPARSE, {"url": "https://www.abc^.com"}) == envelope(
        ILLEGAL,
        "unable to parse url [https://www.abc^.com]. Reason: Illegal character in authority",
    )


@pytest.mark.parametrize(
    "url", ["url", "abc", "//x", "ftp://x", "http://[::1]:80/p?q#f", "mailto:x"]
)
def test_any_uri_is_a_url(url: str) -> None:
    assert parse(DENSE, {"url": url, "api_key": "k"}).url == url


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (None, "VALUE_NULL"),
        (1, "VALUE_NUMBER"),
        (1.5, "VALUE_NUMBER"),
        (True, "VALUE_BOOLEAN"),
        (["a"], "START_ARRAY"),
        ({"a": 1}, "START_OBJECT"),
    ],
)
@pytest.mark.parametrize("name", ["url", "api_key", "similarity"])
def test_text_settings_take_only_strings(name: str, value: object, token: str) -> None:
    assert refusal(DENSE, {name: value}) == envelope(
        PARSE_ERROR,
        f"[1:{len(name) + 5}] [service_settings] {name} doesn't support values of type: {token}",
    )


def test_settings_must_be_an_object() -> None:
    assert refusal(DENSE, ["url"]) == envelope(
        PARSE_ERROR, "[1:1] [service_settings] Expected START_OBJECT but was: START_ARRAY"
    )


# -- unknown settings -------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("foo", ""),
        ("model_id", ""),
        ("task_settings", ""),
        ("dimension", " did you mean [dimensions]?"),
        ("ur", " did you mean [url]?"),
        ("apikey", " did you mean [api_key]?"),
        ("rate_limits", " did you mean [rate_limit]?"),
        ("max_tokens", " did you mean [max_input_tokens]?"),
    ],
)
def test_unknown_setting_is_refused_at_its_key(name: str, hint: str) -> None:
    assert refusal(DENSE, {"url": URL, name: 1}) == envelope(
        PARSE_ERROR, f"[1:19] [service_settings] unknown field [{name}]{hint}"
    )


@pytest.mark.parametrize(
    ("parser", "name"),
    [
        *((SPARSE, name) for name in ("max_input_tokens", "similarity", "dimensions", "model_id")),
        *((CHAT, name) for name in ("max_input_tokens", "similarity", "dimensions", "top_n")),
        *((RERANK, name) for name in ("max_input_tokens", "similarity", "dimensions", "model_id")),
        *((RERANK, name) for name in ("top_n", "return_documents", "foo")),
    ],
)
def test_endpoint_knows_no_setting_of_other_tasks(parser: ObjectParser, name: str) -> None:
    assert refusal(parser, {"url": URL, name: 512}) == envelope(
        PARSE_ERROR, f"[1:19] [service_settings] unknown field [{name}]"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [("model", " did you mean [model_id]?"), ("apikey", " did you mean [api_key]?"), ("foo", "")],
)
def test_unknown_setting_of_a_chat_endpoint_may_be_meant_otherwise(name: str, hint: str) -> None:
    assert refusal(CHAT, {"url": URL, name: 1}) == envelope(
        PARSE_ERROR, f"[1:19] [service_settings] unknown field [{name}]{hint}"
    )


def test_first_problem_in_the_document_is_the_one_reported() -> None:
    assert refusal(DENSE, {"foo": 1, "similarity": "x", "url": 1}) == envelope(
        PARSE_ERROR, "[1:2] [service_settings] unknown field [foo]"
    )
    assert refusal(DENSE, {"similarity": "x", "foo": 1, "url": ""}) == failed(
        15, "similarity", "Invalid value [x]; expected one of [cosine, dot_product, l2_norm]"
    )


# -- similarity, dimensions, max_input_tokens -------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("cosine", "cosine"),
        ("DOT_PRODUCT", "dot_product"),
        (" l2_Norm\t", "l2_norm"),
    ],
)
def test_similarity_is_trimmed_and_its_case_ignored(written: str, meant: str) -> None:
    assert parse(DENSE, {"url": URL, "similarity": written}).similarity == meant


@pytest.mark.parametrize("value", ["by_size", "", "dot product"])
def test_unknown_similarity_is_refused(value: str) -> None:
    assert refusal(DENSE, {"url": URL, "similarity": value}) == failed(
        32, "similarity", f"Invalid value [{value}]; expected one of [cosine, dot_product, l2_norm]"
    )


INTEGERS = [("dimensions", 32), ("max_input_tokens", 38)]


@pytest.mark.parametrize("value", [0, -1, "0", "-0.9", 0.5])
@pytest.mark.parametrize(("name", "column"), INTEGERS)
def test_integer_setting_must_be_positive(name: str, column: int, value: Any) -> None:
    assert refusal(DENSE, {"url": URL, name: value}) == failed(
        column,
        name,
        f"[service_settings] Invalid value [{int(float(value))}]."
        f" [{name}] must be a positive integer",
    )


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (12, 12),
        ("12", 12),
        (" 12 ", 12),
        ("1.9", 1),
        (1.9, 1),
        ("1e3", 1000),
        (2**31 - 1, 2**31 - 1),
    ],
)
@pytest.mark.parametrize(("name", "column"), INTEGERS)
def test_integer_setting_takes_numbers_in_strings_and_drops_fractions(
    name: str, column: int, value: object, read: int
) -> None:
    assert getattr(parse(DENSE, {"url": URL, name: value}), name) == read


@pytest.mark.parametrize("value", ["abc", "", "1_0", "nan", "infinity", "0x10", "١"])
@pytest.mark.parametrize(("name", "column"), INTEGERS)
def test_text_that_is_no_number_is_refused(name: str, column: int, value: str) -> None:
    assert refusal(DENSE, {"url": URL, name: value}) == failed(
        column, name, f'For input string: "{value}"', "number_format_exception"
    )


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, "99999999999", "1e400"])
@pytest.mark.parametrize(("name", "column"), INTEGERS)
def test_integer_setting_has_32_bits(name: str, column: int, value: object) -> None:
    assert refusal(DENSE, {"url": URL, name: value}) == failed(
        column, name, f"Value [{value}] is out of range for an integer"
    )


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (None, "VALUE_NULL"),
        (True, "VALUE_BOOLEAN"),
        ([1], "START_ARRAY"),
        ({}, "START_OBJECT"),
    ],
)
@pytest.mark.parametrize(("name", "column"), INTEGERS)
def test_integer_setting_takes_no_other_type(
    name: str, column: int, value: object, token: str
) -> None:
    assert refusal(DENSE, {"url": URL, name: value}) == envelope(
        PARSE_ERROR,
        f"[1:{column}] [service_settings] {name} doesn't support values of type: {token}",
    )


# -- model_id ---------------------------------------------------------------


@pytest.mark.parametrize("value", ["m", "", " org/Model:fireworks "])
def test_model_id_is_kept_as_it_was_written(value: str) -> None:
    assert parse(CHAT, {"url": URL, "model_id": value}) == ChatSettings(
        url=URL, rate_limit=RateLimit(requests_per_minute=3000), model_id=value
    )


def test_model_id_may_be_absent() -> None:
    assert parse(CHAT, {"url": URL, "api_key": "k"}).model_id is None


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (None, "VALUE_NULL"),
        (1, "VALUE_NUMBER"),
        (True, "VALUE_BOOLEAN"),
        (["m"], "START_ARRAY"),
        ({}, "START_OBJECT"),
    ],
)
def test_model_id_is_a_string(value: object, token: str) -> None:
    assert refusal(CHAT, {"url": URL, "model_id": value}) == envelope(
        PARSE_ERROR, f"[1:30] [service_settings] model_id doesn't support values of type: {token}"
    )


# -- rate_limit -------------------------------------------------------------


@pytest.mark.parametrize("parser", [DENSE, SPARSE, CHAT, RERANK])
@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 3000),
        ({"rate_limit": {}}, 3000),
        ({"rate_limit": {"requests_per_minute": 1}}, 1),
        ({"rate_limit": {"requests_per_minute": "60"}}, 60),
        ({"rate_limit": {"requests_per_minute": 1.5}}, 1),
        ({"rate_limit": {"requests_per_minute": 2**63 - 1}}, 2**63 - 1),
        ({"rate_limit": {"requests_per_minute": "9007199254740993"}}, 9007199254740993),
    ],
)
def test_rate_limit_is_given_or_3000(
    parser: ObjectParser, settings: dict[str, object], limit: int
) -> None:
    read = parse(parser, {"url": URL} | settings).rate_limit
    assert read == RateLimit(requests_per_minute=limit)


@pytest.mark.parametrize(
    ("value", "token"),
    [(None, "VALUE_NULL"), (5, "VALUE_NUMBER"), ([], "START_ARRAY"), ("5", "VALUE_STRING")],
)
@pytest.mark.parametrize("parser", [DENSE, SPARSE, CHAT, RERANK])
def test_rate_limit_must_be_an_object(parser: ObjectParser, value: object, token: str) -> None:
    assert refusal(parser, {"url": URL, "rate_limit": value}) == envelope(
        PARSE_ERROR,
        f"[1:32] [service_settings] rate_limit doesn't support values of type: {token}",
    )


@pytest.mark.parametrize("value", [0, -5, "0"])
def test_rate_limit_must_be_positive(value: object) -> None:
    assert refusal(DENSE, {"url": URL, "rate_limit": {"requests_per_minute": value}}) == failed(
        32, "rate_limit", "requests per minute must be positive"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [("x", ""), ("requests_per_minutes", " did you mean [requests_per_minute]?")],
)
def test_unknown_member_of_rate_limit_is_refused(name: str, hint: str) -> None:
    assert refusal(DENSE, {"url": URL, "rate_limit": {name: 1}}) == nested(
        32, {"type": PARSE_ERROR, "reason": f"[1:33] [rate_limit] unknown field [{name}]{hint}"}
    )


def test_rate_limit_may_not_hold_null() -> None:
    inner = "[1:55] [rate_limit] requests_per_minute doesn't support values of type: VALUE_NULL"
    assert refusal(DENSE, {"url": URL, "rate_limit": {"requests_per_minute": None}}) == nested(
        32, {"type": PARSE_ERROR, "reason": inner}
    )


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        ("x", "number_format_exception", 'For input string: "x"'),
        (2**63, ILLEGAL, "Value [9223372036854775808] is out of range for a long"),
    ],
)
def test_rate_limit_must_hold_a_long(value: object, kind: str, reason: str) -> None:
    settings = {"url": URL, "rate_limit": {"requests_per_minute": value}}
    assert refusal(DENSE, settings) == nested(
        32,
        {
            "type": PARSE_ERROR,
            "reason": "[1:55] [rate_limit] failed to parse field [requests_per_minute]",
            "caused_by": {"type": kind, "reason": reason},
        },
    )


# -- api_key ----------------------------------------------------------------


def secret_refusal(settings: dict[str, object]) -> dict[str, Any]:
    with pytest.raises(ElasticsearchError) as raised:
        load_secrets(settings)
    return error_body(raised.value)


def test_api_key_is_required() -> None:
    assert secret_refusal({"url": URL}) == envelope(
        "validation_exception",
        "Validation Failed: 1: [secret_settings] does not contain the required setting [api_key];",
    )


def test_api_key_may_not_be_empty() -> None:
    assert secret_refusal({"api_key": ""}) == envelope(
        "validation_exception",
        "Validation Failed: 1: [secret_settings] Invalid value empty string."
        " [api_key] must be a non-empty string;",
    )


def test_api_key_is_kept_as_it_was_written() -> None:
    assert load_secrets({"api_key": " k\t"}).api_key.reveal() == " k\t"


async def test_service_settings_are_checked_before_the_secret(client: Client) -> None:
    reply = await client(
        "PUT",
        "/_inference/text_embedding/id",
        {"service": "hugging_face", "service_settings": {"url": "", "api_key": ""}},
    )
    assert reply.json == envelope(
        ILLEGAL, "[service_settings] Invalid value empty string. [url] must be a non-empty string"
    )


# -- update -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parser", "settings", "changes"),
    [
        (DENSE_UPDATE, {}, {}),
        (DENSE_UPDATE, {"max_input_tokens": 9}, {"max_input_tokens": 9}),
        (DENSE_UPDATE, {"api_key": "new"}, {}),
        (DENSE_UPDATE, {"rate_limit": {}}, {}),
        (
            DENSE_UPDATE,
            {"rate_limit": None},
            {"rate_limit": RateLimit(requests_per_minute=3000)},
        ),
        (
            RATE_UPDATE,
            {"rate_limit": {"requests_per_minute": "7"}},
            {"rate_limit": RateLimit(requests_per_minute=7)},
        ),
    ],
)
def test_update_gives_the_members_that_change(
    parser: ObjectParser, settings: dict[str, object], changes: dict[str, object]
) -> None:
    assert parse(parser, settings) == changes


@pytest.mark.parametrize("name", ["url", "similarity", "dimensions", "model_id", "foo"])
@pytest.mark.parametrize("parser", [DENSE_UPDATE, RATE_UPDATE])
def test_other_settings_cannot_be_updated(parser: ObjectParser, name: str) -> None:
    assert refusal(parser, {name: "x"}) == envelope(
        PARSE_ERROR, f"[1:2] [service_settings] unknown field [{name}]"
    )


def test_sparse_token_limit_cannot_be_updated() -> None:
    assert refusal(RATE_UPDATE, {"max_input_tokens": 9}) == envelope(
        PARSE_ERROR, "[1:2] [service_settings] unknown field [max_input_tokens]"
    )


def test_updated_token_limit_must_be_positive() -> None:
    assert refusal(DENSE_UPDATE, {"max_input_tokens": 0}) == failed(
        21,
        "max_input_tokens",
        "[service_settings] Invalid value [0]. [max_input_tokens] must be a positive integer",
    )


def test_updated_rate_limit_must_be_positive() -> None:
    assert refusal(DENSE_UPDATE, {"rate_limit": {"requests_per_minute": 0}}) == failed(
        15, "rate_limit", "requests per minute must be positive"
    )


@pytest.mark.parametrize("task_type", ["completion", "chat_completion", "rerank"])
async def test_update_of_other_tasks_is_of_the_rate_limit_and_the_key(
    client: Client, upstream: Upstream, task_type: str
) -> None:
    await create(client, upstream, "id", task_type)
    upstream.answers(Answer.json(PROBES[task_type]))
    path = f"/_inference/{task_type}/id/_update"
    change: dict[str, object] = {"rate_limit": {"requests_per_minute": 60}, "api_key": "new"}
    reply = await client("PUT", path, {"service_settings": change})
    assert reply.json["service_settings"]["rate_limit"] == {"requests_per_minute": 60}
    assert [request["headers"]["Authorization"] for request in upstream.requests] == ["Bearer new"]
    for name in ("model_id", "url", "max_input_tokens"):
        refused = await client("PUT", path, {"service_settings": {name: "x"}})
        assert refused.json == envelope(
            PARSE_ERROR, f"[1:2] [service_settings] unknown field [{name}]"
        )
    assert len(upstream.requests) == 1


STORED = SecretSettings(api_key=Secret("old"))


def test_update_without_a_key_keeps_the_stored_one() -> None:
    assert update_secrets(STORED, {}) is STORED


def test_update_replaces_the_key() -> None:
    assert update_secrets(STORED, {"api_key": "new"}).api_key.reveal() == "new"


def test_update_refuses_an_empty_key() -> None:
    with pytest.raises(ElasticsearchError) as raised:
        update_secrets(STORED, {"api_key": ""})
    assert raised.value.reason == (
        "Validation Failed: 1: [secret_settings] Invalid value empty string."
        " [api_key] must be a non-empty string;"
    )


async def test_stored_key_is_not_sent_after_an_update_of_it(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream)
    reply = await client(
        "PUT", "/_inference/text_embedding/id/_update", {"service_settings": {"api_key": "new"}}
    )
    assert reply.status == 200
    await client("POST", "/_inference/text_embedding/id", {"input": "a"})
    assert {request["headers"]["Authorization"] for request in upstream.requests} == {"Bearer new"}


# -- task_settings ----------------------------------------------------------

RANKING = RerankTaskSettings()
VALIDATION = "validation_exception"


def not_positive(value: int) -> str:
    return f"[task_settings] Invalid value [{value}]. [top_n] must be a positive integer"


def not_a(java_type: str, name: str, value: str) -> str:
    return (
        f"field [{name}] is not of the expected type."
        f" The value [{value}] cannot be converted to a [{java_type}]"
    )


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        ({}, {}),
        ({"top_n": 1}, {"top_n": 1}),
        ({"top_n": 2**31 - 1}, {"top_n": 2**31 - 1}),
        ({"return_documents": False}, {"return_documents": False}),
        ({"return_documents": True, "top_n": 5}, {"top_n": 5, "return_documents": True}),
        ({"top_n": None, "return_documents": None}, {}),
        ({"foo": 1, "top_n": 5}, {"top_n": 5}),
    ],
)
def test_task_settings_of_rerank_are_read_in_one_order(
    settings: dict[str, object], read: dict[str, object]
) -> None:
    found = RANKING.read(settings)
    assert list(found.items()) == list(read.items())


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({"top_n": 0}, [not_positive(0)]),
        ({"top_n": -5}, [not_positive(-5)]),
        ({"top_n": "5"}, [not_a("Integer", "top_n", "5")]),
        ({"top_n": 5.0}, [not_a("Integer", "top_n", "5.0")]),
        ({"top_n": True}, [not_a("Integer", "top_n", "true")]),
        ({"top_n": [5]}, [not_a("Integer", "top_n", "[5]")]),
        ({"top_n": 2**31}, [not_a("Integer", "top_n", "2147483648")]),
        ({"return_documents": "true"}, [not_a("Boolean", "return_documents", "true")]),
        ({"return_documents": 1}, [not_a("Boolean", "return_documents", "1")]),
        ({"return_documents": {"a": None}}, [not_a("Boolean", "return_documents", "{a=null}")]),
        (
            {"return_documents": "no", "foo": 1, "top_n": 0},
            [not_positive(0), not_a("Boolean", "return_documents", "no")],
        ),
    ],
)
def test_problems_of_task_settings_are_reported_together(
    settings: dict[str, object], problems: list[str]
) -> None:
    numbered = "".join(f"{n}: {text};" for n, text in enumerate(problems, 1))
    for read in (RANKING.read, lambda section: RANKING.merge({"top_n": 3}, section)):
        with pytest.raises(ElasticsearchError) as raised:
            read(settings)
        assert error_body(raised.value) == envelope(VALIDATION, f"Validation Failed: {numbered}")


@pytest.mark.parametrize(
    ("stored", "change", "merged"),
    [
        ({}, {}, {}),
        ({"top_n": 3}, {}, {"top_n": 3}),
        ({"top_n": 3}, {"top_n": None}, {"top_n": 3}),
        ({"top_n": 3}, {"top_n": 5}, {"top_n": 5}),
        (
            {"return_documents": True},
            {"top_n": 5},
            {"top_n": 5, "return_documents": True},
        ),
        (
            {"top_n": 3, "return_documents": True},
            {"return_documents": False},
            {"top_n": 3, "return_documents": False},
        ),
    ],
)
def test_change_of_task_settings_is_merged_key_by_key(
    stored: dict[str, object], change: dict[str, object], merged: dict[str, object]
) -> None:
    found = RANKING.merge(stored, change)
    assert list(found.items()) == list(merged.items())


def test_settings_that_nobody_reads_are_known() -> None:
    section = {"top_n": 1, "foo": None, "return_documents": True, "bar": 2}
    assert RANKING.unknown_in(section) == {"foo": None, "bar": 2}
    assert NO_TASK_SETTINGS.unknown_in(section) == section
    assert NO_TASK_SETTINGS.read(section) == {}


def unknown(settings: str) -> dict[str, object]:
    return envelope(
        "status_exception",
        f"Configuration contains settings [{settings}] unknown to the [hugging_face] service",
    )


TASK_SETTINGS_ERRORS = [
    ("rerank", {"top_n": 0}, envelope(VALIDATION, f"Validation Failed: 1: {not_positive(0)};")),
    ("rerank", {"foo": "x", "top_n": 1}, unknown("{foo=x}")),
    ("rerank", {"query": None}, unknown("{query=null}")),
    ("completion", {"top_n": 1}, unknown("{top_n=1}")),
    ("chat_completion", {"user": "me"}, unknown("{user=me}")),
    ("text_embedding", {"return_documents": True}, unknown("{return_documents=true}")),
]


@pytest.mark.parametrize(("task_type", "settings", "error"), TASK_SETTINGS_ERRORS)
async def test_task_settings_are_refused_at_creation_and_in_an_update(
    client: Client,
    upstream: Upstream,
    task_type: str,
    settings: dict[str, object],
    error: dict[str, object],
) -> None:
    body = {
        "service": "hugging_face",
        "service_settings": {"url": upstream.url, "api_key": "k"},
        "task_settings": settings,
    }
    reply = await client("PUT", f"/_inference/{task_type}/id", body)
    assert (reply.status, reply.json) == (400, error)
    assert upstream.requests == []

    await create(client, upstream, "id", task_type)
    reply = await client("PUT", f"/_inference/{task_type}/id/_update", {"task_settings": settings})
    assert (reply.status, reply.json) == (400, error)
    assert upstream.requests == []


@pytest.mark.parametrize("task_type", ["rerank", "completion", "chat_completion"])
async def test_task_that_does_not_chunk_knows_no_chunking_settings(
    client: Client, upstream: Upstream, task_type: str
) -> None:
    body = {
        "service": "hugging_face",
        "service_settings": {"url": upstream.url, "api_key": "k"},
        "chunking_settings": {"strategy": "none"},
    }
    reply = await client("PUT", f"/_inference/{task_type}/id", body)
    assert (reply.status, reply.json) == (400, unknown("{chunking_settings={strategy=none}}"))


async def test_updated_task_settings_are_merged_stored_and_sent(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, "id", "rerank", {"return_documents": True})
    upstream.answers(Answer.json(PROBES["rerank"]))
    change = {"task_settings": {"top_n": 2, "return_documents": None}}
    reply = await client("PUT", "/_inference/rerank/id/_update", change)
    assert reply.text.endswith('"task_settings":{"top_n":2,"return_documents":true}}')
    got = await client("GET", "/_inference/rerank/id")
    assert got.text == f'{{"endpoints":[{reply.text}]}}'
    probe = {"texts": ["how big"], "query": "test query", "return_text": True, "top_n": 2}
    assert upstream.bodies == [probe]

    same = await client("PUT", "/_inference/rerank/id/_update", change)
    assert same.text == reply.text
    assert len(upstream.requests) == 1


# -- echo -------------------------------------------------------------------

DEFAULT_CHUNKING = (
    '"chunking_settings":{"strategy":"sentence","max_chunk_size":250,"sentence_overlap":1}'
)


async def test_echo_of_everything_in_the_order_of_the_parser(
    client: Client, upstream: Upstream
) -> None:
    reply = await create(
        client,
        upstream,
        rate_limit={"requests_per_minute": 600},
        max_input_tokens=10,
        dimensions=999,
        similarity="L2_NORM",
    )
    assert reply.text == (
        '{"inference_id":"id","task_type":"text_embedding","service":"hugging_face",'
        f'"service_settings":{{"url":"{upstream.url}","similarity":"l2_norm","dimensions":2,'
        '"max_input_tokens":10,"rate_limit":{"requests_per_minute":600}},'
        f"{DEFAULT_CHUNKING}}}"
    )
    got = await client("GET", "/_inference/text_embedding/id")
    assert got.text == f'{{"endpoints":[{reply.text}]}}'


async def test_echo_of_the_least_says_what_was_measured(client: Client, upstream: Upstream) -> None:
    reply = await create(client, upstream)
    assert reply.text == (
        '{"inference_id":"id","task_type":"text_embedding","service":"hugging_face",'
        f'"service_settings":{{"url":"{upstream.url}","similarity":"cosine","dimensions":2,'
        '"rate_limit":{"requests_per_minute":3000}},'
        f"{DEFAULT_CHUNKING}}}"
    )


@pytest.mark.parametrize("service", ["hugging_face", "hugging_face_elser"])
async def test_sparse_echo_shows_the_fixed_token_limit(
    client: Client, upstream: Upstream, service: str
) -> None:
    upstream.answers(Answer.json([{"a": 0.5}]))
    reply = await client(
        "PUT",
        "/_inference/sparse_embedding/id",
        {"service": service, "service_settings": {"api_key": "k", "url": upstream.url}},
    )
    assert reply.text == (
        f'{{"inference_id":"id","task_type":"sparse_embedding","service":"{service}",'
        f'"service_settings":{{"url":"{upstream.url}","max_input_tokens":512,'
        '"rate_limit":{"requests_per_minute":3000}}}'
    )


@pytest.mark.parametrize("task_type", ["completion", "chat_completion"])
async def test_echo_of_a_chat_begins_with_the_model(
    client: Client, upstream: Upstream, task_type: str
) -> None:
    limit: dict[str, object] = {"rate_limit": {"requests_per_minute": 600}}

    def head(inference_id: str) -> str:
        members = {"inference_id": inference_id, "task_type": task_type, "service": "hugging_face"}
        return orjson.dumps(members).decode()[:-1] + ","

    named = await create(client, upstream, "a", task_type, model_id="m", **limit)
    assert named.text == head("a") + (
        f'"service_settings":{{"model_id":"m","url":"{upstream.url}",'
        '"rate_limit":{"requests_per_minute":600}}}'
    )
    plain = await create(client, upstream, "b", task_type, {})
    assert plain.text == head("b") + (
        f'"service_settings":{{"url":"{upstream.url}",'
        '"rate_limit":{"requests_per_minute":3000}}}'
    )
    got = await client("GET", f"/_inference/{task_type}/_all")
    assert got.text == f'{{"endpoints":[{named.text},{plain.text}]}}'


async def test_echo_of_rerank_ends_with_its_task_settings(
    client: Client, upstream: Upstream
) -> None:
    settings = (
        f'"service_settings":{{"url":"{upstream.url}","rate_limit":{{"requests_per_minute":3000}}}}'
    )
    head = '{"inference_id":"id","task_type":"rerank","service":"hugging_face",'
    chosen = {"return_documents": False, "top_n": 2}
    reply = await create(client, upstream, "id", "rerank", chosen)
    assert reply.text == (
        head + settings + ',"task_settings":{"top_n":2,"return_documents":false}}'
    )
    await client("DELETE", "/_inference/rerank/id")
    reply = await create(client, upstream, "id", "rerank", {"top_n": None})
    assert reply.text == head + settings + "}"


async def test_number_that_json_libraries_refuse_is_refused_by_its_name(client: Client) -> None:
    body = (
        b'{"service":"hugging_face","service_settings":'
        b'{"url":"http://h","dimensions":1180591620717411303424,"rate_limit":1.50}}'
    )
    reply = await client("PUT", "/_inference/text_embedding/id", body)
    assert (reply.status, reply.json) == (
        400,
        failed(32, "dimensions", "Value [1180591620717411303424] is out of range for an integer"),
    )


def test_settings_without_a_value_are_left_out_of_the_wire_form() -> None:
    limit = RateLimit(requests_per_minute=5)
    assert list(EmbeddingSettings(url=URL, rate_limit=limit, dimensions=3).to_wire().items()) == [
        ("url", URL),
        ("dimensions", 3),
        ("rate_limit", {"requests_per_minute": 5}),
    ]
    chat = ChatSettings(url=URL, rate_limit=limit, model_id="m")
    assert list(chat.to_wire()) == ["model_id", "url", "rate_limit"]
    assert list(ChatSettings(url=URL, rate_limit=limit).to_wire()) == ["url", "rate_limit"]
    assert list(ServiceSettings(url=URL, rate_limit=limit).to_wire()) == ["url", "rate_limit"]
    assert list(SparseSettings(url=URL, rate_limit=limit).to_wire().items()) == [
        ("url", URL),
        ("max_input_tokens", 512),
        ("rate_limit", {"requests_per_minute": 5}),
    ]
