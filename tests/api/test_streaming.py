"""Event streams, from a live upstream through a live server to a client (hugging_face.md 4)."""

from __future__ import annotations

import asyncio
import logging
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from esinfer.api.keys import REGISTRY
from esinfer.api.middleware import elasticsearch
from esinfer.api.protocol import make_runner
from esinfer.api.responses import EVENT_FORM, EventForm
from esinfer.api.streaming import protocol_of, send_events
from esinfer.app import make_app, make_twin
from esinfer.config import load
from esinfer.readiness import READINESS
from tests.api.sockets import settle, split
from tests.api.streams import (
    CONVERSATION,
    DONE,
    PATIENCE,
    HandUpstream,
    Listener,
    Peer,
    answers,
    chat_chunk,
    chunk,
    create_stream,
    delta,
    error,
    hand_upstream,
    listen,
    message,
    said,
    sends,
    stream,
    turn,
)
from tests.conftest import (
    QUICK,
    Client,
    Reply,
    StartServer,
    Upstream,
    create,
    envelope,
    run_app,
)

UNCHECKED = "inference.skip_validate_and_start=true"
TASKS = ("completion", "chat_completion")
both = pytest.mark.parametrize("task_type", TASKS)

SAYS: dict[str, Callable[[str], bytes]] = {"completion": delta, "chat_completion": chat_chunk}
"""What each task makes of a chunk with a text."""


@pytest.fixture
async def hand() -> AsyncIterator[HandUpstream]:
    async with hand_upstream() as made:
        yield made


@pytest.fixture
async def server(start: StartServer) -> Client:
    return await start(UNCHECKED)


@pytest.fixture
async def chat(server: Client, hand: HandUpstream) -> Client:
    await create_stream(server, hand.url, "chat_completion")
    return server


@pytest.fixture
async def completion(server: Client, hand: HandUpstream) -> Client:
    await create_stream(server, hand.url, "completion")
    return server


@pytest.fixture
async def asked(task_type: str, server: Client, hand: HandUpstream) -> Client:
    """The server with an endpoint of the parameter's task type."""
    await create_stream(server, hand.url, task_type)
    return server


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Any:
    """Whatever upstreams and clients do, we have no defect to tell of."""
    yield
    records = [*caplog.get_records("call"), *caplog.records]
    assert [r.getMessage() for r in records if r.levelno >= logging.ERROR] == []


def chat_error(code: str, reason: str, kind: str) -> dict[str, object]:
    return {"error": {"code": code, "message": reason, "type": kind}}


# -- framing ----------------------------------------------------------------


async def test_completion_is_framed_byte_for_byte(completion: Client, hand: HandUpstream) -> None:
    hand.script = sends(said(chunk("hello, ")), said(chunk("wörld\n")), said("[DONE]"))
    reply = await stream(completion, "completion")
    assert reply.raw == (
        b'event: message\ndata: {"completion":[{"delta":"hello, "}]}\n\n'
        b'event: message\ndata: {"completion":[{"delta":"w\xc3\xb6rld\\n"}]}\n\n'
        b"event: message\ndata: [DONE]\n\n"
    )
    assert hand.peers[0].body == {
        "messages": [{"content": "How far is it?", "role": "user"}],
        "n": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_chat_is_framed_byte_for_byte(chat: Client, hand: HandUpstream) -> None:
    usage = {"completion_tokens": 28, "prompt_tokens": 16, "total_tokens": 44}
    hand.script = sends(
        said(chunk("hello")),
        said(chunk("", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])),
        said(chunk("", choices=[], usage=usage)),
        said("[DONE]"),
    )
    reply = await stream(chat)
    tail = b'"model":"m","object":"chat.completion.chunk"'
    assert reply.raw == (
        b'event: message\ndata: {"id":"12345","choices":[{"delta":{"content":"hello",'
        b'"role":"assistant"},"index":0}],' + tail + b"}\n\n"
        b'event: message\ndata: {"id":"12345","choices":[{"delta":{},"finish_reason":"stop",'
        b'"index":0}],' + tail + b"}\n\n"
        b'event: message\ndata: {"id":"12345","choices":[],' + tail + b',"usage":'
        b'{"completion_tokens":28,"prompt_tokens":16,"total_tokens":44}}\n\n'
        b"event: message\ndata: [DONE]\n\n"
    )


@both
async def test_a_stream_has_elasticsearchs_headers(asked: Client, task_type: str) -> None:
    reply = await stream(asked, task_type, headers={"X-Opaque-Id": "me"})
    headers = dict(reply.headers)
    headers.pop("Date")
    assert headers.pop("Server-Timing").startswith("queue;dur=")
    assert headers == {
        "Content-Type": "text/event-stream",
        "Transfer-Encoding": "chunked",
        "X-elastic-product": "Elasticsearch",
        "X-Opaque-Id": "me",
    }


TOOL = {"name": "distance", "arguments": '{"to"'}


