"""Golden cases: request, upstream answers, Elasticsearch's answer, all as data.

``samples/<service>/<task_type>/<case>/case.json``; ``UPSTREAM`` in a case
stands for the loopback upstream's host.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Answer, Client, Reply, Upstream, create

SAMPLES = Path(__file__).parent / "samples"
CASES = sorted(path.parent for path in SAMPLES.glob("*/*/*/case.json"))


def read_case(folder: Path, upstream: Upstream) -> dict[str, Any]:
    text = (folder / "case.json").read_text(encoding="utf-8")
    case: dict[str, Any] = json.loads(text.replace("http://UPSTREAM/x", upstream.url))
    return case


def answer(said: dict[str, Any]) -> Answer:
    if "sse" in said:
        frames = "".join(f"{frame}\n\n" for frame in said["sse"])
        return Answer(200, frames.encode(), {"Content-Type": "text/event-stream"})
    if "body_raw" in said:
        return Answer(said["status"], said["body_raw"].encode())
    return Answer.json(said["body"], said["status"])


async def prepare(client: Client, upstream: Upstream, case: dict[str, Any]) -> None:
    """Create the case's endpoint, unless creating one is the case."""
    settings = case["endpoint"]["service_settings"]
    if settings.get("from_request"):
        return
    await create(
        client,
        upstream,
        "id",
        case["task_type"],
        case["endpoint"].get("task_settings"),
        **settings,
    )


def drop(value: Any, path: str) -> None:
    """Remove what ``error.root_cause[0].line`` names."""
    *parents, last = re.findall(r"[^.\[\]]+", path)
    for part in parents:
        value = value[int(part)] if isinstance(value, list) else value[part]
    value.pop(last, None)


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream; data that is no ``[DONE]`` is JSON."""
    found = []
    for frame in text.removesuffix("\n\n").split("\n\n"):
        event, data = (line.partition(": ")[2] for line in frame.split("\n"))
        found.append({"event": event, "data": data if data == "[DONE]" else json.loads(data)})
    return found


def check_stream(case: dict[str, Any], reply: Reply) -> None:
    expected = case["expect"]
    assert reply.headers["Content-Type"] == expected["content_type"]
    body = {"sse": events(reply.text)}
    for path in case.get("ignore", []):
        drop(body, path)
    if "sse" in expected:
        assert body["sse"] == expected["sse"]


def check_body(case: dict[str, Any], reply: Reply) -> None:
    expected = case["expect"]
    if "content_type" in expected:
        check_stream(case, reply)
        return
    body = reply.json
    for path in case.get("ignore", []):
        drop(body, path)
    if "json" in expected:
        assert body == expected["json"]
    for section, members in expected.get("json_subset", {}).items():
        assert members.items() <= body[section].items()
    if "raw_contains" in expected:
        assert expected["raw_contains"] in reply.text
    if "error_type" in expected:
        check_error(expected, body["error"])


def check_error(expected: dict[str, Any], error: dict[str, Any]) -> None:
    assert error["type"] == expected["error_type"]
    assert re.search(expected["reason_regex"], error["reason"])
    if "caused_by" in expected:
        assert error["caused_by"] == expected["caused_by"]
    assert expected.get("caused_by_reason_contains", "") in json.dumps(error.get("caused_by"))


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
async def test_sample(folder: Path, client: Client, upstream: Upstream) -> None:
    case = read_case(folder, upstream)
    await prepare(client, upstream, case)
    upstream.answers(*map(answer, case["upstream"]))
    method, _, path = case["operation"].partition(" ")

    reply = await client(method, f"/{path}", case["request"])

    assert reply.status == case["expect"]["status"], reply.text
    check_body(case, reply)
    if case.get("expect_upstream_bodies") is not None:
        assert upstream.bodies == case["expect_upstream_bodies"]
    for request in upstream.requests:
        assert request["headers"]["Content-Type"] == "application/json"
        assert request["headers"]["Authorization"] == "Bearer secret"
