"""No key is in any file, whoever quotes it and however it is spelled."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from esinfer.replay.masking import Mask
from esinfer.tasks import TaskType
from esinfer.upstream import UpstreamRequest
from tests.conftest import Answer, Upstream, create
from tests.replay.conftest import KEY, Kit

SETTING = "inference.skip_validate_and_start=true"
USER, PASSWORD, TOKEN = "some-user-name", "some-pass-word", "some%2Fto-ken+value"
OTHER = "hf_AbCdEfGhIjKlMnOpQrSt"
SECRETS = [
    KEY,
    json.dumps(KEY)[1:-1].replace("/", "\\/"),
    quote(KEY, safe=""),
    USER,
    PASSWORD,
    TOKEN,
    "some/to-ken+value",
    OTHER,
]

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("text_embedding", "", {"input": [f"my key is {KEY}", f"and {OTHER}"]}),
    ("rerank", "", {"query": KEY, "input": [f"a {KEY}", "b"]}),
    ("completion", "", {"input": f"say {KEY}"}),
    ("completion", "/_stream", {"input": f"say {KEY}"}),
    ("chat_completion", "/_stream", {"messages": [{"role": "user", "content": KEY}]}),
]


@pytest.mark.parametrize(("task", "suffix", "body"), REQUESTS)
@pytest.mark.parametrize("status", [200, 401, 503])
async def test_no_file_holds_a_secret(
    kit: Kit, upstream: Upstream, task: str, suffix: str, body: object, status: int
) -> None:
    url = upstream.url.replace("//", f"//{USER}:{PASSWORD}@") + f"?token={TOKEN}&q=1#{TOKEN}"
    client = await kit.record("new", SETTING)
    await create(client, upstream, task_type=task, url=url, api_key=KEY)
    quoted = f'data: {{"error": "no {" or ".join(SECRETS)}"}}\n\n'.encode()
    for answer in (quoted, quoted + b"\xff"):
        upstream.answers(Answer(status=status, body=answer))
        await client("POST", f"/_inference/{task}/id{suffix}", body)
        assert KEY.encode() in upstream.requests[0]["body"]  # the upstream was sent what was said

    text = kit.file.read_text()

    assert [secret for secret in SECRETS if secret in text] == []
    assert f'"url": "{upstream.url}?token=***&q=1"' in text
    mock = await kit.replay(SETTING)
    await create(mock, upstream, task_type=task, url=url, api_key=KEY)
    assert (await mock("POST", f"/_inference/{task}/id{suffix}", body)).status != 501


async def test_the_url_of_a_failed_call_is_not_quoted(kit: Kit, upstream: Upstream) -> None:
    client = await kit.record("new", SETTING)
    url = f"http://u:p4ss@no-such-host.invalid/?api_key={TOKEN}"
    await create(client, upstream, url=url, api_key=KEY)
    recorded = await client("POST", "/_inference/text_embedding/id", {"input": "a"})
    assert TOKEN not in kit.file.read_text()
    assert "p4ss" not in kit.file.read_text()
    mock = await kit.replay(SETTING)
    await create(mock, upstream, url=url, api_key=KEY)
    replayed = await mock("POST", "/_inference/text_embedding/id", {"input": "a"})
    assert replayed.raw == recorded.raw


async def test_another_key_finds_the_recording(kit: Kit) -> None:
    server = await kit.record()
    await kit.create(server, "text_embedding")
    mock = await kit.replay()
    assert (await kit.create(mock, "text_embedding", api_key="any other key")).status == 200


def mask(url: str = "https://h/x", **headers: str) -> Mask:
    return Mask(
        UpstreamRequest(
            url=url,
            headers=headers,
            body=b"",
            task_type=TaskType.TEXT_EMBEDDING,
            inference_id="id",
        )
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/x", "https://h/x"),
        ("https://user@h/x", "https://h/x"),
        ("https://u:p@h:1/x?a=b", "https://h:1/x?a=b"),
        ("https://h/x?a=b@c//d@e", "https://h/x?a=b@c//d@e"),
        ("https://h?API-Key=abc&b=token", "https://h?API-Key=***&b=token"),
        ("https://h?a=1;access_token=abc", "https://h?a=1;access_token=***"),
        ("https://h?%74oken=abc", "https://h?%74oken=***"),
        ("https://h?sig=a&design=b&keyword=c", "https://h?sig=***&design=b&keyword=c"),
        ("https://h/hf_AbCdEfGhIjKlMnOpQrSt/x", "https://h/***/x"),
        ("https://h/x#token=abc", "https://h/x"),
        ("relative?token=abc", "relative?token=***"),
    ],
)
def test_a_url_keeps_what_is_no_secret(url: str, expected: str) -> None:
    assert mask(url).url(url) == expected


def test_headers_that_hold_keys_are_known_by_their_names() -> None:
    masked = mask(
        Authorization="Bearer abcdefgh", **{"X-Api-Key": "12345678", "Accept": "text/html"}
    )
    assert masked.text("abcdefgh 12345678 text/html") == "*** *** text/html"


def test_what_is_short_may_stand_there_by_chance() -> None:
    assert mask(Authorization="Bearer short").text("a short text") == "a short text"