async def test_all_that_a_delta_can_hold_is_passed_on_in_order(
    chat: Client, hand: HandUpstream
) -> None:
    sent = {
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
        "tool_calls": [{"type": "function", "function": TOOL, "id": "0", "index": 0}],
        "role": "assistant",
        "refusal": "no",
        "content": "yes",
    }
    choice = {"index": 0, "delta": sent, "finish_reason": "tool_calls"}
    hand.script = sends(said(chunk("", choices=[choice])))
    reply = await stream(chat)
    ordered = {
        "content": "yes",
        "refusal": "no",
        "role": "assistant",
        "tool_calls": [
            {
                "index": 0,
                "id": "0",
                "function": {"arguments": '{"to"', "name": "distance"},
                "type": "function",
            }
        ],
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
    }
    expected = {
        "id": "12345",
        "choices": [{"delta": ordered, "finish_reason": "tool_calls", "index": 0}],
        "model": "m",
        "object": "chat.completion.chunk",
    }
    assert reply.raw == message(expected) + DONE


async def test_the_details_of_usage_are_passed_on(chat: Client, hand: HandUpstream) -> None:
    usage = {
        "completion_tokens": 3,
        "prompt_tokens": 2,
        "total_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 1},
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 1},
    }
    hand.script = sends(said(chunk("", choices=[], usage=usage | {"queue_time": 1})))
    reply = await stream(chat)
    assert reply.raw.endswith(b'"usage":' + orjson.dumps(usage) + b"}\n\n" + DONE)


