"""Kills `esinfer serve` under a stream of PUT, _update and DELETE from several clients.

A change is acknowledged once its client has read the whole 200. After each
kill the server is started again and asked over HTTP; the file is then read
beside the running server, as HTTP does not tell secrets.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.crash.ledger import (
    POLICY,
    URL,
    Ledger,
    LossError,
    api_key,
    endpoint_of,
    found_in,
    policy_of,
)
from tests.crash.store_kills import KEY, open_file

_ROOT = Path(__file__).parents[2]
_PATIENCE = 30.0
_LONGEST_STREAM = 0.4
_CLIENTS = 4
_IDS_A_CLIENT = 3
_POLICY_PATH = "/_inference/_region_policy"


@contextmanager
def _serving(path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on that file, and its host and port; killed when the block ends."""
    settings = {
        "store.path": path,
        "store.key": KEY,
        "inference.skip_validate_and_start": "true",
        "logging.level": "warn",
    }
    options = [f"--set={name}={value}" for name, value in settings.items()]
    with subprocess.Popen(  # noqa: S603 -- our own interpreter
        [sys.executable, "-m", "esinfer", "serve", "--port=0", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    ) as server:
        try:
            if server.stdout is None or not select.select([server.stdout], [], [], _PATIENCE)[0]:
                raise LossError("the server does not start")
            line = server.stdout.readline()
            if not line:
                raise LossError("the server did not start; what it said stands above")
            yield server, urlsplit(line.split()[-1]).netloc
        finally:
            server.kill()


def kill_servers(folder: Path, kills: int, seed: int) -> int:
    """Kill so many servers; the number of changes they had acknowledged. LossError if one is."""
    chance = random.Random(seed)  # noqa: S311 -- to be repeated, not to be secret
    path, ledgers = folder / "served.db", [Ledger() for _ in range(_CLIENTS)]
    for _ in range(kills):
        with _serving(path) as (server, host):
            _compare(path, host, ledgers)
            with ThreadPoolExecutor(_CLIENTS) as pool:
                clients = [
                    pool.submit(_Client(host, number, ledger, chance.random()).change)
                    for number, ledger in enumerate(ledgers)
                ]
                time.sleep(chance.uniform(0.0, _LONGEST_STREAM))
                server.kill()
                for client in clients:
                    client.result(_PATIENCE)
    with _serving(path) as (_, host):
        _compare(path, host, ledgers)
    return sum(ledger.acknowledged for ledger in ledgers)


def _ids(client: int) -> list[str]:
    own = [f"{client}-{number}" for number in range(_IDS_A_CLIENT)]
    return [*own, POLICY] if client == 0 else own


def _compare(path: Path, host: str, ledgers: list[Ledger]) -> None:
    found = asyncio.run(_look(path))
    for number, ledger in enumerate(ledgers):
        ledger.settle({name: found.pop(name) for name in _ids(number) if name in found})
    if found:
        raise LossError(f"nobody has created {found}")
    told = {name: number for ledger in ledgers for name, number in ledger.known.items()}
    _compare_answers(host, told)


async def _look(path: Path) -> dict[str, int]:
    async with open_file(path) as store:
        return await found_in(store)


def _compare_answers(host: str, known: dict[str, int]) -> None:
    """The server says what its file says."""
    policy = known.pop(POLICY, 0)
    expected = [endpoint_of(name, number).to_wire() for name, number in sorted(known.items())]
    with closing(http.client.HTTPConnection(host, timeout=_PATIENCE)) as connection:
        if _ask(connection, "GET", "/_inference")[1] != {"endpoints": expected}:
            raise LossError("the server does not list what is in its store")
        status, said = _ask(connection, "GET", _POLICY_PATH)
        if status != (200 if policy else 404):
            raise LossError(f"the server does not tell the policy of its store: {said}")
        if policy and said["region_policy"] != policy_of(policy).to_wire():
            raise LossError("the server tells another policy than its store")


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


class _Client:
    """Changes ids of its own, one after the other, until the server is gone."""

    def __init__(self, host: str, number: int, ledger: Ledger, seed: float) -> None:
        self._host = host
        self._ids = _ids(number)
        self._ledger = ledger
        self._chance = random.Random(seed)  # noqa: S311 -- as above

    def change(self) -> None:
        with closing(http.client.HTTPConnection(self._host, timeout=_PATIENCE)) as connection:
            while True:
                name = self._chance.choice(self._ids)
                old = self._ledger.known.get(name, 0)
                is_deleted = old and self._chance.random() < 0.3
                new = 0 if is_deleted else self._chance.randrange(1, 10**6)
                self._ledger.begin(name, new)
                try:
                    status, said = _ask(connection, *_request(name, old, new))
                except (OSError, http.client.HTTPException, json.JSONDecodeError):
                    return  # killed
                if status != 200:
                    raise LossError(f"{name} from {old} to {new}: {said}")
                self._ledger.done(name, new)


def _request(name: str, old: int, new: int) -> tuple[str, str, object]:
    if name == POLICY:
        policy = {"region_policy": policy_of(new).to_wire()}
        return ("PUT", _POLICY_PATH, policy) if new else ("DELETE", _POLICY_PATH, None)
    path = f"/_inference/text_embedding/{name}"
    if not new:
        return "DELETE", path, None
    settings = {
        "api_key": api_key(new),
        "max_input_tokens": new,
        "rate_limit": {"requests_per_minute": new},
    }
    if old:
        return "PUT", f"{path}/_update", {"service_settings": settings}
    return "PUT", path, {"service": "hugging_face", "service_settings": settings | {"url": URL}}
