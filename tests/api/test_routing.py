"""Which handler answers which path and method (rest.md sections 1, 7.2 and 7.7)."""

from __future__ import annotations

import pytest

from tests.conftest import Client, envelope

ID_RULE = (
    "Validation Failed: 1: Invalid inference_id; '{}' can contain lowercase alphanumeric"
    " (a-z and 0-9), hyphens or underscores; must start and end with alphanumeric;"
)


def no_handler(uri: str, method: str = "GET") -> dict[str, object]:
    return {"error": f"no handler found for uri [{uri}] and method [{method}]"}


def not_found(inference_id: str) -> dict[str, object]:
    reason = f"Inference endpoint not found [{inference_id}]"
    return envelope("resource_not_found_exception", reason, 404)


def unknown_task_type(name: str) -> dict[str, object]:
    return envelope("status_exception", f"Unknown task_type [{name}]")


@pytest.mark.parametrize(
    "path", ["/_inference", "/_inference/_all", "/_inference/*", "/_inference/any/_all"]
)
async def test_every_way_to_ask_for_all_gives_the_list(client: Client, path: str) -> None:
    reply = await client("GET", path)
    assert (reply.status, reply.raw) == (200, b'{"endpoints":[]}')


@pytest.mark.parametrize("path", ["/_inference/", "/_inference/_all/", "/_inference/*//"])
async def test_trailing_slashes_do_not_matter(client: Client, path: str) -> None:
    reply = await client("GET", path)
    assert (reply.status, reply.json) == (200, {"endpoints": []})


async def test_trailing_slashes_do_not_matter_on_endpoints(embedder: Client) -> None:
    plain = await embedder("GET", "/_inference/text_embedding/id")
    slashed = await embedder("GET", "/_inference/text_embedding/id/")
    assert (slashed.status, slashed.raw) == (200, plain.raw)


@pytest.mark.parametrize("inference_id", ["_services", "_all", ".diagnostics"])
async def test_put_falls_through_to_create_and_is_refused(
    client: Client, inference_id: str
) -> None:
    reply = await client("PUT", f"/_inference/{inference_id}", {"service": "hugging_face"})
    expected = envelope("action_request_validation_exception", ID_RULE.format(inference_id))
    assert (reply.status, reply.json) == (400, expected)


async def test_post_to_all_is_an_inference(client: Client) -> None:
    reply = await client("POST", "/_inference/_all", {"input": "a"})
    assert (reply.status, reply.json) == (404, not_found("_all"))


@pytest.mark.parametrize(
    ("method", "last"),
    [
        ("GET", "_update"),
        ("POST", "_update"),
        ("DELETE", "_update"),
        ("GET", "_stream"),
        ("DELETE", "_stream"),
        ("PUT", "_stream"),
    ],
)
async def test_other_methods_on_subresources_take_the_id_for_a_task_type(
    client: Client, method: str, last: str
) -> None:
    body = None if method in ("GET", "DELETE") else {"input": "a"}
    reply = await client(method, f"/_inference/my-id/{last}", body)
    assert (reply.status, reply.json) == (400, unknown_task_type("my-id"))


async def test_one_segment_is_always_an_id(client: Client) -> None:
    reply = await client("GET", "/_inference/text_embedding")
    assert (reply.status, reply.json) == (404, not_found("text_embedding"))


@pytest.mark.parametrize("task_type", ["TEXT_EMBEDDING", "Text_Embedding", "%20text_embedding%20"])
async def test_task_types_in_paths_ignore_case_and_blanks(client: Client, task_type: str) -> None:
    reply = await client("GET", f"/_inference/{task_type}/_all")
    assert (reply.status, reply.json) == (200, {"endpoints": []})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/_inference", {"GET"}),
        ("POST", "/_inference", {"GET"}),
        ("PUT", "/_inference", {"GET"}),
        ("PATCH", "/_inference/x", {"DELETE", "GET", "POST", "PUT"}),
        ("PATCH", "/_inference/text_embedding/x", {"DELETE", "GET", "POST", "PUT"}),
        ("GET", "/_inference/text_embedding/x/_update", {"PUT"}),
        ("GET", "/_inference/text_embedding/x/_stream", {"POST"}),
        ("POST", "/", {"GET", "HEAD"}),
    ],
)
async def test_wrong_method_is_405_with_allow(
    client: Client, method: str, path: str, allowed: set[str]
) -> None:
    reply = await client(method, path)
    names = reply.headers["Allow"].split(",")
    text = (
        f"Incorrect HTTP method for uri [{path}] and method [{method}],"
        f" allowed: [{', '.join(names)}]"
    )
    assert (reply.status, reply.json) == (405, {"error": text, "status": 405})
    assert set(names) == allowed