async def test_completion_passes_on_no_chunk_without_text(
    completion: Client, hand: HandUpstream
) -> None:
    empty = {"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}
    hand.script = sends(
        said(chunk("", choices=[empty])),
        said(chunk("")),
        said(chunk("yes")),
        said(chunk("", choices=[], usage={"total_tokens": 1})),
    )
    assert (await stream(completion, "completion")).raw == delta("yes") + DONE


@both
async def test_a_byte_order_mark_stands_before_each_event_if_set(
    start: StartServer, hand: HandUpstream, task_type: str
) -> None:
    client = await start(UNCHECKED, "elasticsearch.event_byte_order_mark=true")
    await create_stream(client, hand.url, task_type)
    mark = b"\xef\xbb\xbf"
    hand.script = sends(said(chunk("a")), said("[DONE]"))
    reply = await stream(client, task_type)
    assert reply.raw == mark + SAYS[task_type]("a") + mark + DONE

    hand.script = sends(said(chunk("a")), said("{}"))
    reply = await stream(client, task_type)
    assert reply.raw.startswith(mark + SAYS[task_type]("a") + mark + b"event: error\n")

    hand.script = answers("404 Not Found", b"")
    reply = await stream(client, task_type)
    assert reply.raw.startswith(mark + b"event: error\n")


@both
@pytest.mark.parametrize("query", ["pretty", "filter_path=choices", "format=yaml", "human"])
async def test_what_shapes_other_answers_does_not_shape_events(
    asked: Client, hand: HandUpstream, task_type: str, query: str
) -> None:
    hand.script = sends(said(chunk("a")))
    reply = await stream(asked, task_type, f"?{query}")
    assert reply.raw == SAYS[task_type]("a") + DONE
    hand.script = answers("404 Not Found", b"")
    reply = await stream(asked, task_type, f"?{query}")
    assert (reply.status, reply.raw.count(b"\n")) == (404, 3)
    assert orjson.loads(reply.raw.removeprefix(b"event: error\ndata: "))["error"]


@both
async def test_a_client_that_takes_gzip_is_sent_plain_events(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    hand.script = sends(said(chunk("a")))
    reply = await stream(asked, task_type, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in reply.headers
    assert reply.raw == SAYS[task_type]("a") + DONE


@both
@pytest.mark.parametrize("headers", [(), ("Connection: keep-alive",)])
async def test_an_old_client_is_sent_events_until_the_connection_closes(
    asked: Client, hand: HandUpstream, task_type: str, headers: tuple[str, ...]
) -> None:
    hand.script = sends(said(chunk("a")))
    async with listen(asked, task_type, *headers, version="1.0") as listener:
        status, got, body = split(await listener.rest())
    assert status == b"HTTP/1.0 200 OK"
    assert not [header for header in got if header.startswith((b"transfer", b"content-length"))]
    assert body == SAYS[task_type]("a") + DONE


async def test_a_connection_serves_one_stream_after_another(
    chat: Client, hand: HandUpstream
) -> None:
    hand.script = sends(said(chunk("a")))
    async with listen(chat) as first:
        assert (await first.until(b"\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        first.writer.write(b"GET /_esinfer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await first.rest()).startswith(b"HTTP/1.1 200 OK")


# -- how the upstream's bytes may lie ---------------------------------------

EVENTS = ("a", "wörld", "𝄞")


@both
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
async def test_bytes_one_at_a_time_give_the_same_events(
    asked: Client, hand: HandUpstream, task_type: str, newline: str
) -> None:
    def raw(text: str) -> str:  # with characters of several bytes
        return orjson.dumps(chunk(text)).decode()

    whole = b"".join(said(raw(text), newline) for text in EVENTS) + said("[DONE]", newline)
    expected = b"".join(map(SAYS[task_type], EVENTS)) + DONE

    hand.script = sends(*(whole[i : i + 1] for i in range(len(whole))))
    assert (await stream(asked, task_type)).raw == expected
    hand.script = sends(whole)
    assert (await stream(asked, task_type)).raw == expected


@both
async def test_what_is_no_data_is_skipped(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    text = orjson.dumps(chunk("a"), option=orjson.OPT_INDENT_2).decode()
    hand.script = sends(
        b"\xef\xbb\xbf: hello\n\n:\n\nid: 1\nretry: 10\nunknown\nevent:\n",
        "".join(f"data:{line}\n" for line in text.split("\n")).encode(),
        b": ping\n\nevent: message\n\n",
    )
    assert (await stream(asked, task_type)).raw == SAYS[task_type]("a") + DONE


@both
@pytest.mark.parametrize(
    "end",
    [
        b"",
        b"data: [DONE]\n\n",
        b"data: [done]\n\n",
        b"data: [Done] \r\n\r\n",
        b"data:[DONE]\n",
        said("[DONE]") + said(chunk("late")) + b"data: {never\n\n",
    ],
)
async def test_a_stream_ends_with_done_however_the_upstream_ends(
    asked: Client, hand: HandUpstream, task_type: str, end: bytes
) -> None:
    hand.script = sends(said(chunk("a")), end)
    assert (await stream(asked, task_type)).raw == SAYS[task_type]("a") + DONE


@both
async def test_a_stream_of_nothing_is_done(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    hand.script = sends()
    assert (await stream(asked, task_type)).raw == DONE


@both
async def test_a_last_event_without_its_blank_line_counts(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    hand.script = sends(said(chunk("a"))[:-1])
    assert (await stream(asked, task_type)).raw == SAYS[task_type]("a") + DONE


@both
async def test_done_ends_the_stream_though_the_upstream_stays(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(said(chunk("a")), said("[DONE]"))
        await peer.gone()

    hand.script = script
    assert (await stream(asked, task_type)).raw == SAYS[task_type]("a") + DONE


@both
async def test_an_old_upstream_ends_its_stream_by_closing_the_connection(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\n", said(chunk("a")))

    hand.script = script
    assert (await stream(asked, task_type)).raw == SAYS[task_type]("a") + DONE


@both
async def test_a_compressed_stream_is_passed_on_event_by_event(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    heard = asyncio.Event()
    gzip = zlib.compressobj(wbits=31)

    async def script(peer: Peer) -> None:
        await peer.begin("200 OK", "Content-Encoding: gzip")
        await peer.chunks(gzip.compress(said(chunk("a"))) + gzip.flush(zlib.Z_SYNC_FLUSH))
        await asyncio.wait_for(heard.wait(), PATIENCE)
        await peer.chunks(gzip.compress(said("[DONE]")) + gzip.flush())
        await peer.end()

    hand.script = script
    async with listen(asked, task_type) as listener:
        await listener.until(SAYS[task_type]("a"))
        heard.set()
        await listener.until(DONE)


# -- when events are passed on ----------------------------------------------


@both
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
async def test_an_event_is_passed_on_before_the_next_one_is_there(
    asked: Client, hand: HandUpstream, task_type: str, newline: str
) -> None:
    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.begin()
        for text in EVENTS:
            await peer.chunks(said(chunk(text), newline))
            await asyncio.wait_for(heard.wait(), PATIENCE)
            heard.clear()
        await peer.end()

    hand.script = script
    async with listen(asked, task_type) as listener:
        for text in EVENTS:
            await listener.until(SAYS[task_type](text))
            heard.set()
        await listener.until(DONE + b"\r\n0\r\n\r\n")


@both
async def test_nothing_is_sent_before_the_first_event(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(b": working\n\n", said(chunk("a"))[:-1])
        await asyncio.wait_for(heard.wait(), PATIENCE)
        await peer.chunks(b"\n")
        await peer.end()

    hand.script = script
    async with listen(asked, task_type) as listener:
        async with asyncio.timeout(PATIENCE):
            first = asyncio.create_task(listener.reader.read(1))
            while not hand.peers:
                await turn()
            for _ in range(5):
                await settle(asked.url)
        assert not first.done()
        heard.set()
        assert await asyncio.wait_for(first, PATIENCE) == b"H"
        await listener.until(DONE)


# -- errors before the stream -----------------------------------------------


@dataclass(frozen=True, slots=True)
class Before:
    """The upstream's answer; our status and attempts, what is said, the upstream's words."""

    answer: str
    body: bytes
    status: int
    attempts: int
    prefix: str
    words: str = ""


SERVER_ERROR = "Received a server error status code"
BEFORE = [
    Before("400 Bad Request", b"", 400, 1, "Received a bad request status code"),
    Before(
        "401 Unauthorized",
        b'{"error":{"message":"no key","http_status_code":401}}',
        401,
        1,
        "Received an authentication error status code",
        "no key",
    ),
    Before("404 Not Found", b"<html>", 404, 1, "Resource not found at [{url}]"),
    Before("422 Unprocessable", b"{}", 422, 1, "Received an input validation error response"),
    Before("429 Too Many Requests", b"", 429, 1, "Received a rate limit status code"),
    Before("500 Internal Server Error", b"", 400, 3, SERVER_ERROR),
    Before("502 Bad Gateway", b"", 400, 1, SERVER_ERROR),
    Before("503 Service Unavailable", b"", 400, 3, "Received a server busy error status code"),
    Before("302 Found", b"", 302, 1, "Unhandled redirection"),
]
CODES = {302: "found", 400: "bad_request", 404: "not_found", 422: "unprocessable_entity"}
CODES |= {429: "too_many_requests"}


@both
@pytest.mark.parametrize("case", BEFORE, ids=lambda case: case.answer)
async def test_an_error_before_the_stream_is_one_event_with_its_status(
    asked: Client, hand: HandUpstream, task_type: str, case: Before
) -> None:
    hand.script = answers(case.answer, case.body)
    reply = await stream(asked, task_type)
    number = case.answer[:3]
    reason = f"{case.prefix.format(url=hand.url)} for request from inference entity id [id]"
    reason += f" status [{number}]"
    reason += f". Error message: [{case.words}]" if case.words else ""
    if task_type == "completion":
        expected = envelope("status_exception", reason, case.status)
    elif case.words:
        expected = chat_error(number, reason, "hugging_face_error")
    else:
        kind = "UnifiedChatCompletionErrorResponse"
        expected = chat_error(CODES[case.status], reason, kind)
    assert (reply.status, reply.raw) == (case.status, error(expected))
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert reply.headers["X-elastic-product"] == "Elasticsearch"
    assert len(hand.peers) == case.attempts


@both
async def test_a_server_that_is_busy_for_a_while_costs_only_time(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    good, busy = sends(said(chunk("a"))), answers("503 Service Unavailable", b"")

    async def script(peer: Peer) -> None:
        await (good if len(hand.peers) == 3 else busy)(peer)

    hand.script = script
    reply = await stream(asked, task_type)
    assert (reply.status, reply.raw) == (200, SAYS[task_type]("a") + DONE)
    assert len(hand.peers) == 3


@both
@pytest.mark.parametrize("begun", [False, True], ids=["no answer", "half an error"])
async def test_an_upstream_that_takes_too_long_is_429_and_let_go(
    asked: Client, hand: HandUpstream, task_type: str, begun: bool
) -> None:
    async def script(peer: Peer) -> None:
        if begun:
            await peer.begin("503 Service Unavailable")
            await peer.chunks(b"so")
        await peer.gone()

    hand.script = script
    reply = await stream(asked, task_type, "?timeout=40ms")
    reason = "Request timed out after [40ms] for inference id [id]"
    if task_type == "chat_completion":
        expected: object = chat_error("too_many_requests", reason, "timeout_exception")
    else:
        described = {"type": "timeout_exception", "reason": reason, "timed_out": True}
        expected = {"error": {"root_cause": [described], **described}, "status": 429}
    assert (reply.status, reply.raw) == (429, error(expected))
    assert reply.headers["X-Timed-Out"] == "?1"


@both
async def test_a_stream_that_has_begun_may_take_longer_than_the_timeout(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(said(chunk("a")))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.gone(), 0.3)
        await peer.chunks(said(chunk("b")))
        await peer.end()

    hand.script = script
    says = SAYS[task_type]
    assert (await stream(asked, task_type, "?timeout=200ms")).raw == says("a") + says("b") + DONE


@both
async def test_an_upstream_that_nobody_runs_is_500(server: Client, task_type: str) -> None:
    async with hand_upstream() as gone:
        pass
    await create_stream(server, gone.url, task_type)
    reply = await stream(server, task_type)
    reason = (
        f"Failed to send Hugging Face {task_type} request from inference entity id [id]."
        " Cause: Connection refused"
    )
    document = orjson.loads(reply.raw.removeprefix(b"event: error\ndata: "))
    assert reply.status == 500
    if task_type == "chat_completion":
        code = "internal_server_error"
        chat_form = {"error": {"code": code, "message": reason, "type": "status_exception"}}
        assert document == chat_form
    else:
        cause = {"type": "connect_exception", "reason": "Connection refused"}
        assert document == envelope("status_exception", reason, 500, caused_by=cause)


@both
async def test_a_connection_that_breaks_before_the_answer_is_tried_again(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    async def script(peer: Peer) -> None:
        if len(hand.peers) < 3:
            peer.reset()
        else:
            await sends(said(chunk("a")))(peer)

    hand.script = script
    assert (await stream(asked, task_type)).raw == SAYS[task_type]("a") + DONE


# -- errors in the stream ---------------------------------------------------


@both
async def test_an_error_as_the_first_event_has_status_200(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    hand.script = sends(said({"error": {"message": "M", "http_status_code": 422}}), said("[DONE]"))
    reply = await stream(asked, task_type)
    reason = "Received an error response for request from inference entity id [id]."
    if task_type == "chat_completion":
        kind = {"code": "422", "message": f"{reason} Error message: [M]"}
        expected: dict[str, Any] = {"error": kind | {"type": "hugging_face_error"}}
    else:
        missing = "Failed to find required field [choices] in OpenAI chat completions response"
        expected = envelope("illegal_state_exception", missing, 500)
    assert (reply.status, reply.raw) == (200, error(expected))


@pytest.mark.parametrize(
    ("event", "code", "words"),
    [
        ({"error": {"message": "M", "http_status_code": 422}}, "422", ". Error message: [M]"),
        ({"error": {"message": "M"}}, None, ". Error message: [M]"),
        ({"error": "M"}, None, ". Error message: [M]"),
        ({"error": {}}, None, ". Error message: [unknown]"),
        ({"error": None}, None, ". Error message: [unknown]"),
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["event: error", "data alone"])
async def test_an_error_in_a_chat_stream_ends_it(
    chat: Client, hand: HandUpstream, event: object, code: str | None, words: str, named: bool
) -> None:
    name = b"event: error\n" if named else b""
    hand.script = sends(said(chunk("a")), name + said(event), said(chunk("late")), said("[DONE]"))
    reply = await stream(chat)
    text = f"Received an error response for request from inference entity id [id]{words}"
    body = {"code": code, "message": text, "type": "hugging_face_error"}
    if code is None:
        del body["code"]
    assert reply.raw == chat_chunk("a") + error({"error": body})


async def test_an_error_event_that_says_nothing_is_a_stream_error(
    chat: Client, hand: HandUpstream
) -> None:
    hand.script = sends(b"event: error\ndata: overloaded\n\n")
    reply = await stream(chat)
    document = orjson.loads(reply.raw.removeprefix(b"event: error\ndata: "))
    assert document["error"]["code"] == "stream_error"
    assert document["error"]["message"] == (
        "Received an error response for request from inference entity id [id]"
    )


GARBAGE: dict[str, bytes] = {
    "no JSON": b"data: { invalid json }\n\n",
    "half of it": b'data: {"choices":\n\n',
    "blank data": b"data: \n\n",
    "a NUL": b"data: \x00\n\n",
    "a NUL in a text": said(chunk("a")).replace(b'"a"', b'"a\x00"'),
    "no UTF-8": said(chunk("a")).replace(b'"a"', b'"\xff\xfe"'),
    "no UTF-8 and no JSON": b"data: \xff\xfe\n\n",
    "half a surrogate pair": said(chunk("a")).replace(b'"a"', b'"\\ud83d"\x00'),
    "a deep array": b"data: " + b"[" * 100_000 + b"\n\n",
    "deep choices": b'data: {"id":"1","choices":' + b"[" * 5_000 + b"]" * 5_000 + b"}\n\n",
    "a number": said("7"),
    "a list": said("[]"),
    "null": said("null"),
    "nothing in it": said("{}"),
    "choices that are no list": said({"id": "1", "choices": "none"}),
    "choices that are no objects": said({"id": "1", "choices": [1]}),
    "a choice without a delta": said({"id": "1", "choices": [{"index": 0}]}),
    "a delta that is a text": said({"id": "1", "choices": [{"index": 0, "delta": "a"}]}),
    "a content that is a number": said(
        {"id": "1", "choices": [{"index": 0, "delta": {"content": 1}}]}
    ),
}


@both
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_one_error_after_what_came_before(
    asked: Client, hand: HandUpstream, task_type: str, garbage: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(said(chunk("a")) + garbage)
        await peer.gone()

    hand.script = script
    reply = await stream(asked, task_type)
    check_one_error(reply, SAYS[task_type]("a"))


def check_one_error(reply: Reply, before: bytes = b"") -> Any:
    """The stream is what came before and one error, without an end; the error."""
    assert reply.status == 200
    assert reply.raw.startswith(before + b"event: error\ndata: {")
    last = reply.raw.removeprefix(before)
    assert last.endswith(b"}\n\n")
    assert last.count(b"\n") == 3
    assert b"esinfer failed" not in last
    return orjson.loads(last.removeprefix(b"event: error\ndata: "))["error"]


CHAT_GARBAGE: dict[str, bytes] = {
    "no id": said({"choices": []}),
    "an id that is a number": said({"id": 1, "choices": []}),
    "no index": said({"id": "1", "choices": [{"delta": {}}]}),
    "a tool call without an index": said(
        {"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [{"id": "0"}]}}]}
    ),
    "a tool call that is a text": said(
        {"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": ["a"]}}]}
    ),
    "a usage that is a list": said({"id": "1", "choices": [], "usage": []}),
    "a huge count": b'data: {"id":"1","choices":[],"usage":{"total_tokens":1e999}}\n\n',
}


@pytest.mark.parametrize("garbage", CHAT_GARBAGE.values(), ids=CHAT_GARBAGE.keys())
async def test_a_chat_chunk_of_the_wrong_form_is_one_error(
    chat: Client, hand: HandUpstream, garbage: bytes
) -> None:
    hand.script = sends(said(chunk("a")) + garbage, said("[DONE]"))
    check_one_error(await stream(chat), chat_chunk("a"))


@both
@pytest.mark.parametrize("text", ['"\\ud83d"', '"\\ud83d\\u0000"'], ids=["alone", "before a NUL"])
async def test_half_a_surrogate_pair_breaks_nothing(
    asked: Client, hand: HandUpstream, task_type: str, text: str
) -> None:
    hand.script = sends(said(orjson.dumps(chunk("a")).decode().replace('"a"', text)))
    reply = await stream(asked, task_type)
    assert reply.status == 200
    assert b"esinfer failed" not in reply.raw


async def test_a_chunk_that_is_no_json_is_quoted(chat: Client, hand: HandUpstream) -> None:
    hand.script = sends(said(chunk("a")), b"data: { invalid json }\n\n")
    reason = (
        "[1:3] Unexpected character ('i' (code 105)): was expecting double-quote to start field"
        ' name\n at [Source: (String)"{ invalid json }"; line: 1, column: 3]'
    )
    body = {"code": "bad_request", "message": reason, "type": "x_content_parse_exception"}
    assert (await stream(chat)).raw == chat_chunk("a") + error({"error": body})


@both
async def test_a_content_of_null_is_an_error_in_completion_alone(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    choice = {"index": 0, "delta": {"content": None}}
    hand.script = sends(said(chunk("", choices=[choice])))
    reply = await stream(asked, task_type)
    assert reply.raw.startswith(b"event: error" if task_type == "completion" else b"event: message")


async def cut_by_reset(peer: Peer) -> None:
    await settle_peer(peer)
    peer.reset()


async def cut_inside_a_chunk(peer: Peer) -> None:
    await peer.send(b"ff\r\ndata: {")


async def cut_between_chunks(peer: Peer) -> None:
    await peer.chunks(b"data: {")


async def broken_chunk(peer: Peer) -> None:
    await peer.send(b"zz\r\ndata\r\n")


async def settle_peer(peer: Peer) -> None:
    """What was sent has been read: esinfer's side of a reset may drop the rest."""
    for _ in range(10):
        await turn()


CUTS = (cut_by_reset, cut_inside_a_chunk, cut_between_chunks, broken_chunk)


@both
@pytest.mark.parametrize("cut", CUTS)
async def test_a_stream_that_is_cut_is_one_error(
    asked: Client, hand: HandUpstream, task_type: str, cut: Callable[[Peer], Any]
) -> None:
    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(said(chunk("a")))
        await asyncio.wait_for(heard.wait(), PATIENCE)
        await cut(peer)

    hand.script = script
    async with listen(asked, task_type, "Connection: close") as listener:
        before = await listener.until(SAYS[task_type]("a"))
        heard.set()
        rest = await listener.rest()
    assert b"200 OK" in before
    assert rest.count(b"event: error\ndata: {") == 1
    assert rest.endswith(b"}\n\n\r\n0\r\n\r\n")
    assert DONE not in rest


@both
async def test_an_answer_shorter_than_its_length_is_one_error(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", said(chunk("a")))

    hand.script = script
    raised = check_one_error(await stream(asked, task_type), SAYS[task_type]("a"))
    assert raised["type"] == "connection_closed_exception"


@both
async def test_what_follows_the_length_of_an_answer_is_not_read(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    first = said(chunk("a"))

    async def script(peer: Peer) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(first)
        await peer.send(head, first, said(chunk("b")))

    hand.script = script
    assert (await stream(asked, task_type)).raw == SAYS[task_type]("a") + DONE


@both
@pytest.mark.parametrize("endless", [b"data: more", b"a", b"data: more\n", b": more\n"])
async def test_an_event_that_never_ends_is_one_error(
    start: StartServer, hand: HandUpstream, task_type: str, endless: bytes
) -> None:
    client = await start(UNCHECKED, "inference.max_response_size=64kb")
    await create_stream(client, hand.url, task_type)
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.begin()
        await peer.chunks(said(chunk("a")))
        async with asyncio.timeout(PATIENCE):
            while True:
                await peer.chunks(endless * 512)
                sent += len(endless) * 512

    hand.script = script
    raised = check_one_error(await stream(client, task_type), SAYS[task_type]("a"))
    assert "Maximum limit of [65536] bytes reached" in str(raised)
    await hand.idle()
    assert sent < 2**22


@both
async def test_the_size_is_that_of_an_event_not_of_the_stream(
    start: StartServer, hand: HandUpstream, task_type: str
) -> None:
    client = await start(UNCHECKED, "inference.max_response_size=1kb")
    await create_stream(client, hand.url, task_type)
    hand.script = sends(*[said(chunk("a"))] * 50)
    assert (await stream(client, task_type)).raw == SAYS[task_type]("a") * 50 + DONE


# -- slow and leaving clients -----------------------------------------------


class Flood:
    """Sends events without end, and counts their bytes."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, peer: Peer) -> None:
        event = said(chunk("x" * 2**14))
        await peer.begin()
        while True:
            await peer.chunks(event)
            self.sent += len(event)

    async def stalled(self, url: str) -> int:
        """Come back once nothing is taken any more; the bytes until then."""
        async with asyncio.timeout(PATIENCE):
            before = -1
            while self.sent != before or not before:
                before = self.sent
                for _ in range(10):
                    await settle(url)
        return self.sent


@both
async def test_a_client_that_does_not_read_stops_the_upstream(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    hand.script = flood = Flood()
    async with listen(asked, task_type, buffer=2**12) as listener:
        taken = await flood.stalled(asked.url)
        assert taken < 2**24
        async with asyncio.timeout(PATIENCE):
            while flood.sent < taken + 2**20:
                assert await listener.reader.read(2**16)
        await listener.leave()
    await hand.idle()


@both
async def test_a_client_that_leaves_while_it_is_not_reading_ends_the_upstreams_stream(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    hand.script = flood = Flood()
    async with listen(asked, task_type, buffer=2**12) as listener:
        await flood.stalled(asked.url)
        await listener.leave()
    await hand.idle()


@both
async def test_a_client_that_leaves_while_events_flow_ends_the_upstreams_stream(
    asked: Client, hand: HandUpstream, task_type: str
) -> None:
    hand.script = Flood()
    async with listen(asked, task_type) as listener:
        assert await listener.reader.read(2**12)
        await listener.leave()
    await hand.idle()


@both
@pytest.mark.parametrize("leave", ["reset", "close"])
async def test_a_client_that_leaves_a_silent_upstream_ends_its_stream(
    asked: Client, hand: HandUpstream, task_type: str, leave: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(said(chunk("a")))
        await peer.gone()

    hand.script = script
    async with listen(asked, task_type) as listener:
        await listener.until(SAYS[task_type]("a"))
        if leave == "reset":
            await listener.leave()
    await hand.idle()


@both
@pytest.mark.parametrize("begun", [False, True], ids=["no answer", "a head"])
async def test_a_client_that_leaves_before_the_first_event_ends_the_upstreams_stream(
    asked: Client, hand: HandUpstream, task_type: str, begun: bool
) -> None:
    async def script(peer: Peer) -> None:
        if begun:
            await peer.begin()
        await peer.gone()

    hand.script = script
    async with listen(asked, task_type) as listener, asyncio.timeout(PATIENCE):
        while not hand.peers:
            await turn()
        await listener.leave()
    await hand.idle()


@both
@pytest.mark.parametrize("turns", range(6))
async def test_a_client_that_leaves_at_once_leaves_no_stream_behind(
    asked: Client, hand: HandUpstream, task_type: str, turns: int
) -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.gone()

    hand.script = script
    before = asyncio.all_tasks()
    async with listen(asked, task_type) as listener:
        for _ in range(turns):
            await asyncio.sleep(0)
        listener.writer.close()
    await settle(asked.url)
    await hand.idle()
    await only(before)


async def only(tasks: set[asyncio.Task[Any]]) -> None:
    """Come back once there is no task but those."""
    async with asyncio.timeout(PATIENCE):
        while asyncio.all_tasks() - tasks:
            await turn()


async def whole(listener: Listener) -> None:
    assert DONE in await listener.rest()


async def half(listener: Listener) -> None:
    assert await listener.reader.read(1)
    await listener.leave()


async def failing(listener: Listener) -> None:
    assert b"event: error" in await listener.rest()


@both
@pytest.mark.parametrize(
    ("script", "read"),
    [
        (sends(said(chunk("a")), said("[DONE]")), whole),
        (sends(said(chunk("a")), said("{}"), said(chunk("a"))), failing),
        (answers("503 Service Unavailable", b""), failing),
        (Flood(), half),
    ],
    ids=["whole", "failed", "refused", "left"],
)
async def test_streams_leave_nothing_behind(
    asked: Client, hand: HandUpstream, task_type: str, script: Any, read: Any
) -> None:
    hand.script = script
    before = asyncio.all_tasks()
    dropped: list[str] = []
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(finalizer=lambda left: dropped.append(repr(left)))
    for _ in range(5):
        async with listen(asked, task_type, "Connection: close") as listener:
            await read(listener)
    await hand.idle()
    await only(before)
    sys.set_asyncgen_hooks(*hooks)
    assert dropped == [], "generators that nobody has closed"


@asynccontextmanager
async def handled(handler: Callable[[web.Request], Any]) -> AsyncIterator[Client]:
    """A server that does nothing but what ``handler`` does."""
    app = web.Application(middlewares=[elasticsearch])
    made = make_app(load(None, {}, []))
    app[EVENT_FORM] = EventForm()
    app[REGISTRY] = made[REGISTRY]
    app[READINESS] = made[READINESS]
    app.cleanup_ctx.extend(made.cleanup_ctx)
    app.router.add_post("/{path:.*}", handler)
    async with run_app(app) as url, aiohttp.ClientSession() as session:
        yield Client(url, session)


async def test_events_for_a_connection_that_is_being_closed_are_dropped() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        async def batches() -> AsyncIterator[list[bytes]]:
            yield [b"1"]
            assert request.transport is not None
            request.transport.abort()
            yield [b"2"]

        return await send_events(request, batches())

    async with handled(handler) as client, listen(client) as listener:
        assert not (await listener.rest()).endswith(b"0\r\n\r\n")


async def test_a_client_that_left_while_its_request_was_read_gets_no_stream() -> None:
    left = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        await turn()
        try:
            with protocol_of(request).cancel_on_loss():
                await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError("unreachable")

    async with handled(handler) as client, listen(client):
        await asyncio.wait_for(left.wait(), PATIENCE)


async def test_a_defect_of_ours_is_told_in_the_stream_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        async def batches() -> AsyncIterator[list[bytes]]:
            yield [b"1"]
            raise KeyError("a defect")

        return await send_events(request, batches())

    async with handled(handler) as client:
        reply = await stream(client)
    expected = envelope("illegal_state_exception", "esinfer failed; see its log", 500)
    assert reply.raw == message("1") + error(expected)
    (record,) = caplog.records
    assert record.exc_info
    caplog.clear()


@both
async def test_a_server_that_stops_does_not_wait_for_a_stream(
    hand: HandUpstream, task_type: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(said(chunk("a")))
        await peer.gone()

    hand.script = script
    app = make_app(load(None, {}, [*QUICK, UNCHECKED]))
    runner = make_runner(app, shutdown_timeout=0.02, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession() as session:
        client = Client(f"http://127.0.0.1:{runner.addresses[0][1]}", session)
        await create_stream(client, hand.url, task_type)
        async with listen(client, task_type) as listener:
            await listener.until(SAYS[task_type]("a"))
            await asyncio.wait_for(runner.cleanup(), PATIENCE)
            rest = await listener.rest()
    assert rest.strip() == b"", "the stream is cut, so that nobody takes it for whole"
    await hand.idle()


# -- the forms of errors ----------------------------------------------------


async def test_a_task_that_does_not_stream_is_405(client: Client, upstream: Upstream) -> None:
    await create(client, upstream)
    for path in ("/_inference/text_embedding/id/_stream", "/_inference/id/_stream"):
        reply = await client("POST", path, {"input": "a"})
        reason = (
            "Streaming is not allowed for service [hugging_face] and task [text_embedding]."
            " Supported tasks: [completion,chat_completion]"
        )
        assert reply.raw == error(envelope("status_exception", reason, 405))
        assert (reply.status, reply.headers["Content-Type"]) == (405, "text/event-stream")
    assert upstream.requests == []


MISMATCH = "Incompatible task_type, the requested type [{}] does not match the model type [{}]"
PATH = "/_inference/chat_completion"
REFUSED: list[tuple[str, object, int, dict[str, object]]] = [
    (
        f"{PATH}/none",
        CONVERSATION,
        404,
        chat_error(
            "not_found", "Inference endpoint not found [none]", "resource_not_found_exception"
        ),
    ),
    (
        f"{PATH}/id",
        {},
        400,
        chat_error("bad_request", "Required [messages]", "illegal_argument_exception"),
    ),
    (
        f"{PATH}/id",
        {"messages": [], "n": 1},
        400,
        chat_error(
            "bad_request",
            "[1:18] [UnifiedCompletionRequest] unknown field [n]",
            "x_content_parse_exception",
        ),
    ),
    (
        "/_inference/completion/id",
        {"input": "a"},
        400,
        envelope("status_exception", MISMATCH.format("completion", "chat_completion")),
    ),
    (
        "/_inference/id",
        {},
        400,
        chat_error("bad_request", "Required [messages]", "illegal_argument_exception"),
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "expected"), REFUSED)
async def test_what_is_refused_before_anything_is_sent_has_the_form_of_its_task(
    chat: Client, hand: HandUpstream, path: str, body: object, status: int, expected: object
) -> None:
    streamed = await chat("POST", f"{path}/_stream", body)
    assert (streamed.status, streamed.raw) == (status, error(expected))
    assert streamed.headers["Content-Type"] == "text/event-stream"
    plain = await chat("POST", path, body)
    assert (plain.status, plain.json) == (status, expected)
    assert plain.headers["Content-Type"] == "application/json"
    assert hand.peers == []


async def test_a_chat_of_an_endpoint_of_another_task_is_refused_in_chats_form(
    completion: Client, hand: HandUpstream
) -> None:
    reply = await completion("POST", f"{PATH}/id/_stream", CONVERSATION)
    reason = MISMATCH.format("chat_completion", "completion")
    assert reply.raw == error(chat_error("bad_request", reason, "status_exception"))


@pytest.mark.parametrize("body", [b"{", b'{"messages":[', b"nothing", b"\xff"])
async def test_malformed_json_is_refused_in_chats_form(
    chat: Client, hand: HandUpstream, body: bytes
) -> None:
    reply = await chat("POST", f"{PATH}/id/_stream", body)
    document = orjson.loads(reply.raw.removeprefix(b"event: error\ndata: "))
    assert reply.status == 400
    assert document["error"].keys() == {"code", "message", "type"}
    assert document["error"]["code"] == "bad_request"
    assert hand.peers == []


# -- the twin ---------------------------------------------------------------


async def ask_twin(client: Client, url: str) -> list[bytes]:
    """Endpoints of every streaming task, and what they stream."""
    answered = []
    tool = {"type": "function", "function": {"name": "distance", "parameters": {}}}
    chats: list[tuple[str, object]] = [
        ("completion", {"input": "How far?"}),
        ("chat_completion", CONVERSATION),
        ("chat_completion", CONVERSATION | {"tools": [tool], "tool_choice": "required"}),
        ("chat_completion", CONVERSATION | {"max_completion_tokens": 2}),
        ("chat_completion", CONVERSATION | {"top_p": 2.0}),
    ]
    settings = {"url": url, "api_key": "secret"}
    for number, (task_type, body) in enumerate(chats):
        path = f"/_inference/{task_type}/id{number}"
        put = {"service": "hugging_face", "service_settings": settings}
        assert (await client("PUT", path, put)).status == 200
        answered.append((await client("POST", f"{path}/_stream", body)).raw)
    return answered


async def test_mock_streams_every_task_that_streams(mock: Client) -> None:
    said_, chatted, called, cut, refused = await ask_twin(mock, "http://h.example")
    texts = [
        orjson.loads(line.removeprefix(b"data: "))["completion"][0]["delta"]
        for line in said_.split(b"\n")
        if line.startswith(b"data: {")
    ]
    assert "".join(texts) == 'esinfer twin: you said "How far?" (1 message)'
    assert len(texts) > 3
    assert said_.endswith(DONE)
    assert b'"usage":{"completion_tokens":' in chatted
    assert b'"object":"chat.completion.chunk"' in chatted
    assert b'"tool_calls":[{"index":0,"id":"0","function":{"arguments":"{","name":"distance"}' in (
        called
    )
    assert b'"finish_reason":"length"' in cut
    assert refused.startswith(b'event: error\ndata: {"error":{"code":"422","message":"Received an')
    assert DONE not in refused


async def test_serve_before_the_twin_streams_what_mock_streams(
    client: Client, mock: Client
) -> None:
    async with run_app(make_twin(load(None, {}, [])), ours=False) as twin:
        served = await ask_twin(client, f"{twin}/v1/chat/completions")
    assert served == await ask_twin(mock, "http://h.example")
