"""``/_esinfer/metrics``, ``Server-Timing`` and the access log, through HTTP."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text

from esinfer import logs
from tests.conftest import Answer, Client, StartServer, Upstream, create

PATH = "/_esinfer/metrics"
SECRET = "hf_do_not_show_me"


async def samples(client: Client) -> dict[tuple[str, str], float]:
    """Every sample by its name and the values of its labels, in the order of their names."""
    reply = await client("GET", PATH)
    assert reply.status == 200
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in read_text(reply.text)
        for sample in family.samples
    }


async def test_requests_attempts_and_waits_are_counted(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, api_key=SECRET)
    upstream.answers(Answer(503), Answer(429), Answer.json([[1]]))
    assert (await client("POST", "/_inference/id", {"input": "a"})).status == 200
    assert (await client("POST", "/_inference/text_embedding/id/", {"inputs": "a"})).status == 400
    assert (await client("GET", "/nowhere")).status == 400
    found = await samples(client)
    total = "esinfer_http_requests_total"
    assert found[total, "POST /_inference/{inference_id} 200"] == 1
    assert found[total, "POST /_inference/{task_type}/{inference_id} 400"] == 1
    assert found[total, "GET none 400"] == 1
    assert found["esinfer_http_requests_in_flight", ""] == 1, "this one"
    duration = "esinfer_http_request_duration_seconds"
    assert found[f"{duration}_count", "POST /_inference/{inference_id}"] == 1
    assert found[f"{duration}_bucket", "+Inf POST /_inference/{inference_id}"] == 1
    attempts = "esinfer_upstream_attempts_total"
    assert {key[1]: found[key] for key in found if key[0] == attempts} == {
        "2xx hugging_face text_embedding": 2,  # one validates the endpoint
        "5xx hugging_face text_embedding": 1,
        "429 hugging_face text_embedding": 1,
    }
    waits = {key: value for key, value in found.items() if key[0].startswith("esinfer_rate_limit")}
    (group,) = {labels.split()[0] for _, labels in waits}
    assert re.fullmatch("[0-9a-f]{8}", group)
    assert waits["esinfer_rate_limit_wait_seconds_count", group] == 2
    assert waits["esinfer_rate_limit_waiting", group] == 0
    assert found["esinfer_endpoints", "hugging_face text_embedding"] == 1
    assert found["esinfer_store_up", ""] == 1


async def test_streams_and_unreachable_upstreams_are_attempts_too(
    start: StartServer, upstream: Upstream
) -> None:
    client = await start("inference.retry_timeout=0s")
    await create(client, upstream, "chat", "chat_completion")
    upstream.answers(Answer(body=b"data: [DONE]\n\n"))
    message = {"messages": [{"role": "user", "content": "a"}]}
    reply = await client("POST", "/_inference/chat_completion/chat/_stream", message)
    assert reply.status == 200
    assert timing(reply.headers["Server-Timing"])["total"] > 0
    settings = {"url": "http://127.0.0.1:9/", "api_key": "secret"}
    body = {"service": "hugging_face", "service_settings": settings}
    assert (await client("PUT", "/_inference/text_embedding/gone", body)).status >= 400
    found = await samples(client)
    attempts = "esinfer_upstream_attempts_total"
    assert found[attempts, "2xx hugging_face chat_completion"] == 2
    assert found[attempts, "connect_failed hugging_face text_embedding"] == 1


async def test_a_stream_that_breaks_off_is_no_success(mock: Client) -> None:
    settings = {"url": "http://upstream/", "api_key": "secret"}
    body = {"service": "hugging_face", "service_settings": settings}
    path = "/_inference/chat_completion/chat"
    assert (await mock("PUT", path, body)).status == 200
    faults = {"faults": [{"kind": "cut_stream", "ending": "reset"}]}
    assert (await mock("PUT", "/_esinfer/upstreams/default", faults)).status == 200
    message = {"messages": [{"role": "user", "content": "a"}]}
    reply = await mock("POST", f"{path}/_stream", message)
    assert "event: error" in reply.text
    found = await samples(mock)
    attempts = "esinfer_upstream_attempts_total"
    outcomes = {key[1].split()[0]: found[key] for key in found if key[0] == attempts}
    assert outcomes == {"2xx": 1, "connection_closed": 1}  # the first validates the endpoint


async def test_the_answer_is_of_the_form_that_was_asked_for(mock: Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    reply = await mock("GET", PATH, headers={"Accept": accept})
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in read_open(reply.text)}  # type: ignore[no-untyped-call]
    assert {"esinfer", "esinfer_http_requests_in_flight", "esinfer_store_up"} <= names
    if sys.platform == "linux":
        assert "process_resident_memory_bytes" in names
    reply = await mock("GET", PATH)
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE esinfer_http_requests_total counter" in reply.text
    assert re.search(r'esinfer_info{.*mode="mock".*} 1.0', reply.text)


async def test_no_secret_and_no_id_is_a_label(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, "my-endpoint", api_key=SECRET)
    await client("GET", f"/_inference/{SECRET}")
    await client("PURGE", f"/_inference/{SECRET}")
    text = (await client("GET", PATH)).text
    assert SECRET not in text
    assert "my-endpoint" not in text
    assert 'method="other"' in text


async def test_metrics_can_be_off(start: StartServer) -> None:
    client = await start("metrics.enabled=false", mode="mock")
    reply = await client("GET", PATH)
    assert (reply.status, reply.json) == (
        404,
        {"error": "there are no metrics: metrics.enabled is false", "status": 404},
    )
    assert (await client("GET", "/")).status == 200


def timing(header: str) -> dict[str, float]:
    return {name: float(ms) for name, ms in re.findall(r"([a-z]+);dur=([0-9.]+)", header)}


async def test_server_timing_says_where_the_time_went(embedder: Client) -> None:
    reply = await embedder("POST", "/_inference/id", {"input": "a"})
    times = timing(reply.headers["Server-Timing"])
    assert list(times) == ["queue", "upstream", "total"]
    assert 0 < times["queue"] + times["upstream"] <= times["total"]
    failed = await embedder("POST", "/_inference/id", {"inputs": "a"})
    assert "Server-Timing" not in failed.headers


async def test_server_timing_is_there_when_the_upstream_failed(
    embedder: Client, upstream: Upstream
) -> None:
    upstream.answers(Answer(400, b"no"))
    reply = await embedder("POST", "/_inference/id", {"input": "a"})
    assert reply.status == 400
    assert timing(reply.headers["Server-Timing"])["upstream"] > 0


async def test_server_timing_can_be_off(start: StartServer, upstream: Upstream) -> None:
    client = await start("metrics.server_timing=false")
    await create(client, upstream)
    reply = await client("POST", "/_inference/id", {"input": "a"})
    assert "Server-Timing" not in reply.headers


async def test_the_access_log_is_in_the_words_of_ecs(
    start: StartServer, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await start("logging.access_log=true", mode="mock")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("json", "info")
    try:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Opaque-Id": "me"}
        path = f"/_inference/x?api_key={SECRET}"
        await client("GET", path, headers=headers | {"Authorization": f"ApiKey {SECRET}"})
        await client("GET", "/", headers={"traceparent": "nonsense"})
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    printed = capsys.readouterr().err
    first, second = [json.loads(line) for line in printed.splitlines()]
    assert SECRET not in printed
    took = first.pop("event.duration")
    assert isinstance(took, int)
    del first["@timestamp"], first["process.pid"]
    assert first.pop("message").startswith("GET /_inference/x 400 ")
    assert first == {
        "log.level": "INFO",
        "log.logger": "esinfer.access",
        "ecs.version": "1.2.0",
        "service.name": "esinfer",
        "event.dataset": "esinfer.access",
        "trace.id": trace,
        "elasticsearch.http.request.x_opaque_id": "me",
        "http.request.method": "GET",
        "url.path": "/_inference/x",
        "http.response.status_code": 400,
        "client.address": "127.0.0.1",
    }
    assert "trace.id" not in second


async def test_there_is_no_access_log_by_default(
    mock: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await mock("GET", "/")
    assert not [record for record in caplog.records if record.name == "esinfer.access"]
