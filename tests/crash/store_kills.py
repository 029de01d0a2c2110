"""Kills a process that has nothing but the SQLite store, while it changes it.

The process is a fork, so that a kill costs milliseconds: it comes while the
file is made, while it is opened and recovered, and within changes. What the
process reports over a pipe once the store has answered is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.opening import OpenStore, StoreSettings, open_store
from tests.crash.ledger import POLICY, Ledger, LossError, endpoint_of, found_in, policy_of

KEY = "A" * 43 + "="
_LONGEST_LIFE = 0.12
_ROUNDS_A_FILE = 10
_IDS_A_WRITER = 3
_WRITERS = 4


def open_file(path: Path) -> AbstractAsyncContextManager[OpenStore]:
    settings = StoreSettings(kind="sqlite", path=str(path), key=KEY)
    return open_store(settings, EndpointCodec(ServiceRegistry()), {})


def kill_stores(folder: Path, kills: int, seed: int) -> int:
    """Kill so many processes; the number of changes they had acknowledged. LossError if one is."""
    chance = random.Random(seed)  # noqa: S311 -- to be repeated, not to be secret
    total = 0
    for number in range(kills):
        if number % _ROUNDS_A_FILE == 0:
            path, ledger = folder / f"{number}.db", Ledger()
        total -= ledger.acknowledged
        _live_and_die(path, ledger, chance)
        total += ledger.acknowledged
        ledger.settle(asyncio.run(_look(path)))
    return total


async def _look(path: Path) -> dict[str, int]:
    async with open_file(path) as store:
        with closing(sqlite3.connect(path)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()
        if said != ("ok",):
            raise LossError(f"the file is damaged: {said}")
        return await found_in(store)


def _live_and_die(path: Path, ledger: Ledger, chance: random.Random) -> None:
    reports, reporting = os.pipe()
    seed, life = chance.random(), chance.uniform(0, _LONGEST_LIFE)
    child = os.fork()
    if child == 0:
        os.close(reports)
        _change_for_ever(path, dict(ledger.known), reporting, seed)
    os.close(reporting)
    time.sleep(life)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reports, encoding="ascii") as lines:
        for line in lines:
            step, number, name = line.rstrip("\n").split(" ", 2)
            (ledger.begin if step == "begin" else ledger.done)(name, int(number))
    if not os.WIFSIGNALED(status):
        raise LossError(f"the process ended by itself, with status {status}")


def _change_for_ever(path: Path, known: dict[str, int], reporting: int, seed: float) -> Never:
    """What the fork does; it never returns."""
    try:
        asyncio.run(_write(path, known, reporting, seed))
    finally:
        os._exit(1)


async def _write(path: Path, known: dict[str, int], reporting: int, seed: float) -> None:
    async with open_file(path) as store, asyncio.TaskGroup() as group:
        for writer in range(_WRITERS):
            ids = [f"{writer}-{number}" for number in range(_IDS_A_WRITER)]
            ids += [POLICY] if writer == 0 else []
            chance = random.Random(f"{seed} {writer}")  # noqa: S311 -- as above
            group.create_task(_write_ids(store, ids, known, reporting, chance))


async def _write_ids(
    store: OpenStore,
    ids: list[str],
    known: dict[str, int],
    reporting: int,
    chance: random.Random,
) -> None:
    while True:
        name = chance.choice(ids)
        old = known.get(name, 0)
        new = 0 if old and chance.random() < 0.3 else chance.randrange(1, 10**6)
        os.write(reporting, f"begin {new} {name}\n".encode())
        await _change(store, name, old, new)
        os.write(reporting, f"done {new} {name}\n".encode())
        known[name] = new


async def _change(store: OpenStore, name: str, old: int, new: int) -> None:
    if name == POLICY:
        if new:
            await store.region_policy.put_region_policy(policy_of(new), datetime.now(UTC))
        else:
            await store.region_policy.delete_region_policy()
    elif not old:
        await store.endpoints.create(endpoint_of(name, new))
    elif not new:
        await store.endpoints.delete(name)
    else:
        stored = endpoint_of(name, old)
        await store.endpoints.replace(endpoint_of(name, new), stored=stored)
