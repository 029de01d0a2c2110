"""Upstreams, their states, faults and permits, with a clock and a sleep of the test's own."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson
import pytest

from esinfer.errors import IllegalArgument
from esinfer.twin.answers import TwinRequest
from esinfer.twin.control import Control
from esinfer.twin.delivery import Ending
from esinfer.twin.faults.latency import latency
from esinfer.twin.profiles import make_server
from esinfer.twin.received import Received
from esinfer.twin.tei import Twin
from esinfer.twin.upstreams import ServerSettings, Upstreams, UpstreamSettings, single

JSON = {"content-type": "application/json"}


class Bench:
    """Upstreams on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.upstreams = Upstreams(make_server, clock=lambda: self.now)
        self.control = Control(self.upstreams, start=UpstreamSettings(), knows_inference_ids=True)

    def set(self, name: str = "default", **settings: object) -> None:
        loaded = self.control.load(name, settings, lambda: orjson.dumps(settings))
        self.control.put(name, loaded)

    def ask(self, inputs: object = "a fox", **more: Any) -> tuple[int, float, list[str]]:
        """The status of one request, its delay, and the faults that it met."""
        path = more.pop("path", "/embed")
        headers = JSON | more.pop("headers", {})
        request = TwinRequest(
            method=more.pop("method", "POST"),
            path=path,
            headers=headers,
            body=orjson.dumps({"inputs": inputs}),
        )
        received = Received(request=request, url=f"http://twin{path}", **more)
        upstream = self.upstreams.find(received.url)
        with upstream.receive(received) as exchange:
            delivery = exchange.deliver(lambda: upstream.server.answer(request))
            exchange.begin(delivery)
            exchange.end(Ending.WHOLE)
        return delivery.answer.status, exchange.delay, [*exchange.entry.faults]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_making_upstreams_costs_next_to_nothing() -> None:
    started = time.perf_counter()
    for _ in range(1000):
        Upstreams(make_server)
    assert time.perf_counter() - started < 1000 * 50e-6


def test_two_have_nothing_in_common(bench: Bench) -> None:
    other = Bench()
    bench.set(state="paused")
    assert (bench.ask()[0], other.ask()[0]) == (400, 200)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/embed", "exact"),
        ("https://a.example/embedding", "long"),
        ("https://a.example/", "short"),
        ("https://b.example/rerank", "path"),
        ("https://b.example/", "default"),
    ],
)
def test_the_pattern_that_says_most_wins(bench: Bench, url: str, name: str) -> None:
    bench.set("short", url="https://a.example/*")
    bench.set("long", url="https://a.example/emb*")
    bench.set("exact", url="https://a.example/embed")
    bench.set("path", url="*/rerank")
    assert bench.upstreams.find(url).name == name


def test_a_cold_upstream_is_ready_when_its_time_has_come(bench: Bench) -> None:
    bench.set(state="cold", ready_after="10s")
    assert bench.ask() == (503, 0.0, ["cold"])
    bench.now += 9.0
    assert bench.ask()[0] == 503
    assert bench.ask(headers={"X-Scale-Up-Timeout": "0.5"}) == (503, 0.5, ["cold"])
    assert bench.ask(headers={"X-Scale-Up-Timeout": "2"}) == (200, 1.0, [])
    for nonsense in ("soon", "-1", "nan"):
        assert bench.ask(headers={"X-Scale-Up-Timeout": nonsense}) == (503, 0.0, ["cold"])
    bench.now += 1.0
    assert bench.ask() == (200, 0.0, [])
    assert bench.control.show("default")["state"] == "running"


