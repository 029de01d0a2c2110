"""When the upstream is called and what is kept of it: once, new, all, none; and in mock."""

from __future__ import annotations

import pytest

from tests.conftest import Answer, Client, Upstream, create, envelope
from tests.replay.conftest import Kit

PATH = "/_inference/text_embedding/id"


@pytest.fixture
def loose(kit: Kit, upstream: Upstream) -> Kit:
    """The kit before a scripted upstream."""
    kit.url = upstream.url
    return kit


def vectors(*vectors: list[float]) -> Answer:
    return Answer.json(list(vectors))


async def recording(kit: Kit, upstream: Upstream, mode: str) -> Client:
    """A serve with the endpoint ``id``, which is created without a call."""
    client = await kit.record(mode, "inference.skip_validate_and_start=true")
    await create(client, upstream)
    return client


async def replaying(kit: Kit, upstream: Upstream, *overrides: str) -> Client:
    client = await kit.replay("inference.skip_validate_and_start=true", *overrides)
    await create(client, upstream)
    return client


async def embed(client: Client, *texts: str) -> object:
    reply = await client("POST", PATH, {"input": list(texts)})
    if reply.status != 200:
        return reply.status
    return [item["embedding"] for item in reply.json["text_embedding"]]


async def test_once_records_where_there_is_no_file(loose: Kit, upstream: Upstream) -> None:
    client = await recording(loose, upstream, "once")
    upstream.answers(vectors([0.5]), vectors([0.25]))
    assert [await embed(client, "a"), await embed(client, "b")] == [[[0.5]], [[0.25]]]
    assert len(loose.entries()) == 2


async def test_once_replays_alone_where_there_is_a_file(loose: Kit, upstream: Upstream) -> None:
    upstream.answers(vectors([0.5]))
    first = await recording(loose, upstream, "once")
    upstream.answers(vectors([0.5]))
    await embed(first, "a")

    client = await recording(loose, upstream, "once")

    assert [await embed(client, "a"), await embed(client, "b")] == [[[0.5]], 501]
    assert upstream.requests == []


async def test_new_calls_for_what_is_not_there_only(loose: Kit, upstream: Upstream) -> None:
    first = await recording(loose, upstream, "new")
    upstream.answers(vectors([0.5]))
    await embed(first, "a")

    client = await recording(loose, upstream, "new")
    upstream.answers(vectors([0.125]))
    assert [await embed(client, "a"), await embed(client, "b")] == [[[0.5]], [[0.125]]]

    assert [body["inputs"] for body in upstream.bodies] == [["b"]]
    assert [request for request, _ in loose.answers("text_embedding")] == [
        {"inputs": "a"},
        {"inputs": "b"},
    ]


async def test_new_keeps_what_a_batch_shares_with_an_older_one(
    loose: Kit, upstream: Upstream
) -> None:
    first = await recording(loose, upstream, "new")
    upstream.answers(vectors([0.5]))
    await embed(first, "a")
    client = await recording(loose, upstream, "new")
    upstream.answers(vectors([0.125], [0.25]), Answer(status=400))

    assert await embed(client, "b", "a", "c") == [[0.125], [0.5], [0.25]]
    assert await embed(client, "a", "d") == 400

    assert [body["inputs"] for body in upstream.bodies] == [["b", "c"], ["d"]]
    mock = await replaying(loose, upstream)
    assert await embed(mock, "c", "a", "b") == [[0.25], [0.5], [0.125]]
    assert await embed(mock, "a", "d") == 400


async def test_new_asks_for_the_whole_batch_where_its_rest_gets_an_odd_answer(
    loose: Kit, upstream: Upstream
) -> None:
    first = await recording(loose, upstream, "new")
    upstream.answers(vectors([0.5]))
    await embed(first, "a")
    client = await recording(loose, upstream, "new")
    upstream.answers(vectors([0.75], [0.75]), vectors([0.25], [0.125]))

    assert await embed(client, "a", "b") == [[0.25], [0.125]]

    assert [body["inputs"] for body in upstream.bodies] == [["b"], ["a", "b"]]
    mock = await replaying(loose, upstream)
    assert await embed(mock, "a", "b") == [[0.25], [0.125]]
    assert await embed(mock, "a") == [[0.5]]


