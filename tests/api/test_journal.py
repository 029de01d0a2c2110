"""``/_esinfer/journal``: what was asked, what came of it, and no key among it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from tests.conftest import Answer, Client, StartServer, Upstream, create, envelope

PATH = "/_esinfer/journal"
ENDPOINT = "/_inference/text_embedding/id"
KEY = "hf_a_very_secret_key"


async def put(client: Client, path: str = ENDPOINT, **settings: object) -> None:
    service_settings = {"api_key": KEY, "url": "https://user:word@example.com/x"} | settings
    body = {"service": "hugging_face", "service_settings": service_settings}
    reply = await client("PUT", path, body)
    assert reply.status == 200, reply.text


async def journal(client: Client, query: str = "") -> dict[str, Any]:
    reply = await client("GET", PATH + query)
    assert reply.status == 200, reply.text
    shown: dict[str, Any] = reply.json
    return shown


async def entries(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await journal(client, query))["entries"]
    return found


async def test_an_entry_tells_the_whole_story(mock: Client) -> None:
    await put(mock, rate_limit={"requests_per_minute": 60})
    answers = [
        {"kind": "overloaded", "times": 1},
        {"kind": "respond", "status": 200, "body": [[0.5, -1]]},
    ]
    await mock("PUT", "/_esinfer/upstreams/default", {"faults": answers})
    await mock("POST", f"{ENDPOINT}?timeout=1m", {"input": "a"}, headers={"X-Opaque-Id": "me"})
    entry = (await mock("GET", f"{PATH}/2")).json
    assert entry["request"].pop("headers")["x-opaque-id"] == "me"
    headers = entry["answer"].pop("headers")
    assert (headers["content-type"], "date" in headers) == ("application/json", False)
    delay = entry["attempts"][0]["retry"].pop("delay")
    assert 0.0005 <= delay < 0.001
    again = entry["attempts"][1].pop("time")
    assert again == pytest.approx(1 + delay, abs=2e-6)
    assert entry.pop("duration") == again
    sent = {
        "url": "https://***@example.com/x",
        "headers": {"content-type": "application/json", "authorization": "Bearer ***"},
        "body": {"inputs": ["a"]},
    }
    reason = (
        "Received a rate limit status code for request from inference entity id [id] status [429]."
        " Error message: [Model is overloaded]"
    )
    refusal = {"error": "Model is overloaded", "error_type": "Overloaded"}
    assert entry == {
        "sequence": 2,
        "time": 0.0,
        "inference_id": "id",
        "task_type": "text_embedding",
        "request": {
            "method": "POST",
            "path": ENDPOINT,
            "query": "timeout=1m",
            "body": {"input": "a"},
        },
        "answer": {"status": 200, "body": {"text_embedding": [{"embedding": [0.5, -1.0]}]}},
        "waited": 1.0,
        "attempts": [
            {
                "inference": 0,
                "time": 1.0,
                "duration": 0.0,
                "request": sent,
                "answer": {"status": 429, "body": refusal},
                "error": {"type": "status_exception", "reason": reason},
                "retry": {"shortened": False},
            },
            {
                "inference": 0,
                "duration": 0.0,
                "request": sent,
                "answer": {"status": 200, "body": [[0.5, -1]]},
            },
        ],
    }


async def test_what_was_too_long_is_seen_to_be_shortened(mock: Client) -> None:
    await put(mock)
    too_large = {"kind": "error", "status": 413, "message": "too large", "times": 1}
    await mock("PUT", "/_esinfer/upstreams/default", {"faults": [too_large]})
    assert (await mock("POST", ENDPOINT, {"input": "abcdefgh"})).status == 200
    (entry,) = await entries(mock, "?method=POST")
    first, second = entry["attempts"]
    assert first["retry"]["shortened"] is True
    assert [each["request"]["body"]["inputs"] for each in (first, second)] == [
        ["abcdefgh"],
        ["abcd"],
    ]


async def test_a_timeout_is_what_became_of_the_attempt(mock: Client) -> None:
    await put(mock)
    await mock("PUT", "/_esinfer/upstreams/default", {"faults": [{"kind": "stall"}]})
    await mock("POST", f"{ENDPOINT}?timeout=10s", {"input": "a"})
    (entry,) = await entries(mock, "?method=POST")
    (attempt,) = entry["attempts"]
    assert attempt["answer"] is None
    assert attempt["error"]["type"] == "timeout_exception"
    assert entry["duration"] == pytest.approx(10, abs=1e-5)
    assert entry["answer"]["status"] == 429


async def test_streams_are_kept_event_by_event(mock: Client) -> None:
    await put(mock, "/_inference/completion/talk")
    reply = await mock("POST", "/_inference/completion/talk/_stream", {"input": "Say hello"})
    (entry,) = await entries(mock, "?method=POST")
    assert (entry["inference_id"], entry["task_type"]) == ("talk", "completion")
    assert entry["answer"]["status"] == 200
    assert entry["answer"]["headers"]["content-type"] == "text/event-stream"
    assert entry["answer"]["body"] == reply.text
    (attempt,) = entry["attempts"]
    assert attempt["request"]["body"]["stream"] is True
    assert attempt["answer"]["status"] == 200
    assert attempt["answer"]["body"].endswith("data: [DONE]\n\n")
    assert attempt["duration"] is not None


async def test_the_task_type_is_the_endpoints_where_the_path_names_none(mock: Client) -> None:
    await put(mock)
    await mock("POST", "/_inference/id", {"input": "a"})
    (entry,) = await entries(mock, "?method=POST")
    assert entry["task_type"] == "text_embedding"


async def test_requests_that_are_refused_are_there_with_their_bodies(mock: Client) -> None:
    await mock("POST", f"{ENDPOINT}?wrong=1", {"input": "unread"})
    await mock("POST", "/nothing", b"no JSON", headers={"Content-Type": "text/plain"})
    refused, unknown = await entries(mock)
    assert (refused["answer"]["status"], refused["request"]["body"]) == (400, {"input": "unread"})
    assert (unknown["answer"]["status"], unknown["request"]["body"]) == (400, "no JSON")
    assert "no handler found" in unknown["answer"]["body"]["error"]


async def test_packed_bodies_are_read(mock: Client) -> None:
    headers = {"Content-Encoding": "gzip"}
    await mock("POST", ENDPOINT, gzip.compress(b'{"input":"a"}'), headers=headers)
    (entry,) = await entries(mock)
    assert entry["request"]["body"] == {"input": "a"}


async def test_what_is_about_esinfer_itself_is_not_there(mock: Client) -> None:
    for path in ("", "/journal", "/clock", "/namespaces", "/upstreams", "/nothing"):
        await mock("GET", f"/_esinfer{path}")
    assert await entries(mock) == []


# -- secrets ----------------------------------------------------------------


async def test_no_key_is_shown(mock: Client) -> None:
    await put(mock)
    quoting = {"kind": "respond", "status": 401, "body": {"error": f"not {KEY}"}}
    await mock("PUT", "/_esinfer/upstreams/default", {"faults": [quoting]})
    await put_and_ask(mock)
    broken = f'{{"service_settings": {{"api_key": "{KEY}'.encode()
    await mock("PUT", ENDPOINT, broken)
    yaml = f"service_settings:\n  api_key: {KEY}\n".encode()
    await mock("PUT", ENDPOINT, yaml, headers={"Content-Type": "application/yaml"})
    text = (await mock("GET", PATH)).text
    assert KEY not in text
    assert "client_secret" not in text
    assert "Basic ***" in text


async def put_and_ask(mock: Client) -> None:
    headers = {"Authorization": "Basic client_secret"}
    await mock("POST", ENDPOINT, {"input": "a"}, headers=headers)
    change = {"service_settings": {"api_key": KEY}}
    await mock("PUT", f"{ENDPOINT}/_update", change)


TOKEN = "hf_SuperSecretTokenabcdef"
PLAIN = "own-key-of-nobody"


def settings(**service_settings: object) -> dict[str, object]:
    return {"unknown": 1, "service": "hugging_face", "service_settings": service_settings}


@pytest.mark.parametrize(
    "body",
    [
        *(settings(**{name: PLAIN}) for name in ("apikey", "API_KEY", "api_keyy", "ap_key")),
        *(settings(**{name: PLAIN}) for name in ("secret_key", "access_key", "token", "api-kye")),
        settings(api_key=[PLAIN]),
        settings(api_key={"a": {"b": [1, PLAIN]}}),
        settings(x=[0.5, TOKEN]),
        {"service": "hugging_face", "service_settings": TOKEN},
        b'{"unknown":1,"service_settings":{"api_key":/*c*/"%b"}}',
        b'{"unknown":1,"service_settings":{"api_key"/*:*/ :"a b,%b"}}',
        b'{"unknown":1,"service_settings":{"api_key":"my %b"},}',
        b'{"unknown":1,"service_settings":{"api_key":"a,%b"},}',
        b'{"unknown":1,"service_settings":{"api_key":["%b"]},}',
        b'{"unknown":1,"service_settings":{"api\\u005fkey":"%b"},}',
        b'{"unknown":1,"service_settings":{"apikey":%b}}',
        b'{"unknown":1} {"api_key":"%b"}',
        b"api_key=%b&service=hugging_face",
        b"\xff%b" % TOKEN.encode(),
    ],
    ids=str,
)
async def test_a_key_in_a_wrong_place_is_shown_nowhere(mock: Client, body: object) -> None:
    sent = body.replace(b"%b", PLAIN.encode()) if isinstance(body, bytes) else body
    for path, method in ((ENDPOINT, "PUT"), (f"{ENDPOINT}/_update", "PUT"), ("/nothing", "POST")):
        assert (await mock(method, path, sent)).status >= 400
    shown = await mock("GET", PATH)
    assert (shown.status, shown.json["total"]) == (200, 3)
    assert not {secret for secret in (PLAIN, TOKEN) if secret in shown.text}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (">-\n    {}\n", {"api_key": "***"}),
        ("!!str {}\n", {"api_key": "***"}),
        ("   # the key\n    {}\n", {"api_key": "***"}),
        ("{}\n  bad: [\n", None),
    ],
)
async def test_yaml_is_shown_as_it_was_read(
    mock: Client, written: str, kept: dict[str, object] | None
) -> None:
    body = f"unknown: 1\nservice_settings:\n  api_key: {written.format(PLAIN)}"
    headers = {"Content-Type": "application/yaml"}
    assert (await mock("PUT", ENDPOINT, body.encode(), headers=headers)).status == 400
    (entry,) = await entries(mock)
    shown = "unknown: 1\nservice_settings:\n  api_key***"
    expected = shown if kept is None else {"unknown": 1, "service_settings": kept}
    assert entry["request"]["body"] == expected
    assert PLAIN not in str(entry)


@pytest.mark.parametrize(
    "body",
    [
        "input: 0b_",
        "input: 2024-13-45",
        "a: !!bool x",
        "a: !!timestamp x",
        "a: !!int x",
        'a: !!float ""',
    ],
)
async def test_yaml_that_cannot_be_read_is_shown_as_a_text(mock: Client, body: str) -> None:
    headers = {"Content-Type": "application/yaml"}
    assert (await mock("POST", ENDPOINT, body.encode(), headers=headers)).status == 400
    (entry,) = await entries(mock)
    assert entry["request"]["body"] == body


SLIPS = [
    ("json", '{"service_settings":{"api_key" "%s"}}', '{"service_settings":{"api_key***'),
    ("json", '{"api_key", "%s"}', '{"api_key***'),
    ("json", '{"api_key"; "%s"}', '{"api_key***'),
    (
        "json",
        r'"{\"service_settings\":{\"api_key\":\"%s\"}}"',
        '{"service_settings":{"api_key***',
    ),
    (
        "json",
        r'{"service_settings":"{\"api_key\":\"%s\"}"}',
        {"service_settings": '{"api_key***'},
    ),
    (
        "json",
        r'{"service_settings":"{\"api\\u005fkey\":\"%s\"}"}',
        {"service_settings": '{"api_key***'},
    ),
    ("json", r'{"x":"{\"api\\u005fkey\":\"%s\"}",', r'{"x":"{\"api_key***'),
    ("json", '{"x":["api_key","%s"]}', {"x": ["api_key", "***"]}),
    ("json", '{"input":["{api_key: %s}","a"]}', {"input": ["{api_key***", "***"]}),
    ("json", '{"api_key=%s":1}', {"api_key***": "***"}),
    ("yaml", "api_key:%s", "api_key***"),
    ("yaml", "{api_key:%s}", {"api_key***": "***"}),
    ("yaml", "{api_key, %s}", {"api_key": "***", "***": None}),
    ("yaml", "- api_key=%s", ["api_key***"]),
    ("yaml", "api_key: !!int %s", "api_key***"),
]


@pytest.mark.parametrize(("form", "body", "shown"), SLIPS)
async def test_after_a_slip_the_key_is_not_shown(
    mock: Client, form: str, body: str, shown: object
) -> None:
    headers = {"Content-Type": f"application/{form}"}
    assert (
        await mock("PUT", ENDPOINT, body.replace("%s", PLAIN).encode(), headers=headers)
    ).status == 400
    (entry,) = await entries(mock)
    assert entry["request"]["body"] == shown
    assert PLAIN not in str(entry)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32"])
async def test_a_body_with_nul_bytes_is_not_shown(mock: Client, encoding: str) -> None:
    body = f'{{"service_settings": {{"api_key": "{PLAIN}"}}}}'.encode(encoding)
    assert (await mock("PUT", ENDPOINT, body)).status == 400
    (entry,) = await entries(mock)
    assert entry["request"]["body"] == "***"
    assert PLAIN not in str(entry)


async def test_what_a_model_is_given_may_speak_of_keys(mock: Client) -> None:
    await put(mock)
    texts = ["where is the key?", "my password is lost", "a token: b"]
    assert (await mock("POST", ENDPOINT, {"input": texts})).status == 200
    (entry,) = await entries(mock, "?method=POST")
    assert entry["request"]["body"] == {"input": texts}
    assert entry["attempts"][0]["request"]["body"]["inputs"] == texts


async def test_what_names_a_key_is_masked_and_the_rest_shown(mock: Client) -> None:
    texts = {"input": "a token: b", "max_tokens": 5, "list": [0.5, 1], "url": "http://u:p@h/x"}
    await mock("POST", "/nothing", {**texts, "Apikey": "x", "secret": {"a": 1}})
    (entry,) = await entries(mock)
    masked = {"url": "http://***@h/x", "Apikey": "***", "secret": "***"}
    assert entry["request"]["body"] == {**texts, **masked}


async def test_tokens_that_a_model_answers_are_shown(mock: Client) -> None:
    await put(mock, "/_inference/completion/talk")
    said = {"error": "no", "token": {"text": "abcdefgh"}, "key": "abcdefgh", "api_key": "abc"}
    fault = {"kind": "respond", "status": 400, "body": said}
    await mock("PUT", "/_esinfer/upstreams/default", {"faults": [fault]})
    await mock("POST", "/_inference/completion/talk", {"input": "a"})
    (entry,) = await entries(mock, "?method=POST")
    assert entry["attempts"][0]["answer"]["body"] == {**said, "api_key": "***"}


@pytest.mark.parametrize("depth", [90, 250, 900, 1100])
async def test_a_deep_body_does_not_hide_the_journal(mock: Client, depth: int) -> None:
    nested = b'{"input":%b"a"%b}' % (b"[" * depth, b"]" * depth)
    await mock("POST", ENDPOINT, nested)
    (entry,) = await entries(mock)
    shown = entry["request"]["body"]
    assert (shown == nested.decode()) is (depth > 100)
    assert (await mock("GET", f"{PATH}/1")).status == 200
    named = b'{"api_key":"%b","input":%b%b}' % (PLAIN.encode(), b"[" * depth, b"]" * depth)
    await mock("POST", ENDPOINT, named)
    assert PLAIN not in (await mock("GET", PATH)).text


# -- bounds -----------------------------------------------------------------


async def test_the_oldest_go_when_there_are_too_many(start: StartServer) -> None:
    mock = await start("journal.entries=2", mode="mock")
    for path in "abc":
        await mock("GET", f"/{path}")
    shown = await journal(mock)
    assert [entry["request"]["path"] for entry in shown["entries"]] == ["/b", "/c"]
    assert (shown["total"], shown["forgotten"]) == (2, 1)


async def test_the_oldest_go_when_they_take_too_much(start: StartServer) -> None:
    mock = await start("journal.size=20kb", mode="mock")
    for n in range(20):
        await mock("POST", f"/{n}", {"text": "x" * 1000})
    shown = await journal(mock)
    assert 3 <= shown["total"] <= 8
    assert shown["entries"][-1]["request"]["path"] == "/19"


async def test_of_a_long_body_the_beginning_is_kept(start: StartServer) -> None:
    mock = await start("journal.body_size=20b", mode="mock")
    await mock("POST", "/x", {"api_key": KEY})
    (entry,) = await entries(mock)
    request = entry["request"]
    assert (request["body_size"], request["truncated"]) == (35, True)
    assert KEY[:8] not in request["body"]


async def test_behind_the_name_of_a_key_nothing_of_a_cut_body_is_shown(
    start: StartServer,
) -> None:
    mock = await start("journal.body_size=60b", mode="mock")
    await mock("POST", "/x", {"input": "a", "apikey": "a b,c", "text": "x" * 60})
    (entry,) = await entries(mock)
    assert entry["request"]["body"] == '{"input": "a", "apikey***'


async def test_a_pattern_of_many_stars_holds_nobody_up(mock: Client) -> None:
    await mock("GET", f"/{'a' * 3000}")
    async with asyncio.timeout(5):
        shown = await journal(mock, f"?path=/{'*a' * 400}*b")
    assert shown["total"] == 0


# -- reading ----------------------------------------------------------------


@pytest.fixture
async def filled(mock: Client) -> Client:
    await put(mock)
    await put(mock, "/_inference/sparse_embedding/sparse")
    await mock("POST", ENDPOINT, {"input": "caf\u00e9 one"})
    await mock("POST", "/_inference/sparse_embedding/sparse", {"input": "two"})
    await mock("GET", "/_inference/missing")
    return mock


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("method=put", [1, 2]),
        ("method=POST", [3, 4]),
        ("path=/_inference/*/id", [1, 3]),
        ("path=/_inference/text_embedding", []),
        ("path=*_embedding*id", [1, 3]),
        ("path=*.*", []),
        ("inference_id=sparse", [2, 4]),
        ("task_type=text_embedding", [1, 3]),
        ("status=404", [5]),
        ("text=two", [4]),
        ("text=caf%C3%A9", [3]),
        ("since=3", [4, 5]),
        ("size=2", [4, 5]),
        ("size=0", []),
        ("method=POST&size=1", [4]),
    ],
)
async def test_filters(filled: Client, query: str, found: list[int]) -> None:
    assert [entry["sequence"] for entry in await entries(filled, f"?{query}")] == found


@pytest.mark.parametrize("name", ["status", "since", "size"])
@pytest.mark.parametrize("value", ["x", "-1", "9007199254740993", ""])
async def test_numbers_that_are_none(mock: Client, name: str, value: str) -> None:
    reply = await mock("GET", f"{PATH}?{name}={value}")
    reason = (
        f"Failed to parse value [{value}] for [{name}], expected a whole number from [0] to"
        " [9007199254740992]"
    )
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


async def test_it_is_cleared_and_numbers_go_on(filled: Client) -> None:
    assert (await filled("DELETE", PATH)).json == {"acknowledged": True}
    assert await journal(filled) == {"total": 0, "forgotten": 0, "entries": []}
    await filled("GET", "/")
    assert [entry["sequence"] for entry in await entries(filled)] == [6]


@pytest.mark.parametrize("sequence", ["1", "0", "x", "\u0661"])
async def test_an_entry_that_is_not_there(mock: Client, sequence: str) -> None:
    reply = await mock(
        "GET",
        f"{PATH}/{sequence}".encode().decode("latin-1") if sequence.isascii() else f"{PATH}/%D9%A1",
    )
    reason = f"Journal entry not found [{sequence}]"
    expected = envelope("resource_not_found_exception", reason, 404)
    assert (reply.status, reply.json) == (404, expected)


async def test_serve_keeps_none_unless_it_is_told_to(
    client: Client, start: StartServer, upstream: Upstream
) -> None:
    for method, path in [("GET", PATH), ("DELETE", PATH), ("GET", f"{PATH}/1")]:
        reply = await client(method, path)
        expected = envelope("status_exception", "No journal is kept; [journal.enabled] is false")
        assert (reply.status, reply.json) == (400, expected)
    keeping = await start("journal.enabled=true")
    await create(keeping, upstream)
    upstream.answers(Answer.json([[0.25]]))
    await keeping("POST", ENDPOINT, {"input": "a"})
    (entry,) = await entries(keeping, "?method=POST")
    assert entry["attempts"][0]["answer"]["body"] == [[0.25]]
    assert entry["duration"] > 0


async def test_it_can_be_read_while_requests_come_in(mock: Client) -> None:
    async def ask() -> None:
        for _ in range(50):
            await mock("GET", "/_inference")

    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(ask()) for _ in range(4)]
        while not all(task.done() for task in asking):
            reply = await mock("GET", "/_esinfer/journal?text=nothing-has-this")
            assert (reply.status, reply.json["total"]) == (200, 0)


async def test_keys_in_urls_are_masked(mock: Client) -> None:
    url = "https://user:password-of-url@example.com/?token=token-of-url"
    settings = {"api_key": "key-of-endpoint", "url": url}
    body = {"service": "hugging_face", "service_settings": settings}
    await mock("PUT", "/_inference/text_embedding/masked?api_key=key-of-query", body)
    await mock("PUT", "/_inference/text_embedding/masked", body)
    await mock("POST", "/_inference/text_embedding/masked", {"input": "a"})
    shown = (await mock("GET", "/_esinfer/journal")).text
    for secret in ("password-of-url", "token-of-url", "key-of-endpoint", "key-of-query"):
        assert secret not in shown
    assert "api_key=***" in shown
