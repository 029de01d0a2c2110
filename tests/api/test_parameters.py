"""Query parameters (rest.md sections 1 and 7.5)."""

from __future__ import annotations

import pytest

from esinfer.api.parameters import Parameters
from esinfer.errors import BadTimeValue
from tests.conftest import Answer, Client, Upstream, envelope


def unrecognized(path: str, rest: str) -> dict[str, object]:
    reason = f"request [{path}] contains unrecognized {rest}"
    return envelope("illegal_argument_exception", reason)


@pytest.mark.parametrize(
    ("query", "rest"),
    [
        ("timout=1s", "parameter: [timout] -> did you mean [timeout]?"),
        ("qqqqqqq=1", "parameter: [qqqqqqq]"),
        ("qqqqqqq", "parameter: [qqqqqqq]"),
        ("b=1&a=2", "parameters: [a], [b]"),
        ("zzzzz=1&prety", "parameters: [prety] -> did you mean [pretty]?, [zzzzz]"),
        ("task_typ=x", "parameter: [task_typ] -> did you mean [task_type]?"),
        ("_=1", "parameter: [_]"),
        ("%61%62cdefgh=1", "parameter: [abcdefgh]"),
    ],
)
async def test_unknown_parameters_are_named_with_suggestions(
    client: Client, query: str, rest: str
) -> None:
    path = "/_inference/text_embedding/x"
    reply = await client("POST", f"{path}?{query}", {"input": "a"})
    assert (reply.status, reply.json) == (400, unrecognized(path, rest))


async def test_several_candidates_are_sorted_by_similarity_then_name() -> None:
    parameters = Parameters("/p", "tasc=1", ["task", "tasks", "tascs"])
    with pytest.raises(Exception, match="unrecognized") as caught:
        parameters.reject_unknown()
    assert str(caught.value) == (
        "request [/p] contains unrecognized parameter: [tasc]"
        " -> did you mean any of [tascs, task, tasks]?"
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/_inference"),
        ("GET", "/_inference/_all"),
        ("GET", "/_inference/x"),
        ("GET", "/_inference/_services"),
        ("DELETE", "/_inference/x"),
        ("GET", "/_license"),
        ("GET", "/_xpack"),
        ("GET", "/_esinfer"),
    ],
)
async def test_every_route_refuses_what_it_does_not_know(
    client: Client, method: str, path: str
) -> None:
    reply = await client(method, f"{path}?qqqqqqq=1")
    assert (reply.status, reply.json) == (400, unrecognized(path, "parameter: [qqqqqqq]"))


async def test_timeout_is_unknown_where_nothing_is_inferred(client: Client) -> None:
    reply = await client("GET", "/_inference/x?timeout=1s")
    assert (reply.status, reply.json) == (
        400,
        unrecognized("/_inference/x", "parameter: [timeout]"),
    )


async def test_master_timeout_is_for_updates_only(embedder: Client) -> None:
    body = {"service_settings": {"api_key": "secret"}}
    update = "/_inference/text_embedding/id/_update"
    good = await embedder("PUT", f"{update}?master_timeout=5s&timeout=5s", body)
    refused = await embedder("PUT", "/_inference/text_embedding/id?master_timeout=5s", body)
    assert good.status == 200
    assert refused.json["error"]["type"] == "illegal_argument_exception"


async def test_the_path_in_the_reason_is_as_sent(client: Client) -> None:
    reply = await client("GET", "/_inference/%61?qqqqqqq")
    assert reply.json == unrecognized("/_inference/%61", "parameter: [qqqqqqq]")


@pytest.mark.parametrize("value", ["", "=", "=true", "=false"])
async def test_booleans_are_true_false_or_empty(client: Client, value: str) -> None:
    reply = await client("GET", f"/_inference?human{value}")
    assert (reply.status, reply.json) == (200, {"endpoints": []})


@pytest.mark.parametrize("value", ["TRUE", "1", "yes", "on", "%20true"])
@pytest.mark.parametrize("name", ["force", "dry_run", "pretty", "human", "error_trace"])
async def test_any_other_boolean_is_400(embedder: Client, name: str, value: str) -> None:
    reply = await embedder("DELETE", f"/_inference/id?{name}={value}")
    shown = value.replace("%20", " ")
    reason = f"Failed to parse value [{shown}] as only [true] or [false] are allowed."
    error = reply.json["error"]
    assert (reply.status, error["type"]) == (400, "illegal_argument_exception")
    assert error["reason"] == reason


async def test_a_bad_boolean_deletes_nothing(embedder: Client) -> None:
    await embedder("DELETE", "/_inference/id?force=maybe")
    assert (await embedder("GET", "/_inference/id")).status == 200


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("abc", "unit is missing or unrecognized"),
        ("5", "unit is missing or unrecognized"),
        ("", "unit is missing or unrecognized"),
        ("5y", "unit is missing or unrecognized"),
        ("-5s", "negative durations are not supported"),
    ],
)
async def test_bad_time_values_are_400(client: Client, value: str, problem: str) -> None:
    reply = await client("POST", f"/_inference/x?timeout={value}", {"input": "a"})
    reason = f"failed to parse setting [timeout] with value [{value}] as a time value: {problem}"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("100nanos", 1e-7),
        ("100micros", 1e-4),
        ("100ms", 0.1),
        ("7s", 7.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        ("0", None),
        ("0s", None),
    ],
)
def test_time_units(value: str, seconds: float | None) -> None:
    assert Parameters("/p", f"timeout={value}").time("timeout") == seconds


def test_an_absent_time_is_none() -> None:
    assert Parameters("/p", "").time("timeout") is None


def test_a_bad_time_raises() -> None:
    with pytest.raises(BadTimeValue):
        Parameters("/p", "timeout=x").time("timeout")


async def test_timeout_zero_means_not_set(embedder: Client, upstream: Upstream) -> None:
    upstream.answers(Answer.json([[0.5, 0.25]]))
    reply = await embedder("POST", "/_inference/id?timeout=0", {"input": "a"})
    assert (reply.status, reply.json) == (200, {"text_embedding": [{"embedding": [0.5, 0.25]}]})


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        ("a=x+y%2B&&", {"a": "x y+"}),
        ("a=1&a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("=1", {}),
        ("a", {"a": ""}),
    ],
)
def test_queries_are_split_as_elasticsearch_splits_them(query: str, values: dict[str, str]) -> None:
    parameters = Parameters("/p", query)
    assert {name: parameters.text(name) for name in ("a", "b")} == {
        "a": None,
        "b": None,
    } | values
    parameters.reject_unknown()