async def test_all_asks_again_and_replaces(loose: Kit, upstream: Upstream) -> None:
    first = await recording(loose, upstream, "all")
    upstream.answers(Answer(status=503), vectors([0.5]), vectors([0.25]))
    await embed(first, "a")
    await embed(first, "b")

    client = await recording(loose, upstream, "all")
    upstream.answers(vectors([0.75]))
    assert await embed(client, "a") == [[0.75]]

    upstream.answers()
    mock = await replaying(loose, upstream)
    assert [await embed(mock, "a"), await embed(mock, "b")] == [[[0.75]], [[0.25]]]
    assert [request for request, _ in loose.answers("text_embedding")] == [
        {"inputs": "a"},
        {"inputs": "b"},
    ]


async def test_none_never_calls(loose: Kit, upstream: Upstream) -> None:
    client = await recording(loose, upstream, "none")
    assert await embed(client, "a") == 501
    assert upstream.requests == []
    assert not loose.directory.exists()


async def test_a_miss_of_a_stream_is_the_same_error_in_serve(
    loose: Kit, upstream: Upstream
) -> None:
    client = await loose.record("none", "inference.skip_validate_and_start=true")
    await create(client, upstream, task_type="completion")
    reply = await client("POST", "/_inference/completion/id/_stream", {"input": "a"})
    assert reply.status == 501
    assert "No answer is recorded in [" in reply.text
    assert "; it is not asked for in the record mode [none]" in reply.text


async def test_the_answers_to_one_request_come_in_their_order_and_the_last_repeats(
    loose: Kit, upstream: Upstream
) -> None:
    client = await recording(loose, upstream, "new")
    said = [[0.5], [0.5], [0.25], [0.5], [0.125]]
    upstream.answers(*map(vectors, said))
    assert [await embed(client, "a") for _ in said] == [[vector] for vector in said]

    mock = await replaying(loose, upstream)

    assert [await embed(mock, "a") for _ in range(7)] == [[v] for v in [*said, [0.125], [0.125]]]


async def test_every_attempt_is_recorded_and_replayed(loose: Kit, upstream: Upstream) -> None:
    client = await recording(loose, upstream, "new")
    upstream.answers(
        Answer.json({"error": "busy"}, 503),
        vectors([0.5], [0.25]),
        Answer.json({"error": "no"}, 400),
    )
    assert await embed(client, "a", "b") == [[0.5], [0.25]]
    assert await embed(client, "a", "b") == 400
    assert len(upstream.requests) == 3

    (whole,) = [found for request, found in loose.answers("text_embedding") if len(found) > 1]
    assert whole == [
        {"status": 503, "text": '{"error": "busy"}'},
        {"by_text": True},
        {"status": 400, "text": '{"error": "no"}'},
    ]
    mock = await replaying(loose, upstream)
    assert [await embed(mock, "a", "b") for _ in range(3)] == [[[0.5], [0.25]], 400, 400]
    assert await embed(mock, "b", "a") == [[0.25], [0.5]]