def test_looking_after_the_health_does_not_bring_a_cold_upstream_up(bench: Bench) -> None:
    bench.set(state="cold", ready_after_requests=2)
    for _ in range(3):
        assert bench.ask(path="/health", method="GET")[0] == 503
    assert [bench.ask()[0] for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize("more", [{}, {"ready_after_requests": 2}])
def test_a_caller_that_is_patient_in_vain_is_held_as_long(
    bench: Bench, more: dict[str, Any]
) -> None:
    bench.set(state="cold", **more)
    assert bench.ask(headers={"X-Scale-Up-Timeout": "2"}) == (503, 2.0, ["cold"])
    assert bench.ask(headers={"X-Scale-Up-Timeout": "inf"}) == (503, 3600.0, ["cold"])


E5 = "intfloat/e5-base-v2"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (f"/hf-inference/models/{E5}", E5),
        (f"/hf-inference/models/{E5}/pipeline/feature-extraction", E5),
        (f"/hf-inference/models/{E5}/v1/chat/completions", E5),
        ("/v1/chat/completions", "org/chatty"),
        ("/nowhere", "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_the_router_says_which_model_is_loading(bench: Bench, path: str, model: str) -> None:
    bench.set(profile="serverless", state="cold")
    named = "org/chatty:provider" if "chat" in path else None
    request = TwinRequest(
        method="POST", path=path, headers=JSON, body=orjson.dumps({"model": named})
    )
    upstream = bench.upstreams.find("http://twin/")
    with upstream.receive(Received(request=request, url="http://twin/")) as exchange:
        answer = exchange.deliver(lambda: upstream.server.answer(request)).answer
    error = f"Model {model} is currently loading"
    assert orjson.loads(answer.body) == {"error": error, "estimated_time": 20.0}


def test_null_takes_away_what_is_set_at_the_start(bench: Bench) -> None:
    server = ServerSettings(task="reranker", api_key="key", model=E5, dimensions=7)
    start = UpstreamSettings(server=server)
    control = Control(bench.upstreams, start=start, knows_inference_ids=True)

    def loaded(**settings: object) -> ServerSettings:
        return control.load("default", settings, lambda: orjson.dumps(settings)).server

    assert loaded() == server
    nothing = dict.fromkeys(("task", "api_key", "model", "dimensions"))
    assert loaded(**nothing) == ServerSettings()
    assert loaded(api_key="") == replace(server, api_key=None)


def test_each_nth_is_hit(bench: Bench) -> None:
    bench.set(faults=[{"kind": "loading", "match": {"every": 2}}])
    assert [bench.ask()[0] for _ in range(4)] == [200, 503, 200, 503]


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({"inference_id": "mine"}, {"inference_id": "mine"}),
        ({"task_type": "rerank"}, {"task_type": "rerank"}),
        ({"task_type": "sparse_embedding"}, {"path": "/elser"}),
        ({"task_type": "chat_completion"}, {"path": "/v1/chat/completions"}),
        ({"text": "Größe"}, {"inputs": ["a", "die Größe"]}),
        ({"text": "Größe"}, {"inputs": {"deep": [{"deeper": "Größe"}]}}),
        ({"path": "/health"}, {"path": "/health", "method": "GET"}),
        ({"header": {"X-Run": "7"}}, {"headers": {"x-run": "run 7"}}),
    ],
)
def test_a_fault_hits_what_it_is_meant_for(
    bench: Bench, match: dict[str, object], hits: dict[str, Any]
) -> None:
    bench.set(faults=[{"kind": "paused", "match": match}])
    assert bench.ask()[2] == []
    assert bench.ask(**hits)[2] == ["paused"]


@pytest.mark.parametrize("kind", ["overloaded", "backend"])
def test_a_fault_on_an_openai_route_is_worded_as_there(bench: Bench, kind: str) -> None:
    bench.set(faults=[{"kind": kind}])
    request = TwinRequest(method="POST", path="/v1/embeddings", headers=JSON, body=b"{}")
    upstream = bench.upstreams.find("http://twin/")
    with upstream.receive(Received(request=request, url="http://twin/")) as exchange:
        answer = exchange.deliver(lambda: upstream.server.answer(request)).answer
    assert orjson.loads(answer.body).keys() == {"message", "code", "type"}


def test_looking_after_the_health_uses_no_fault_up(bench: Bench) -> None:
    bench.set(faults=[{"kind": "overloaded", "times": 1}])
    assert bench.ask(path="/health", method="GET")[0] == 200
    assert bench.ask()[0] == 429
    assert bench.ask()[0] == 200
    assert bench.control.show("default")["faults"] == []


def test_the_first_fault_that_matches_wins_and_delays_add_up(bench: Bench) -> None:
    bench.set(
        faults=[
            {"kind": "latency", "delay": "1s"},
            {"kind": "paused", "match": {"text": "dog"}},
            {"kind": "overloaded", "times": 1},
            {"kind": "latency", "delay": "500ms", "match": {"every": 2}},
        ]
    )
    assert bench.ask("a dog") == (400, 1.0, ["latency", "paused"])
    assert bench.ask("a fox") == (429, 1.5, ["latency", "overloaded", "latency"])
    assert bench.ask("a fox") == (200, 1.0, ["latency"])
    hits = [fault["hits"] for fault in bench.control.show("default")["faults"]]  # type: ignore[attr-defined]
    assert hits == [3, 1, 1]


