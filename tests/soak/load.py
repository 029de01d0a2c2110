"""The clients: each asks one question after another, checks the answer, and sometimes leaves."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp

from tests.soak import questions
from tests.soak.questions import Question

CLIENTS = 24
_PATIENCE = 60.0
_LEAVING = 0.1
"""Share of the questions whose answers nobody waits for."""
_SOON = 0.05
_MOST_PROBLEMS = 5
FAULTY = frozenset({400, 429, 500, 503})
"""The statuses of answers that an upstream's fault can spoil."""
_MISSED = FAULTY | {404}
"""A change may meet an endpoint that a fault kept from being created."""


@dataclass(slots=True)
class Tally:
    """Outcomes by name; what was wrong, in words."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def blame(self, question: Question, problem: str) -> None:
        self.outcomes["wrong"] += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(
                f"{question.path} {json.dumps(question.body)[:200]}: {problem:.600}"
            )


class Load:
    """Clients that ask until they are told to stop."""

    def __init__(self, address: str, url: str) -> None:
        self._address = address
        self._url = url
        self.tally = Tally()

    async def run(self, seconds: float) -> None:
        """Ask for so many seconds; then all connections are closed."""
        end = time.monotonic() + seconds
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with (
            aiohttp.ClientSession(self._address, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(CLIENTS):
                group.create_task(self._ask_on(session, end))
            group.create_task(self._change_on(session, end))

    async def _ask_on(self, session: aiohttp.ClientSession, end: float) -> None:
        while time.monotonic() < end:
            question = random.choice(questions.ALL)()  # noqa: S311 -- no secret
            if random.random() < _LEAVING:  # noqa: S311 -- as above
                await self._leave(session, question)
            else:
                await self._ask(session, question)

    async def _leave(self, session: aiohttp.ClientSession, question: Question) -> None:
        """Ask and close the connection, whatever is under way."""
        try:
            async with asyncio.timeout(random.uniform(0, _SOON)):  # noqa: S311 -- as above
                await self._ask(session, question)
        except TimeoutError:
            self.tally.outcomes["left"] += 1

    async def _ask(self, session: aiohttp.ClientSession, question: Question) -> None:
        try:
            async with session.post(question.path, json=question.body) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.tally.blame(question, _no_answer(error))
            return
        if status == 200 and question.streams:
            self._check_stream(question, content)
        elif status == 200:
            self._check_json(question, content)
        else:
            self._check_error(question, status, content, FAULTY)

    def _check_json(self, question: Question, content: bytes) -> None:
        try:
            answer = json.loads(content)
        except ValueError:
            self.tally.blame(question, f"{content!r:.300} is not JSON")
        else:
            self._check(question, answer)

    def _check(self, question: Question, answer: dict[str, Any]) -> None:
        expected = question.expected()
        if "chunks" in answer:
            is_right = questions.are_right_chunks(cast("Sequence[str]", expected), answer)
            has_errors = any(isinstance(own, dict) for own in answer["chunks"])
        else:
            is_right, has_errors = _are_equal(answer, expected), False
        if is_right:
            self.tally.outcomes["partly" if has_errors else "right"] += 1
        else:
            self.tally.blame(question, f"{answer!r:.300} instead of {expected!r:.300}")

    def _check_stream(self, question: Question, content: bytes) -> None:
        """All that was said, if it came to its end; else a beginning of it."""
        try:
            events = list(_events(content))
        except ValueError:
            self.tally.blame(question, f"{content!r:.600} has an event that is not JSON")
            return
        said = "".join(_delta(event) for event in events if isinstance(event, dict))
        expected = cast("str", question.expected())
        is_whole = bool(events) and events[-1] is None
        has_error = any(isinstance(event, dict) and "error" in event for event in events)
        if is_whole and not has_error:
            is_right = said == expected
        else:
            is_right = expected.startswith(said) and has_error != is_whole
        if is_right:
            self.tally.outcomes["broken off" if has_error else "right"] += 1
        else:
            self.tally.blame(question, f"{content!r:.600} instead of {expected!r}")

    def _check_error(
        self, question: Question, status: int, content: bytes, possible: Collection[int]
    ) -> None:
        """An error in Elasticsearch's form, of a status that is possible."""
        try:
            found = next(_events(content)) if question.streams else json.loads(content)
            is_error = bool(found["error"]["type"]) and found.get("status", status) == status
        except (ValueError, LookupError, TypeError, StopIteration):
            is_error = False
        if is_error and status in possible:
            self.tally.outcomes[f"error {status}"] += 1
        else:
            self.tally.blame(question, f"{status} {content!r:.300}")

    # -- endpoints come and go --------------------------------------------------

    async def _change_on(self, session: aiohttp.ClientSession, end: float) -> None:
        """Create, change, look at and delete an endpoint, again and again."""
        path = "/_inference/text_embedding/passing"
        created = endpoint(self._url, {})
        update = {"service_settings": {"rate_limit": {"requests_per_minute": 10**9}}}
        steps: Sequence[tuple[str, str, object]] = (
            ("PUT", path, created),
            ("PUT", f"{path}/_update", update),
            ("GET", path, None),
            ("GET", "/_inference", None),
            ("DELETE", path, None),
        )
        while time.monotonic() < end:
            for method, where, body in steps:
                await self._change(session, method, where, body)

    async def _change(
        self, session: aiohttp.ClientSession, method: str, path: str, body: object
    ) -> None:
        question = Question(path=f"{method} {path}", body={}, expected=lambda: None)
        try:
            async with session.request(method, path, json=body) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.tally.blame(question, _no_answer(error))
            return
        if status == 200:
            self.tally.outcomes["changes"] += 1
        else:
            self._check_error(question, status, content, _MISSED)


def _no_answer(error: Exception) -> str:
    """The session's own timeout is one that a client's leaving never is: that cancels."""
    late = isinstance(error, TimeoutError)
    return f"no answer in {_PATIENCE:.0f} s" if late else f"no answer: {error!r}"


def endpoint(url: str, more: dict[str, object]) -> dict[str, object]:
    """The body that creates an endpoint; its rate limit never holds anything back."""
    rate_limit = {"requests_per_minute": 60_000_000_000}
    settings = {"url": url, "api_key": "soak", "rate_limit": rate_limit}
    return {"service": "hugging_face", "service_settings": settings, **more}


async def create_endpoints(address: str, upstream: str) -> None:
    """Create all endpoints that are asked."""
    async with aiohttp.ClientSession(address, raise_for_status=True) as session:
        for path, (route, more) in questions.ENDPOINTS.items():
            body = endpoint(upstream + route, dict(more))
            async with session.put(f"/_inference/{path}", json=body) as response:
                await response.read()


def _are_equal(answer: object, expected: object) -> bool:
    return answer == expected or questions.rounded(answer) == questions.rounded(expected)


def _events(content: bytes) -> Iterator[Any]:
    """What the events of a stream say, None for its end."""
    for line in content.decode().splitlines():
        if line.startswith("data: "):
            said = line.removeprefix("data: ")
            yield None if said == "[DONE]" else json.loads(said)


def _delta(event: dict[str, Any]) -> str:
    """The text that an event adds, of a completion or of a chat."""
    if "completion" in event:
        return "".join(part["delta"] for part in event["completion"])
    choices = event.get("chat_completion", event).get("choices", ())
    return "".join(choice["delta"].get("content") or "" for choice in choices)
