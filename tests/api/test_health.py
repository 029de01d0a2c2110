"""``/_esinfer/health`` and ``/_esinfer/ready``."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from esinfer.app import make_app
from esinfer.config import load
from esinfer.readiness import READINESS
from esinfer.region_policy import RegionPolicies
from tests.conftest import Client, StartServer, envelope, run_app

LIVE = {"status": "live", "pid": os.getpid()}
READY = {"status": "ready", "pid": os.getpid()}


@pytest.mark.parametrize("mode", ["serve", "mock"])
async def test_a_running_server_is_live_and_ready(start: StartServer, mode: str) -> None:
    server = await start(mode=mode)
    assert (await server("GET", "/_esinfer/health")).json == LIVE
    assert (await server("GET", "/_esinfer/ready")).json == READY


@pytest.mark.parametrize("path", ["/_esinfer/health", "/_esinfer/ready"])
async def test_head_says_the_same_without_a_body(mock: Client, path: str) -> None:
    plain = {"Accept-Encoding": "identity"}
    told, asked = [await mock(method, path, headers=plain) for method in ("GET", "HEAD")]
    assert (asked.status, asked.raw) == (200, b"")
    assert asked.headers["Content-Length"] == told.headers["Content-Length"]


async def test_ready_with_a_region_policy(mock: Client) -> None:
    policy = {"region_policy": {"allowed_geos": ["eu"]}}
    assert (await mock("PUT", "/_inference/_region_policy", policy)).status == 200
    assert (await mock("GET", "/_esinfer/ready")).json == READY


async def test_a_stopping_server_is_live_but_not_ready() -> None:
    app = make_app(load(None, {}, []))
    async with run_app(app) as url, aiohttp.ClientSession() as session:
        client = Client(url, session)
        await app[READINESS].withdraw(0)
        reply = await client("GET", "/_esinfer/ready")
        assert (reply.status, reply.json) == (
            503,
            envelope("status_exception", "The server is stopping", 503),
        )
        assert (await client("HEAD", "/_esinfer/ready")).status == 503
        assert (await client("GET", "/_esinfer/health")).json == LIVE


UNAVAILABLE = envelope("status_exception", "The store of inference endpoints is not available", 503)


async def test_a_store_that_is_gone_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.db"
    config = load(None, {}, ["store.kind=sqlite", f"store.path={path}"])
    async with run_app(make_app(config)) as url, aiohttp.ClientSession() as session:
        client = Client(url, session)
        assert (await client("GET", "/_esinfer/ready")).json == READY
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE esinfer_region_policy")
        other.close()
        reply = await client("GET", "/_esinfer/ready")
        assert (reply.status, reply.json) == (503, UNAVAILABLE)


async def test_a_store_that_does_not_answer_in_time_is_not_ready(
    mock: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(_: RegionPolicies) -> None:
        raise TimeoutError

    monkeypatch.setattr(RegionPolicies, "get", late)
    assert (await mock("GET", "/_esinfer/ready")).json == UNAVAILABLE


async def test_a_body_is_refused(mock: Client) -> None:
    for path in ("/_esinfer/health", "/_esinfer/ready"):
        assert (await mock("GET", path, {})).status == 400
