"""Headers of every answer (rest.md section 9, clients.md section 1)."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from esinfer.lifecycle import Lifecycle
from tests.api.sockets import exchange, head
from tests.conftest import Client, StartServer, envelope

Case = tuple[int, str, str, object, dict[str, str]]

REQUESTS: list[Case] = [
    (200, "GET", "/", None, {}),
    (200, "HEAD", "/", None, {}),
    (200, "GET", "/_inference", None, {}),
    (200, "OPTIONS", "/_inference", None, {}),
    (200, "GET", "/_inference/_services", None, {}),
    (200, "GET", "/_inference?format=yaml", None, {}),
    (400, "PUT", "/_inference/text_embedding/X", {}, {}),
    (400, "GET", "/_inference/a%zz", None, {}),
    (400, "GET", "/nowhere", None, {}),
    (400, "POST", "/_inference/text_embedding/x", b"{", {}),
    (400, "POST", "/_inference/x", b"x", {"Content-Encoding": "gzip"}),
    (400, "GET", "/_inference?nonsense", None, {}),
    (404, "GET", "/_inference/x", None, {}),
    (404, "POST", "/_inference/x/_stream", {"input": "a"}, {}),
    (405, "DELETE", "/_inference", None, {}),
    (405, "HEAD", "/_inference", None, {}),
    (406, "POST", "/_inference/x", b"a", {"Content-Type": "text/plain"}),
    (413, "POST", "/_inference/x", b"a" * 1001, {}),
    (417, "GET", "/", None, {"Expect": "miracles"}),
    (417, "GET", "/nowhere", None, {"Expect": "miracles"}),
    (500, "PUT", "/_inference/x", {"task_type": 1}, {}),
    (501, "GET", "/_inference/.diagnostics", None, {}),
]


@pytest.mark.parametrize(
    "sent",
    REQUESTS,
    ids=[" ".join(map(str, case[:3])) for case in REQUESTS],
)
async def test_every_answer_is_signed(start: StartServer, sent: Case) -> None:
    client = await start("server.max_content_length=1000b")
    status, method, path, body, headers = sent
    reply = await client(method, path, body, headers=headers | {"X-Opaque-Id": "me"})
    assert reply.status == status
    assert reply.headers.getall("X-elastic-product") == ["Elasticsearch"]
    assert reply.headers.getall("X-Opaque-Id") == ["me"]
    assert not {"Server", "Warning", "Elastic-Api-Version"} & set(reply.headers)


async def test_a_good_answer_has_no_other_headers(client: Client) -> None:
    headers = {"Accept-Encoding": "identity"}
    reply = await client("GET", "/_inference", headers=headers)
    assert set(reply.headers) == {"X-elastic-product", "Content-Type", "Content-Length", "Date"}


async def test_a_defect_of_ours_is_500_and_in_the_log_only(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(Lifecycle, "list_endpoints", fail)
    reply = await client("GET", "/_inference")
    reason = "esinfer failed with KeyError; see its log"
    assert (reply.status, reply.json) == (500, envelope("illegal_state_exception", reason, 500))
    assert reply.headers["X-elastic-product"] == "Elasticsearch"
    assert "GET /_inference failed" in caplog.text
    assert "KeyError: 'secret'" in caplog.text


@pytest.mark.parametrize("opaque_id", ["ü", "日本", "😀"])
async def test_an_opaque_id_outside_of_ascii_is_echoed(client: Client, opaque_id: str) -> None:
    answer, _ = await exchange(client.url, head("GET", "/_inference", f"X-Opaque-Id: {opaque_id}"))
    assert f"\r\nX-Opaque-Id: {opaque_id}\r\n".encode() in answer


async def test_bytes_of_an_opaque_id_that_are_no_utf8_are_replaced(client: Client) -> None:
    request = b"GET /_inference HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Opaque-Id: a\xffb\r\n"
    answer, _ = await exchange(client.url, request + b"\r\n")
    assert b"\r\nX-Opaque-Id: a?b\r\n" in answer


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate", "deflate, gzip;q=1.0", "GZIP"])
async def test_answers_are_packed_when_asked(client: Client, accepted: str) -> None:
    answer = await plain_session(client, {"Accept-Encoding": accepted})
    assert answer[0] == "gzip"
    assert gzip.decompress(answer[1]) == b'{"endpoints":[]}'


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "gzip; q=0.0", "br", "deflate"])
async def test_answers_are_plain_otherwise(client: Client, accepted: str) -> None:
    answer = await plain_session(client, {"Accept-Encoding": accepted})
    assert answer == (None, b'{"endpoints":[]}')


async def test_errors_are_packed_too(client: Client) -> None:
    coding, body = await plain_session(client, {"Accept-Encoding": "gzip"}, "/_inference/x")
    assert coding == "gzip"
    assert orjson.loads(gzip.decompress(body))["status"] == 404


async def plain_session(
    client: Client, headers: dict[str, str], path: str = "/_inference"
) -> tuple[str | None, bytes]:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(client.url + path, headers=headers) as response,
    ):
        return response.headers.get("Content-Encoding"), await response.read()


async def test_expect_100_continue_is_answered_before_the_body(client: Client) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"input":"a"}'

    async with client.session.post(
        client.url + "/_inference/x",
        data=body(),
        headers={"Content-Type": "application/json"},
        expect100=True,
    ) as response:
        assert response.status == 404


async def test_the_words_of_100_continue(client: Client) -> None:
    request = head("POST", "/_inference/x", "Content-Length: 2", "Expect: 100-Continue")
    answer, closed = await exchange(client.url, request, b"{}")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\n")
    assert closed


async def test_any_other_expectation_is_417_empty_and_closed(client: Client) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n"
    answer, closed = await exchange(client.url, request)
    assert answer.startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert closed
