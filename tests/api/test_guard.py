"""Who may do what: 401 and 403, and what comes before them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from esinfer.api.actions import HANDLER_ACTIONS
from esinfer.api.routes import ROUTES
from tests.api.sockets import exchange, head, split
from tests.conftest import Client, Reply, StartServer, envelope
from tests.security import credentials
from tests.security.credentials import api_key, basic, bearer

CHALLENGES = ['Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', "ApiKey"]
MONITOR_INFERENCE = "monitor_inference,manage_inference,monitor,manage,all"
MANAGE_INFERENCE = "manage_inference,manage,all"
PUT = {"service": "hugging_face", "service_settings": {"url": "http://x", "api_key": "k"}}
UNKNOWN = (
    "unable to authenticate with provided credentials and anonymous access is not allowed"
    " for this request"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return credentials.write(tmp_path_factory.mktemp("credentials"))


@pytest.fixture
async def guarded(start: StartServer, file: Path) -> Client:
    return await start(f"security.credentials={file}", mode="mock")


def refusal(reason: str, **metadata: str) -> dict[str, Any]:
    """The body of a 401."""
    said = {
        "type": "security_exception",
        "reason": reason,
        **metadata,
        "header": {"WWW-Authenticate": CHALLENGES},
    }
    return {"error": {"root_cause": [said], **said}, "status": 401}


def check_refused(reply: Reply, reason: str, **metadata: str) -> None:
    assert (reply.status, reply.json) == (401, refusal(reason, **metadata))
    assert reply.headers.getall("WWW-Authenticate") == CHALLENGES
    assert reply.headers["X-elastic-product"] == "Elasticsearch"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/_inference"),
        ("GET", "/_cluster/health"),
        ("GET", "/_esinfer"),
        ("GET", "/nothing/here?pretty=false"),
        ("POST", "/_inference/nobody-knows"),
        ("PATCH", "/_inference/x"),
        ("POST", "/_inference/completion/x/_stream"),
        ("GET", "/%zz"),
    ],
)
async def test_without_credentials_there_is_nothing_but_401(
    guarded: Client, method: str, path: str
) -> None:
    reply = await guarded(method, path)
    check_refused(reply, f"missing authentication credentials for REST request [{path}]")


@pytest.mark.parametrize("header", ["", "Basic", "Digest username=x", "Negotiate abc"])
async def test_a_header_of_another_scheme_is_none(guarded: Client, header: str) -> None:
    if header == "Basic":  # a scheme, and no credentials behind it
        reason = "invalid basic authentication header value"
    else:
        reason = "missing authentication credentials for REST request [/]"
    raw = f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {header}\r\n\r\n"
    answer, _ = await exchange(guarded.url, raw.encode())
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert reason.encode() in answer


@pytest.mark.parametrize("user", ["manager", "stranger", ""])
async def test_a_wrong_password_and_an_unknown_user_are_the_same(
    guarded: Client, user: str
) -> None:
    reply = await guarded("GET", "/_inference?human", headers=basic(user, "wrong"))
    check_refused(
        reply, f"unable to authenticate user [{user}] for REST request [/_inference?human]"
    )


async def test_wrong_api_keys_are_told_by_their_id(guarded: Client) -> None:
    reply = await guarded("GET", "/", headers=api_key("foo"))
    detail = "API key: unable to find apikey with id foo"
    check_refused(reply, UNKNOWN, additional_unsuccessful_credentials=detail)

    reply = await guarded("GET", "/", headers=api_key("reader-key", "wrong"))
    detail = "API key: invalid credentials for API key [reader-key]"
    check_refused(reply, UNKNOWN, additional_unsuccessful_credentials=detail)


async def test_a_wrong_token_is_quoted_nowhere(guarded: Client) -> None:
    reply = await guarded("GET", "/", headers=bearer("wrong"))
    detail = "oauth2 token: invalid token"
    check_refused(reply, UNKNOWN, additional_unsuccessful_credentials=detail)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Basic !!!", "invalid basic authentication header encoding"),
        ("Basic bm9jb2xvbg==", "invalid basic authentication header value"),
        ("Basic /zpm", "invalid basic authentication header value"),
    ],
)
async def test_credentials_that_are_no_credentials(
    guarded: Client, value: str, reason: str
) -> None:
    check_refused(await guarded("GET", "/", headers={"Authorization": value}), reason)


@pytest.mark.parametrize("value", ["!!!", "bm9jb2xvbg=="])
async def test_an_api_key_that_is_none(guarded: Client, value: str) -> None:
    reply = await guarded("GET", "/", headers={"Authorization": f"ApiKey {value}"})
    body = refusal("error attempting to authenticate request")
    body["error"]["caused_by"] = {
        "type": "illegal_argument_exception",
        "reason": "invalid ApiKey value",
    }
    assert (reply.status, reply.json) == (401, body)


@pytest.mark.parametrize(
    "headers",
    [
        basic("reader"),
        api_key("reader-key"),
        api_key("reader-key", scheme="APIKey"),
        api_key("reader-key", scheme="apikey"),
        bearer(),
        {"Authorization": basic("reader")["Authorization"].replace("Basic", "BASIC")},
        {"Authorization": basic("reader")["Authorization"].replace(" ", "   ")},
    ],
)
async def test_every_kind_of_credentials_is_accepted_again_and_again(
    guarded: Client, headers: dict[str, str]
) -> None:
    for _ in range(2):
        assert (await guarded("GET", "/_inference", headers=headers)).status == 200


async def test_a_client_may_start_with_any_number_of_requests_at_once(guarded: Client) -> None:
    asked = (guarded("GET", "/_inference", headers=basic("reader")) for _ in range(200))
    replies = await asyncio.gather(*asked)
    assert [(reply.status, reply.json) for reply in replies] == [(200, {"endpoints": []})] * 200


async def test_a_wrong_password_is_refused_after_the_right_one(guarded: Client) -> None:
    assert (await guarded("GET", "/", headers=basic("reader"))).status == 200
    assert (await guarded("GET", "/", headers=basic("reader", "wrong"))).status == 401
    assert (await guarded("GET", "/", headers=basic("manager", "wrong"))).status == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "action"),
    [
        ("PUT", "/_inference/text_embedding/x", PUT, "inference/put"),
        ("PUT", "/_inference/x", PUT, "inference/put"),
        ("PUT", "/_inference/x/_update", {}, "inference/update"),
        ("PUT", "/_inference/text_embedding/x/_update", {}, "inference/update"),
        ("DELETE", "/_inference/x", None, "inference/delete"),
        ("DELETE", "/_inference/text_embedding/x", None, "inference/delete"),
        ("PUT", "/_inference/_region_policy", {}, "inference/region_policy/put"),
        ("DELETE", "/_inference/_region_policy", None, "inference/region_policy/delete"),
    ],
)
async def test_a_reader_changes_nothing(
    guarded: Client, method: str, path: str, body: object, action: str
) -> None:
    reason = (
        f"action [cluster:admin/xpack/{action}] is unauthorized for user [reader] with effective"
        " roles [read], this action is granted by the cluster privileges"
        f" [{MANAGE_INFERENCE}]"
    )
    reply = await guarded(method, path, body, headers=basic("reader"))
    assert (reply.status, reply.json) == (403, envelope("security_exception", reason, 403))
    assert "WWW-Authenticate" not in reply.headers


async def test_an_api_key_has_no_more_than_its_own_roles(guarded: Client) -> None:
    reply = await guarded("PUT", "/_inference/x", PUT, headers=api_key("reader-key"))
    reason = (
        "action [cluster:admin/xpack/inference/put] is unauthorized for API key id [reader-key]"
        f" of user [manager], this action is granted by the cluster privileges [{MANAGE_INFERENCE}]"
    )
    assert (reply.status, reply.json) == (403, envelope("security_exception", reason, 403))


@pytest.mark.parametrize(
    ("method", "path", "action", "privileges"),
    [
        ("GET", "/", "cluster:monitor/main", "monitor,manage,all"),
        ("GET", "/_cluster/health", "cluster:monitor/health", "monitor,manage,all"),
        ("GET", "/_license", "cluster:monitor/xpack/license/get", "monitor,manage,all"),
        ("GET", "/_inference", "cluster:monitor/xpack/inference/get", MONITOR_INFERENCE),
        (
            "GET",
            "/_inference/_services",
            "cluster:monitor/xpack/inference/services/get",
            MONITOR_INFERENCE,
        ),
        ("POST", "/_inference/x", "cluster:monitor/xpack/inference/post", MONITOR_INFERENCE),
        (
            "POST",
            "/_inference/completion/x/_stream",
            "cluster:monitor/xpack/inference/post",
            MONITOR_INFERENCE,
        ),
    ],
)
async def test_who_has_no_role_may_not_even_look(
    guarded: Client, method: str, path: str, action: str, privileges: str
) -> None:
    reply = await guarded(method, path, headers=basic("nobody"))
    reason = (
        f"action [{action}] is unauthorized for user [nobody] with effective roles [],"
        f" this action is granted by the cluster privileges [{privileges}]"
    )
    assert (reply.status, reply.json) == (403, envelope("security_exception", reason, 403))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/_esinfer/health", "/_esinfer/ready"])
async def test_a_load_balancer_needs_no_credentials(
    guarded: Client, method: str, path: str
) -> None:
    assert (await guarded(method, path)).status == 200


@pytest.mark.parametrize(
    ("path", "action"),
    [("/_esinfer/metrics", "metrics"), ("/_esinfer/openapi.json", "openapi")],
)
async def test_metrics_and_the_document_are_for_readers(
    guarded: Client, path: str, action: str
) -> None:
    assert (await guarded("GET", path, headers=basic("reader"))).status == 200
    assert (await guarded("GET", path, headers=basic("manager"))).status == 200
    reply = await guarded("GET", path, headers=basic("nobody"))
    reason = (
        f"action [esinfer:monitor/{action}] is unauthorized for user [nobody] with effective roles"
        " [], this action is granted by the roles [manage,read]"
    )
    assert (reply.status, reply.json) == (403, envelope("security_exception", reason, 403))


@pytest.mark.parametrize("path", ["/_esinfer/upstreams", "/_esinfer/upstreams/default/log"])
async def test_what_the_upstreams_are_is_for_managers(guarded: Client, path: str) -> None:
    reply = await guarded("GET", path, headers=basic("reader"))
    reason = (
        "action [esinfer:admin] is unauthorized for user [reader] with effective roles [read],"
        " this action is granted by the roles [manage]"
    )
    assert (reply.status, reply.json) == (403, envelope("security_exception", reason, 403))
    assert (await guarded("GET", path, headers=basic("manager"))).status == 200


async def test_a_manager_creates_and_a_reader_infers(guarded: Client) -> None:
    path = "/_inference/text_embedding/x"
    assert (await guarded("PUT", path, PUT, headers=api_key("manager-key"))).status == 200
    for headers in (basic("reader"), api_key("reader-key"), bearer(), basic("manager")):
        assert (await guarded("POST", path, {"input": "a"}, headers=headers)).status == 200
        assert (await guarded("GET", path, headers=headers)).status == 200
    chunk = await guarded("POST", "/_esinfer/chunk", {"input": "a"}, headers=bearer())
    assert chunk.status == 200
    assert (await guarded("DELETE", path, headers=basic("both"))).status == 200


async def test_the_route_is_looked_up_before_what_the_caller_may(guarded: Client) -> None:
    reply = await guarded("GET", "/nothing", headers=basic("nobody"))
    assert (reply.status, reply.json) == (
        400,
        {"error": "no handler found for uri [/nothing] and method [GET]"},
    )
    assert (await guarded("PATCH", "/_inference/x", headers=basic("nobody"))).status == 405


async def test_head_is_refused_without_a_body(guarded: Client) -> None:
    reply = await guarded("HEAD", "/")
    assert (reply.status, reply.raw) == (401, b"")
    assert reply.headers.getall("WWW-Authenticate") == CHALLENGES
    assert (await guarded("HEAD", "/", headers=basic("reader"))).status == 200


async def test_options_are_told_to_everybody(guarded: Client) -> None:
    assert (await guarded("OPTIONS", "/_inference")).status == 200


async def test_what_is_no_http_is_told_so_without_credentials(guarded: Client) -> None:
    answer, closed = await exchange(guarded.url, b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert b"WWW-Authenticate" not in answer
    assert closed


async def test_a_refusal_has_the_form_that_was_asked_for(guarded: Client) -> None:
    vendor = "application/vnd.elasticsearch+json; compatible-with=9"
    reply = await guarded("GET", "/?pretty&filter_path=nothing", headers={"Accept": vendor})
    assert reply.headers["Content-Type"] == "application/vnd.elasticsearch+json;compatible-with=9"
    assert reply.text.startswith('{\n  "error" : {\n')
    reply = await guarded("GET", "/?pretty=x", headers={"Accept": vendor})
    assert reply.status == 401


async def test_a_body_of_a_stranger_is_not_asked_for(guarded: Client) -> None:
    lines = (
        "POST /_inference/x HTTP/1.1",
        "Host: a",
        "Content-Length: 1000000",
        "Expect: 100-continue",
        "Content-Type: application/json",
    )
    host, _, port = guarded.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write("\r\n".join((*lines, "", "")).encode())
    async with asyncio.timeout(5):
        assert await reader.readline() == b"HTTP/1.1 401 Unauthorized\r\n"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("expects", ["Expect: 100-continue", "X-Expect: nothing"])
@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_a_body_of_one_who_may_not_is_neither_asked_for_nor_awaited(
    guarded: Client, expects: str, length: str
) -> None:
    caller = f"Authorization: {basic('reader')['Authorization']}"
    request = head("PUT", "/_inference/text_embedding/x?pretty", length, expects, caller)
    status, headers, body = split(await until_told(guarded, request))
    assert status == b"HTTP/1.1 403 Forbidden"
    assert b"content-type: application/json" in headers
    assert body.startswith(b'{\n  "error" : {\n')


async def until_told(client: Client, request: bytes) -> bytes:
    """The answer to a request whose body does not come."""
    host, _, port = client.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"\r\n\r\n")
        told = next(line for line in answer.split(b"\r\n") if line.startswith(b"Content-Length"))
        answer += await reader.readexactly(int(told.partition(b":")[2]))
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/_inference", b"200 OK"),
        ("OPTIONS", "/nothing", b"400 Bad Request"),
        ("GET", "/_esinfer/health", b"400 Bad Request"),
        ("GET", "/_esinfer/ready", b"400 Bad Request"),
    ],
)
async def test_a_body_to_what_is_open_to_all_is_not_awaited(
    guarded: Client, method: str, path: str, status: bytes
) -> None:
    answer = await until_told(guarded, head(method, path, "Transfer-Encoding: chunked"))
    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/_inference", b"200 OK"),
        ("OPTIONS", "/nothing", b"400 Bad Request"),
        ("GET", "/_esinfer/health", b"400 Bad Request"),
    ],
)
async def test_a_body_to_what_is_open_to_all_is_not_asked_for(
    guarded: Client, method: str, path: str, status: bytes, length: str
) -> None:
    answer = await until_told(guarded, head(method, path, length, "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/_nothere", b"400 Bad Request"),
        ("PATCH", "/_inference/x", b"405 Method Not Allowed"),
    ],
)
async def test_a_body_that_no_handler_reads_is_not_asked_for(
    guarded: Client, method: str, path: str, status: bytes, length: str
) -> None:
    caller = f"Authorization: {basic('reader')['Authorization']}"
    answer = await until_told(guarded, head(method, path, length, "Expect: 100-continue", caller))
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_what_is_open_to_all_makes_no_namespace(guarded: Client) -> None:
    for path in ("/_esinfer/health", "/_esinfer/ready"):
        for prefix, headers in (
            ("/_ns/evil", {}),
            ("", {"X-Esinfer-Namespace": "evil"}),
            ("", basic("ns-evil", "any")),
        ):
            assert (await guarded("GET", prefix + path, headers=headers)).status == 200
    assert (await guarded("OPTIONS", "/_ns/evil/_inference")).status == 200
    reply = await guarded("GET", "/_esinfer/namespaces", headers=basic("manager"))
    assert [namespace["name"] for namespace in reply.json["namespaces"]] == ["default"]


async def test_what_is_open_to_all_is_in_no_journal(guarded: Client) -> None:
    assert (await guarded("OPTIONS", "/anything", {"a": "b"})).status == 400
    assert (await guarded("OPTIONS", "/_inference", {"a": "b"})).status == 200
    await guarded("GET", "/_inference", headers=basic("reader"))
    reply = await guarded("GET", "/_esinfer/journal", headers=basic("manager"))
    assert [entry["request"]["method"] for entry in reply.json["entries"]] == ["GET"]


async def test_without_a_file_any_credentials_are_taken_and_ignored(mock: Client) -> None:
    for headers in ({}, basic("x", "y"), api_key("x"), bearer("x"), {"Authorization": "!"}):
        assert (await mock("GET", "/_inference", headers=headers)).status == 200


def test_every_route_of_elasticsearch_has_its_action() -> None:
    ours = {handler for _, path, handler in ROUTES if not path.startswith("/_esinfer")}
    unlisted = {handler.__name__ for handler in ours - HANDLER_ACTIONS.keys()}
    assert unlisted == {"not_implemented"}