async def test_head_on_inference_is_405_without_a_body(client: Client) -> None:
    reply = await client("HEAD", "/_inference")
    assert (reply.status, reply.raw, reply.headers["Allow"]) == (405, b"", "GET")


async def test_options_on_a_known_path_names_the_methods(client: Client) -> None:
    reply = await client("OPTIONS", "/_inference/x")
    assert (reply.status, reply.raw) == (200, b"")
    assert set(reply.headers["Allow"].split(",")) == {"DELETE", "GET", "POST", "PUT"}


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("GET", "/a/b?x=1"),
        ("GET", "/_inference/a/b/c"),
        ("PUT", "/_inference/text_embedding/x/_update/y"),
        ("GET", "/%20?pretty=false"),
    ],
)
async def test_unknown_path_is_400_without_a_status(client: Client, method: str, uri: str) -> None:
    reply = await client(method, uri)
    assert (reply.status, reply.json) == (400, no_handler(uri, method))


async def test_unified_is_gone(client: Client) -> None:
    reply = await client("POST", "/_inference/chat_completion/x/_unified", {})
    uri = "/_inference/chat_completion/x/_unified"
    assert (reply.status, reply.json) == (400, no_handler(uri, "POST"))


@pytest.mark.parametrize(
    ("segment", "inference_id"),
    [
        ("%C3%BC", "ü"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%25b", "a%b"),
        ("a%252Fb", "a%2Fb"),
        ("%F0%9F%98%80", "😀"),
    ],
)
async def test_ids_in_paths_are_percent_decoded(
    client: Client, segment: str, inference_id: str
) -> None:
    reply = await client("GET", f"/_inference/{segment}")
    assert (reply.status, reply.json) == (404, not_found(inference_id))


async def test_a_percent_encoded_id_names_the_same_endpoint(embedder: Client) -> None:
    plain = await embedder("GET", "/_inference/id")
    encoded = await embedder("GET", "/_inference/%69d")
    assert (encoded.status, encoded.raw) == (200, plain.raw)


async def test_an_encoded_slash_does_not_separate(client: Client) -> None:
    reply = await client("GET", "/_inference/text_embedding%2Fx")
    assert (reply.status, reply.json) == (404, not_found("text_embedding/x"))


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("/_inference/a%", "unterminated escape sequence at end of string: /_inference/a%"),
        ("/_inference/a%2", "partial escape sequence at end of string: /_inference/a%2"),
        (
            "/_inference/a%zz",
            "invalid escape sequence `%zz' at index 13 of: /_inference/a%zz",
        ),
        ("/_inference?pretty=%", "unterminated escape sequence at end of string: "),
        ("/nowhere/%zz", "invalid escape sequence `%zz' at index 9 of: /nowhere/%zz"),
    ],
)
async def test_bad_escapes_are_400(client: Client, uri: str, problem: str) -> None:
    reply = await client("GET", uri)
    error = reply.json["error"]
    assert (reply.status, error["type"]) == (400, "bad_parameter_exception")
    assert error["reason"].startswith(f"java.lang.IllegalArgumentException: {problem}")
    assert error["root_cause"] == [{"type": error["type"], "reason": error["reason"]}]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_inference"),
        ("GET", "/_inference/x"),
        ("GET", "/_inference/text_embedding/x"),
        ("GET", "/_inference/_services"),
        ("DELETE", "/_inference/x"),
        ("DELETE", "/_inference/text_embedding/x"),
    ],
)
async def test_a_body_where_none_is_read_is_400(client: Client, method: str, path: str) -> None:
    reply = await client(method, path, {"a": 1})
    reason = f"request [{method} {path}] does not support having a body"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))
