"""Servers that record at once, and what is told when a recording cannot be read or written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from esinfer.config import Config
from esinfer.errors import IllegalState
from esinfer.mock_sections import ReplayConfig
from esinfer.parts import make_upstreams, recording, replaying
from esinfer.replay import answers
from esinfer.replay.problems import RecordingError
from esinfer.replay.recorder import RecordingTransport, RecordMode
from esinfer.replay.recording import Recording
from esinfer.tasks import TaskType
from esinfer.twin.transport import TwinTransport
from esinfer.upstream import UpstreamRequest, UpstreamResponse, UpstreamStream
from tests.conftest import Answer, Upstream, create, envelope
from tests.replay.conftest import Kit

PATH = "/_inference/text_embedding/text_embedding"


async def test_two_servers_record_into_one_file(kit: Kit) -> None:
    servers = [await kit.record("new"), await kit.record("new")]
    for server in servers:
        await kit.create(server, "text_embedding")
    async with asyncio.TaskGroup() as group:
        for number in range(40):
            body = {"input": [f"text {number}", "shared"]}
            group.create_task(servers[number % 2]("POST", PATH, body))

    mock = await kit.replay()

    await kit.create(mock, "text_embedding")
    texts = [f"text {number}" for number in range(40)]
    for half in (texts[:20], texts[20:]):
        assert (await mock("POST", PATH, {"input": ["shared", *half]})).status == 200


async def test_what_cannot_be_written_fails_the_request_and_says_why(
    kit: Kit, upstream: Upstream
) -> None:
    client = await kit.record("new", "inference.skip_validate_and_start=true")
    await create(client, upstream)
    upstream.answers(Answer.json([[0.5]]))
    kit.file.write_text("{")

    reply = await client("POST", "/_inference/text_embedding/id", {"input": "a"})

    reason = (
        f"The exchange cannot be recorded: {kit.file}, line 1: not valid JSON:"
        " unexpected end of data"
    )
    assert (reply.status, reply.json) == (500, envelope("status_exception", reason, 500))
    assert len(upstream.requests) == 1
    assert kit.file.read_text() == "{"


@pytest.mark.parametrize("mode", ["once", "new", "none"])
async def test_a_recording_that_is_broken_stops_the_start(kit: Kit, mode: str) -> None:
    kit.directory.mkdir()
    kit.file.write_text("{}")
    with pytest.raises(RecordingError, match="not a recording"):
        await kit.record(mode)
    with pytest.raises(RecordingError, match="not a recording"):
        await kit.replay()


async def test_there_must_be_a_directory_to_replay_from(kit: Kit) -> None:
    with pytest.raises(RecordingError) as caught:
        await kit.replay()
    assert str(caught.value) == f"{kit.directory} is not a directory of recordings"


def embedding(text: str) -> UpstreamRequest:
    return UpstreamRequest(
        url="https://h",
        headers={},
        body=f'{{"inputs":["{text}"]}}'.encode(),
        task_type=TaskType.TEXT_EMBEDDING,
        inference_id="id",
    )


async def test_each_name_has_a_file_and_a_place_in_it_of_its_own(tmp_path: Path) -> None:
    config = Config(replay=ReplayConfig(record=str(tmp_path), play=str(tmp_path)))
    twin = TwinTransport(make_upstreams(config))
    for name in ("one", "two"):
        await recording(config, twin, name).send(embedding(name))
    assert [Recording(tmp_path, name).exists for name in ("one", "two", "default")] == [
        True,
        True,
        False,
    ]
    one = replaying(config, twin, "one")
    assert (await one.send(embedding("one"))).body == (await twin.send(embedding("one"))).body
    with pytest.raises(Exception, match="No answer is recorded in"):
        await one.send(embedding("two"))


async def test_without_a_directory_nothing_stands_between() -> None:
    twin = TwinTransport(make_upstreams(Config()))
    assert recording(Config(), twin) is twin
    assert replaying(Config(), twin) is twin


class Slow:
    """A transport whose stream begins and does not go on."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def send(self, _request: UpstreamRequest) -> UpstreamResponse:
        self.began.set()
        await asyncio.Event().wait()
        raise AssertionError

    @asynccontextmanager
    async def stream(self, _request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        yield UpstreamStream(status=200, chunks=self.chunks())

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        self.began.set()
        await asyncio.Event().wait()


async def test_a_stream_whose_reader_is_cancelled_is_kept_as_left(tmp_path: Path) -> None:
    kept, slow = Recording(tmp_path), Slow()
    transport = RecordingTransport(slow, kept, RecordMode.NEW)

    async def read() -> None:
        async with transport.stream(embedding("a")) as stream:
            async for _ in stream.chunks:
                pass

    reading = asyncio.create_task(read())
    await slow.began.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    (runs,) = kept.load().values()
    left = answers.Answer(status=200, chunks=(b"data: 1\n\n",), streamed=True, left=True)
    assert runs.at(0) == left


async def test_an_answer_that_nobody_waited_for_is_not_recorded(tmp_path: Path) -> None:
    kept, slow = Recording(tmp_path), Slow()
    transport = RecordingTransport(slow, kept, RecordMode.NEW)
    sending = asyncio.create_task(transport.send(embedding("a")))
    await slow.began.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert kept.load() == {}


class Defective(Slow):
    """A transport that fails as none does."""

    async def send(self, _request: UpstreamRequest) -> UpstreamResponse:
        raise IllegalState(reason="a defect")

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise IllegalState(reason="a defect")


async def test_what_is_no_failure_of_a_transport_is_not_recorded_as_one(tmp_path: Path) -> None:
    kept = Recording(tmp_path)
    transport = RecordingTransport(Defective(), kept, RecordMode.NEW)
    with pytest.raises(IllegalState):
        await transport.send(embedding("a"))
    assert kept.load() == {}
    async with transport.stream(embedding("a")) as stream:
        assert await anext(stream.chunks) == b"data: 1\n\n"
        with pytest.raises(IllegalState):
            await anext(stream.chunks)
    (runs,) = kept.load().values()
    assert answers.to_wire(runs.at(0)) == {"status": 200, "events": ["data: 1\n\n"], "left": True}


async def test_a_body_that_is_no_json_is_asked_for_as_it_is(tmp_path: Path) -> None:
    config = Config(replay=ReplayConfig(record=str(tmp_path), play=str(tmp_path)))
    twin = TwinTransport(make_upstreams(config))
    request = UpstreamRequest(
        url="https://h",
        headers={"Content-Type": "application/json"},
        body=b"\xffno json",
        task_type=TaskType.TEXT_EMBEDDING,
        inference_id="id",
    )
    recorded = await recording(config, twin).send(request)
    assert await replaying(config, twin).send(request) == recorded
    assert recorded.status == 400
    async with replaying(config, twin).stream(request) as stream:
        assert [chunk async for chunk in stream.chunks] == [recorded.body]