def test_delays_drawn_from_one_seed_are_the_same() -> None:
    for settings in (
        {"distribution": "uniform", "low": 1.0, "high": 2.0},
        {"distribution": "log_normal", "median": 0.1, "sigma": 1.0},
    ):
        draws = []
        for seed in (1, 1, 2):
            delay = latency(**settings, seed=seed)  # type: ignore[arg-type]
            draws.append([delay() for _ in range(100)])
        assert draws[0] == draws[1] != draws[2]
        assert len(set(draws[0])) == 100
    assert 0.07 < sorted(draws[0])[50] < 0.15


def test_permits_come_back_when_the_exchange_ends(bench: Bench) -> None:
    bench.set(max_concurrent_requests=3)
    request = TwinRequest(
        method="POST", path="/embed", headers=JSON, body=orjson.dumps({"inputs": ["a", "b"]})
    )
    upstream = bench.upstreams.find("http://twin/embed")
    with upstream.receive(Received(request=request, url="http://twin/embed")) as exchange:
        held = replace(request, hold=exchange.hold)
        assert exchange.deliver(lambda: upstream.server.answer(held)).answer.status == 200
        assert bench.ask("one")[0] == 200
        assert bench.ask(["one", "two"])[0] == 429
    assert bench.ask(["one", "two", "three"])[0] == 200


@pytest.mark.parametrize("profile", ["tei-1.9", "tei-1.8", "tgi"])
def test_info_tells_the_permits_that_were_set(bench: Bench, profile: str) -> None:
    info = TwinRequest(method="GET", path="/info", headers={})

    def told() -> object:
        answer = bench.upstreams.get("default").server.answer(info)
        return orjson.loads(answer.body)["max_concurrent_requests"]

    bench.set(profile=profile)
    assert told() == (128 if profile == "tgi" else 512)
    bench.set(profile=profile, max_concurrent_requests=7)
    assert told() == 7


def test_a_server_without_permits_is_given_none(bench: Bench) -> None:
    reason = (
        "max_concurrent_requests of profile toolkit must be left out, "
        "it goes with tei-1.9, tei-1.8, tgi"
    )
    with pytest.raises(IllegalArgument, match=f"^{reason}$"):
        bench.set(profile="toolkit", max_concurrent_requests=1)


def test_a_single_server_answers_for_every_url() -> None:
    twin = Twin()
    assert single(twin).find("https://anywhere.example/").server is twin


@pytest.mark.parametrize(
    ("settings", "task_type", "path"),
    [
        ({}, "text_embedding", "/v1/embeddings"),
        ({"profile": "elser"}, "sparse_embedding", "/"),
        ({"task": "reranker"}, "rerank", "/invocations"),
        ({"profile": "toolkit"}, "text_embedding", "/predict"),
    ],
)
def test_the_server_tells_what_a_path_is_for(
    bench: Bench, settings: dict[str, Any], task_type: str, path: str
) -> None:
    bench.set(faults=[{"kind": "paused", "match": {"task_type": task_type}}], **settings)
    assert bench.ask(path=path)[2] == ["paused"]
    assert bench.ask(path="/nowhere")[2] == []


def test_a_pattern_with_many_stars_does_not_hold_the_twin_up(bench: Bench) -> None:
    bench.set("other", url="*a" * 20 + "*b")
    started = time.perf_counter()
    assert bench.upstreams.find("http://twin/" + "a" * 10_000).name == "default"
    assert time.perf_counter() - started < 1


def test_a_fault_that_has_nothing_to_change_has_not_hit(bench: Bench) -> None:
    bench.set(faults=[{"kind": "wrong_count", "times": 1}])
    assert bench.ask([]) == (400, 0.0, [])
    assert bench.control.show("default")["faults"] == [
        {"kind": "wrong_count", "times": 1, "hits": 0}
    ]
    assert bench.ask() == (200, 0.0, ["wrong_count"])
    assert bench.ask() == (200, 0.0, [])
    assert bench.control.show("default")["faults"] == []
