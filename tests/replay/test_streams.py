"""Streams: as the upstream sent them, event by event, broken and left ones too."""

from __future__ import annotations

import pytest

from tests.conftest import Answer, Client, Reply, Upstream, create
from tests.replay.conftest import Kit, fault

CHAT = {"messages": [{"role": "user", "content": "Grüße"}]}
SETTING = "inference.skip_validate_and_start=true"


async def chat(client: Client, text: str = "Grüße") -> Reply:
    body = {"messages": [{"role": "user", "content": text}]}
    return await client("POST", "/_inference/chat_completion/chat_completion/_stream", body)


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "stream_error", "after": 2},
        {"kind": "cut_stream", "after": 2},
        {"kind": "missing_done"},
        {"kind": "after_done"},
        {"kind": "comments"},
        {"kind": "crlf"},
        {"kind": "split", "size": 7},
        {"kind": "backend"},
        {"kind": "rate_limited"},
        {"kind": "malformed"},
        {"kind": "empty"},
        {"kind": "close", "at": "before_headers"},
        {"kind": "close", "at": "mid_body"},
        {"kind": "reset", "at": "before_headers"},
    ],
    ids=lambda kind: "-".join(map(str, kind.values())),
)
async def test_a_stream_that_fails_is_replayed_as_it_failed(
    kit: Kit, twin: Client, kind: dict[str, object]
) -> None:
    server = await kit.record("new", SETTING)
    await kit.create(server, "chat_completion")
    await fault(twin, kind)
    recorded = await chat(server)
    mock = await kit.replay(SETTING)
    await kit.create(mock, "chat_completion")

    replayed = await chat(mock)

    assert (replayed.status, replayed.text) == (recorded.status, recorded.text)


async def test_the_attempts_before_a_stream_are_recorded_too(kit: Kit, twin: Client) -> None:
    server = await kit.record("new", SETTING)
    await kit.create(server, "chat_completion")
    await fault(twin, {"kind": "loading", "times": 1})
    recorded = await chat(server)

    ((_, answers),) = kit.answers("chat_completion")
    assert [answer["status"] for answer in answers] == [503, 200]
    mock = await kit.replay(SETTING)
    await kit.create(mock, "chat_completion")
    assert (await chat(mock)).raw == recorded.raw


async def test_serve_replays_a_stream_that_it_recorded_before(kit: Kit, twin: Client) -> None:
    first = await kit.record("once")
    await kit.create(first, "chat_completion")
    recorded = await chat(first)
    server = await kit.record("once")
    await kit.create(server, "chat_completion")
    await fault(twin, {"kind": "backend"})
    replayed = await chat(server)
    assert (replayed.status, replayed.raw) == (200, recorded.raw)


async def test_events_stand_one_by_one_as_they_came(kit: Kit, upstream: Upstream) -> None:
    events = ['data: {"a":1}\r\n\r\n', ": a comment\n\n", "event: x\ndata: y\r\r", "data: [DONE]\n"]
    client = await kit.record("new", SETTING)
    await create(client, upstream, "chat_completion", "chat_completion")
    upstream.answers(Answer(body="".join(events).encode()))
    await chat(client)
    ((request, answers),) = kit.answers("chat_completion")
    assert answers == [{"status": 200, "events": events}]
    assert request["messages"] == CHAT["messages"]


async def test_bytes_that_are_no_text_are_kept(kit: Kit, upstream: Upstream) -> None:
    client = await kit.record("new", SETTING)
    await create(client, upstream, "chat_completion", "chat_completion")
    upstream.answers(Answer(body=b"data: \xff\n\ndata: [DONE]\n\n"))
    recorded = await chat(client)
    ((_, answers),) = kit.answers("chat_completion")
    assert answers[0]["events"] == [{"base64": "ZGF0YTog/woK"}, "data: [DONE]\n\n"]
    mock = await kit.replay(SETTING)
    await create(mock, upstream, "chat_completion", "chat_completion")
    assert (await chat(mock)).raw == recorded.raw


async def test_a_stream_that_was_left_says_so_to_whoever_reads_on(kit: Kit) -> None:
    """The validation call looks no further than that a stream begins."""
    await kit.create(await kit.record(), "chat_completion")
    (entry,) = kit.entries()
    assert entry["answers"][0]["left"] is True
    mock = await kit.replay()
    assert (await kit.create(mock, "chat_completion")).status == 200

    reply = await chat(mock, "how big")

    assert "The recorded stream ends here: it was left before its end" in reply.text
    assert "[DONE]" not in reply.text
