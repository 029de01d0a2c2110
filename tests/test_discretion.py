"""The key that an upstream quotes back is in no answer and in no line of the log."""

from __future__ import annotations

import pytest

from tests.conftest import Answer, StartServer, Upstream, create, envelope

KEY = "hf_sEcReT0123456789"


@pytest.mark.parametrize(
    ("task_type", "path", "body"),
    [
        ("text_embedding", "/_inference/text_embedding/id", {"input": "a"}),
        ("completion", "/_inference/completion/id", {"input": "a"}),
        (
            "chat_completion",
            "/_inference/chat_completion/id/_stream",
            {"messages": [{"role": "user", "content": "a"}]},
        ),
    ],
)
@pytest.mark.parametrize("said", [{"error": f"no {KEY}"}, {"error": {"message": f"no {KEY}"}}])
async def test_a_key_that_the_upstream_quotes_is_masked(
    start: StartServer,
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    task_type: str,
    path: str,
    body: object,
    said: object,
) -> None:
    client = await start("logging.level=debug")
    caplog.set_level("DEBUG")
    await create(client, upstream, task_type=task_type, api_key=KEY)
    upstream.answers(Answer.json(said, 401))

    reply = await client("POST", f"{path}?error_trace=true", body)

    assert reply.status == 401
    assert KEY not in reply.text
    assert KEY not in caplog.text


async def test_a_key_quoted_in_a_result_is_masked(start: StartServer, upstream: Upstream) -> None:
    client = await start()
    await create(client, upstream, task_type="completion", api_key=KEY)
    upstream.answers(Answer.json({"choices": [{"message": {"content": f"It is {KEY}."}}]}))

    reply = await client("POST", "/_inference/completion/id", {"input": "Which key is it?"})

    assert reply.json == {"completion": [{"result": "It is ***."}]}


async def test_a_key_quoted_within_a_stream_is_masked(
    start: StartServer, upstream: Upstream
) -> None:
    client = await start()
    await create(client, upstream, task_type="chat_completion", api_key=KEY)
    upstream.answers(Answer(body=f'data: {{"error":{{"message":"no {KEY}"}}}}\n\n'.encode()))

    reply = await client(
        "POST",
        "/_inference/chat_completion/id/_stream",
        {"messages": [{"role": "user", "content": "a"}]},
    )

    assert KEY not in reply.text
    assert "Error message: [no ***]" in reply.text


async def test_a_refused_key_is_masked_in_the_answer_to_a_create(
    start: StartServer, upstream: Upstream
) -> None:
    client = await start()
    upstream.answers(Answer.json({"error": f"{KEY} is no key"}, 401))

    reply = await client(
        "PUT",
        "/_inference/text_embedding/id",
        {"service": "hugging_face", "service_settings": {"url": upstream.url, "api_key": KEY}},
    )

    inner = {
        "type": "status_exception",
        "reason": "Received an authentication error status code for request from inference"
        " entity id [id] status [401]. Error message: [*** is no key]",
    }
    assert reply.json == envelope(
        "status_exception",
        "Could not complete inference endpoint creation as validation call to service"
        " threw an exception.",
        caused_by=inner,
        root=inner,
    )


async def test_a_connection_that_fails_is_told_in_the_log_without_the_key(
    start: StartServer, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    client = await start()
    await create(client, upstream, api_key=KEY)
    upstream.answers(Answer(body=b""))

    await client("POST", "/_inference/text_embedding/id", {"input": "a"})

    assert "inference [id] failed: EmptyResponse" in caplog.text
    assert KEY not in caplog.text
