"""Five seconds of what ``make soak`` does, and whether it would see what is wrong."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.api.sockets import listening
from tests.soak import questions
from tests.soak.__main__ import Soaked, Vitals, problems
from tests.soak.load import FAULTY, Load, Tally

ROOT = Path(__file__).parents[2]

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")


@needs_proc
def test_five_seconds_of_load_lose_mix_up_and_leak_nothing() -> None:
    command = [sys.executable, "-m", "tests.soak", "--seconds=5"]
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    right = [int(count) for count in re.findall(r"(\d+) right", ran.stdout)]
    assert len(right) == 2
    assert min(right) > 0


VITALS = Vitals(descriptors=10, tasks=1, objects=1000, resident=60.0)


def soaked(  # what a good soak has seen, but for what is given
    *,
    outcomes: dict[str, int] | None = None,
    clean: dict[str, int] | None = None,
    end: Vitals = VITALS,
    loaded: Vitals = VITALS,
    stops: tuple[tuple[str, int, float], ...] = (("serve", 0, 0.1),),
    logs: str = "",
) -> Soaked:
    seen = outcomes or {"right": 90, "error 500": 5, "broken off": 5}
    return Soaked(
        faulty=Tally(outcomes=Counter(seen)),
        clean=Tally(outcomes=Counter(clean or {"right": 10, "left": 1, "changes": 1})),
        start=VITALS,
        quarter=VITALS,
        loaded=loaded,
        end=end,
        stops=stops,
        logs=logs,
    )


def test_a_good_soak_has_no_problems() -> None:
    assert list(problems(soaked())) == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (soaked(outcomes={"right": 1, "error 500": 9, "broken off": 1}), "too few"),
        (soaked(outcomes={"right": 100}), "the faults did nothing"),
        (soaked(clean={"right": 9, "error 500": 1}), "without faults"),
        (soaked(clean={"left": 9}), "without faults"),
        (soaked(end=replace(VITALS, descriptors=11)), "11 descriptors"),
        (soaked(end=replace(VITALS, tasks=2)), "2 tasks"),
        (soaked(loaded=replace(VITALS, resident=180.0)), "grown by 120.0 MB"),
        (soaked(loaded=replace(VITALS, objects=20_000)), "19000 objects"),
        (soaked(stops=(("serve", 1, 0.1),)), "status 1"),
        (soaked(stops=(("serve", 0, 29.0),)), "after 29.0 s"),
        (soaked(logs="Traceback (most recent call last)"), "Traceback"),
        (soaked(logs="ERROR esinfer.connection unhandled KeyError in a request"), "unhandled"),
    ],
)
def test_a_soak_sees_what_is_wrong(found: Soaked, problem: str) -> None:
    (seen,) = problems(found)
    assert problem in seen


@pytest.mark.parametrize("make", [questions.dense, questions.sparse, questions.rank])
def test_the_answer_to_another_question_is_wrong(make: object) -> None:
    assert callable(make)
    one, other = make(), make()
    load = Load("http://localhost", "http://localhost")
    load._check(one, other.expected())
    assert load.tally.outcomes == {"wrong": 1}
    load._check(one, one.expected())
    assert load.tally.outcomes == {"wrong": 1, "right": 1}


def stream_of(*events: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


DONE = b"data: [DONE]\n\n"


def delta(text: str) -> dict[str, object]:
    return {"completion": [{"delta": text}]}


ERROR = {"error": {"type": "x"}, "status": 500}


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (stream_of(delta("all "), delta("that")) + DONE, "right"),
        (stream_of(delta("all "), ERROR), "broken off"),
        (stream_of(delta("all ")) + DONE, "wrong"),
        (stream_of(delta("that"), ERROR), "wrong"),
        (stream_of(delta("all "), delta("that")), "wrong"),
        (b"", "wrong"),
    ],
)
def test_a_stream_says_all_or_breaks_off_with_an_error(content: bytes, outcome: str) -> None:
    load = Load("http://localhost", "http://localhost")
    question = questions.Question(path="/", body={}, expected=lambda: "all that", streams=True)
    load._check_stream(question, content)
    assert load.tally.outcomes == {outcome: 1}


def error(status: int) -> bytes:
    return json.dumps({"error": {"type": "x"}, "status": status}).encode()


@pytest.mark.parametrize(
    ("status", "content", "outcome"),
    [
        (400, error(400), "error 400"),
        (429, error(429), "error 429"),
        (500, error(500), "error 500"),
        (503, error(503), "error 503"),
        (404, error(404), "wrong"),
        (501, error(501), "wrong"),
        (500, error(400), "wrong"),
        (500, b"oops", "wrong"),
        (500, b"[]", "wrong"),
    ],
)
def test_an_error_is_one_that_a_fault_can_have(status: int, content: bytes, outcome: str) -> None:
    load = Load("http://localhost", "http://localhost")
    load._check_error(questions.dense(), status, content, FAULTY)
    assert load.tally.outcomes == {outcome: 1}


async def answered(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Tally:
    """The tally of one question and one change to a server that answers by the handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with listening(web.AppRunner(app, shutdown_timeout=0.1)) as url:
        load = Load(url, "http://localhost")
        timeout = aiohttp.ClientTimeout(total=0.1)
        async with aiohttp.ClientSession(url, timeout=timeout) as session:
            await load._ask(session, questions.dense())
            await load._change(session, "GET", "/_inference", None)
    return load.tally


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError(request)


async def test_a_hang_is_told_with_what_was_asked() -> None:
    tally = await answered(hang)
    assert tally.outcomes == {"wrong": 2}
    asked, changed = tally.problems
    assert asked.startswith("/_inference/text_embedding/dense {")
    assert changed.startswith("GET /_inference {}: no answer in 60 s")
    assert asked.endswith("no answer in 60 s")


async def babble(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="no JSON")


async def test_a_200_that_is_no_json_is_told_with_what_was_asked() -> None:
    tally = await answered(babble)
    assert tally.outcomes == {"wrong": 1, "changes": 1}
    assert tally.problems[0].startswith("/_inference/text_embedding/dense {")


def test_a_stream_of_something_else_is_wrong() -> None:
    load = Load("http://localhost", "http://localhost")
    load._check_stream(questions.stream(), b"data: {oops\n\n")
    assert load.tally.outcomes == {"wrong": 1}
