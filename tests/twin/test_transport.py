"""The twin in process: by the task type, whatever the url."""

import asyncio

import orjson
import pytest

from esinfer.tasks import TaskType
from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin
from esinfer.twin.transport import TwinTransport
from esinfer.twin.upstreams import single
from esinfer.upstream import UpstreamRequest

JSON = {"Content-Type": "application/json"}
TWIN = Twin(now=lambda: 0.0)
INPUTS = {"inputs": ["a fox"]}
CHAT = {"messages": [{"role": "user", "content": "a fox"}]}
STREAM = {**CHAT, "stream": True}


def request(task_type: TaskType, body: object, **headers: str) -> UpstreamRequest:
    return UpstreamRequest(
        url="https://nowhere.invalid/any/path",
        headers={**JSON, **headers},
        body=orjson.dumps(body),
        task_type=task_type,
        inference_id="id",
    )


@pytest.mark.parametrize(
    ("task_type", "body", "kind"),
    [
        (TaskType.TEXT_EMBEDDING, INPUTS, Kind.EMBED),
        (TaskType.SPARSE_EMBEDDING, INPUTS, Kind.ELSER),
        (TaskType.RERANK, {"query": "fox", "texts": ["a fox"]}, Kind.RERANK),
        (TaskType.COMPLETION, CHAT, Kind.CHAT),
        (TaskType.CHAT_COMPLETION, CHAT, Kind.CHAT),
    ],
)
async def test_the_task_type_decides_the_form(
    task_type: TaskType, body: object, kind: Kind
) -> None:
    expected = TWIN.run(kind, JSON, orjson.dumps(body))
    transport = TwinTransport(single(TWIN))
    response = await transport.send(request(task_type, body))
    assert (response.status, response.body) == (200, expected.body)
    async with transport.stream(request(task_type, body)) as stream:
        assert stream.status == 200
        assert [chunk async for chunk in stream.chunks] == [expected.body]


@pytest.mark.parametrize("task_type", [TaskType.COMPLETION, TaskType.CHAT_COMPLETION])
async def test_a_stream_comes_event_by_event(task_type: TaskType) -> None:
    expected = list(TWIN.run(Kind.CHAT, JSON, orjson.dumps(STREAM)).chunks)
    transport = TwinTransport(single(TWIN))
    async with transport.stream(request(task_type, STREAM)) as stream:
        assert stream.status == 200
        assert [chunk async for chunk in stream.chunks] == expected
    assert (await transport.send(request(task_type, STREAM))).body == b"".join(expected)


async def test_an_error_is_one_chunk_or_none() -> None:
    transport = TwinTransport(single(Twin(api_key="key")))
    async with transport.stream(request(TaskType.CHAT_COMPLETION, STREAM)) as stream:
        assert (stream.status, [chunk async for chunk in stream.chunks]) == (401, [])
    asked = request(TaskType.CHAT_COMPLETION, {}, Authorization="Bearer key")
    async with transport.stream(asked) as stream:
        assert (stream.status, [chunk async for chunk in stream.chunks]) == (
            422,
            [
                b"Failed to deserialize the JSON body into the target type: "
                b"missing field `messages` at line 1 column 2"
            ],
        )


async def test_a_stream_may_be_left_early() -> None:
    transport = TwinTransport(single(TWIN))
    async with transport.stream(request(TaskType.CHAT_COMPLETION, STREAM)) as stream:
        first = await anext(stream.chunks)
    assert b'"content":"esinfer"' in first
    with pytest.raises(StopAsyncIteration):
        await anext(stream.chunks)


async def test_others_have_their_turn_between_two_events() -> None:
    long = request(TaskType.COMPLETION, STREAM)
    async with TwinTransport(single(TWIN)).stream(long) as stream:
        await anext(stream.chunks)
        other = asyncio.create_task(asyncio.sleep(0))
        await anext(stream.chunks)
        await anext(stream.chunks)
        assert other.done()


async def test_a_large_body_is_answered() -> None:
    body = {"inputs": ["word " * 1_000] * 32}
    response = await TwinTransport(single(TWIN)).send(request(TaskType.TEXT_EMBEDDING, body))
    assert response.status == 200
    assert len(orjson.loads(response.body)) == 32