@pytest.mark.parametrize(
    "answer",
    [
        Answer.json({"error": "Bräunlich", "error_type": "Validation"}, 422),
        Answer(status=500, body=b"<html>\xff\x00</html>"),
        Answer(status=404),
        Answer(status=302, headers={"Location": "https://elsewhere.example"}),
        Answer(body=b""),
        Answer(body=b"[[0.1, 0.2"),
        Answer(body=b'{"embeddings": [[1.0]], "embeddings": [[2.0]]}'),
        Answer(body=b"[[0.5]] trailing"),
        Answer(body=b"[[NaN]]"),
        Answer(body=b"[[true]]"),
        Answer(body=b"[[0.5], [0.25], [0.125]]"),
        Answer(body=b"[[1e40]]"),
        Answer(body=b"[[1, -0, -0.0, 0.10000000149011612, 0.1]]"),
        Answer(body=b'{"embeddings": [[0.1, 2]], "model": "m"}'),
        Answer(body=b"[[[0.5]]]"),
        Answer(body=b"[]"),
        Answer(status=201, body=b"[[0.5]]"),
    ],
)
async def test_an_odd_answer_is_replayed_as_it_was(
    loose: Kit, upstream: Upstream, answer: Answer
) -> None:
    client = await recording(loose, upstream, "new")
    upstream.answers(answer)
    recorded = await client("POST", PATH, {"input": "a"})
    upstream.answers()
    mock = await replaying(loose, upstream)

    replayed = await mock("POST", PATH, {"input": "a"})

    assert (replayed.status, replayed.raw) == (recorded.status, recorded.raw)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("task", "request_body", "answer"),
    [
        ("sparse_embedding", {"input": "a"}, b'[{"\\"": 0.5, "a": 0.1}]'),
        ("sparse_embedding", {"input": "a"}, b'[{"a": 0.5, "a": 0.1}]'),
        ("sparse_embedding", {"input": "a"}, b'[[{"index": 1, "value": 0.5}]]'),
        (
            "rerank",
            {"query": "q", "input": ["a", "b"]},
            b'[{"index":0,"score":0.1},{"index":1,"score":0.9}]',
        ),
        ("rerank", {"query": "q", "input": ["a", "b"]}, b'[{"index":1,"score":0.9}]'),
        ("rerank", {"query": "q", "input": ["a"]}, b'[{"index":0,"score":0.9,"text":"other"}]'),
        ("rerank", {"query": "q", "input": ["a"]}, b'[{"index":0,"score":"0.9"}]'),
        ("rerank", {"query": "q", "input": ["a"]}, b'{"error": "x"}'),
        (
            "rerank",
            {"query": "q", "input": ["a", "b"]},
            b'[{"index":1,"score":0.5},{"index":0,"score":0.5}]',
        ),
        ("completion", {"input": "a"}, b'{"choices": [{"message": {"content": "x"}}]}'),
        ("completion", {"input": "a"}, b'"\xff"'),
    ],
)
async def test_an_odd_answer_of_another_task_is_replayed_as_it_was(
    loose: Kit, upstream: Upstream, task: str, request_body: object, answer: bytes
) -> None:
    setting = "inference.skip_validate_and_start=true"
    client = await loose.record("new", setting)
    await create(client, upstream, task_type=task)
    upstream.answers(Answer(body=answer))
    recorded = await client("POST", f"/_inference/{task}/id", request_body)
    mock = await loose.replay(setting)
    await create(mock, upstream, task_type=task)

    replayed = await mock("POST", f"/_inference/{task}/id", request_body)

    assert (replayed.status, replayed.raw) == (recorded.status, recorded.raw)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/x", "Connection refused"),
        ("relative", "Http client failed to send request"),
    ],
)
async def test_an_upstream_that_is_not_there_is_not_there_when_replayed(
    loose: Kit, upstream: Upstream, url: str, reason: str
) -> None:
    setting = "inference.skip_validate_and_start=true"
    client = await loose.record("new", setting)
    await create(client, upstream, url=url)
    recorded = await client("POST", PATH, {"input": "a"})
    mock = await loose.replay(setting)
    await create(mock, upstream, url=url)

    replayed = await mock("POST", PATH, {"input": "a"})

    assert (replayed.status, replayed.raw) == (recorded.status, recorded.raw)
    assert reason in recorded.text


async def test_mock_may_leave_to_the_twin_what_was_not_recorded(
    loose: Kit, upstream: Upstream
) -> None:
    client = await recording(loose, upstream, "new")
    upstream.answers(vectors([0.5]))
    await embed(client, "a")
    mock = await replaying(loose, upstream, "replay.on_miss=twin", "twin.dimensions=8")

    assert await embed(mock, "a") == [[0.5]]
    others = await embed(mock, "b", "c")
    assert isinstance(others, list)
    assert [len(vector) for vector in others] == [8, 8]
    assert await embed(mock, "c", "a", "b") == [others[1], [0.5], others[0]]
    completion = "/_inference/completion/completion/_stream"
    await loose.create(mock, "completion")
    assert (await mock("POST", completion, {"input": "a"})).status == 200


async def test_a_mock_that_replays_keeps_to_itself(loose: Kit, upstream: Upstream) -> None:
    loose.directory.mkdir()
    mock = await replaying(loose, upstream)
    reply = await mock("POST", PATH, {"input": "lazy dogs"})
    assert (reply.status, reply.json) == (
        501,
        envelope(
            "status_exception",
            f"No answer is recorded in [{loose.file}] for the request from inference entity id"
            ' [id]: nothing is recorded there; asked for was [task_type] "text_embedding",'
            f' [url] "{upstream.url}", [inputs] "lazy dogs"',
            501,
        ),
    )
    assert upstream.requests == []
    assert list(loose.directory.iterdir()) == []
