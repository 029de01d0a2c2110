"""Servers with a durable store, through HTTP and the command line."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from time import monotonic

import aiohttp
import pytest

from esinfer.api.about import Mode
from esinfer.app import make_app
from esinfer.config import load
from esinfer.stores import sqlite_file
from tests.conftest import PROBES, Answer, Client, StartServer, Upstream, create, envelope, run_app
from tests.stores.contract import API_KEY, KEY, OTHER_KEY

ROOT = Path(__file__).parents[2]
POLICY = "/_inference/_region_policy"


@asynccontextmanager
async def serving(path: Path, *overrides: str) -> AsyncIterator[Client]:
    """A server whose store is that file."""
    config = load(None, {}, ["store.kind=sqlite", f"store.path={path}", *overrides])
    async with run_app(make_app(config)) as url, aiohttp.ClientSession() as session:
        yield Client(url, session)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "endpoints.db"


async def test_after_a_restart_all_answers_are_the_same(path: Path, upstream: Upstream) -> None:
    asked = ["/_inference", POLICY, *(f"/_inference/{task}/{task}" for task in PROBES)]
    async with serving(path) as client:
        for task_type in PROBES:
            await create(client, upstream, task_type, task_type, api_key=API_KEY)
        await client("PUT", POLICY, {"region_policy": {"allowed_geos": ["eu"]}})
        before = [(await client("GET", each)).raw for each in asked]
    async with serving(path) as client:
        assert [(await client("GET", each)).raw for each in asked] == before
        reply = await client("POST", "/_inference/text_embedding/text_embedding", {"input": "a"})
    assert reply.status == 200
    assert upstream.requests[-1]["headers"]["Authorization"] == f"Bearer {API_KEY}"


async def test_an_updated_key_is_the_one_after_a_restart(path: Path, upstream: Upstream) -> None:
    change = {"service_settings": {"api_key": "new", "max_input_tokens": 9}}
    async with serving(path) as client:
        await create(client, upstream)
        reply = await client("PUT", "/_inference/text_embedding/id/_update", change)
        assert reply.status == 200
    async with serving(path) as client:
        assert (await client("GET", "/_inference/id")).json == {"endpoints": [reply.json]}
        await client("POST", "/_inference/id", {"input": "a"})
    assert upstream.requests[-1]["headers"]["Authorization"] == "Bearer new"


async def test_what_one_server_is_told_the_other_knows(path: Path, upstream: Upstream) -> None:
    async with serving(path) as one, serving(path) as other:
        await create(one, upstream)
        assert (await other("POST", "/_inference/id", {"input": "a"})).status == 200
        change = {"service_settings": {"api_key": "new"}}
        await other("PUT", "/_inference/text_embedding/id/_update", change)
        await one("POST", "/_inference/id", {"input": "a"})
        assert upstream.requests[-1]["headers"]["Authorization"] == "Bearer new"
        assert (await one("DELETE", "/_inference/id")).status == 200
        assert (await other("POST", "/_inference/id", {"input": "a"})).status == 404
        again = await other("PUT", "/_inference/text_embedding/id/_update", change)
        assert again.status == 404


async def test_of_two_servers_that_change_the_same_endpoint_one_is_refused(
    path: Path, upstream: Upstream
) -> None:
    arrived = asyncio.Semaphore(0)
    both = asyncio.Event()

    async def meet(_: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        """Hold both validation calls until the other is there."""
        arrived.release()
        await both.wait()
        return aiohttp.web.json_response([[0.1, 0.2]])

    async with serving(path) as one, serving(path) as other:
        await create(one, upstream)
        upstream.handler = meet
        address = "/_inference/text_embedding/id/_update"
        changes = [{"service_settings": {"max_input_tokens": tokens}} for tokens in (5, 6)]
        async with asyncio.TaskGroup() as group:
            pair = zip((one, other), changes, strict=True)
            tasks = [group.create_task(server("PUT", address, change)) for server, change in pair]
            for _ in tasks:
                await arrived.acquire()
            both.set()
        first, second = sorted((task.result() for task in tasks), key=lambda reply: reply.status)
        assert first.status == 200
        assert second.json == envelope(
            "status_exception", "Inference endpoint [id] is already being updated", 409
        )
        assert (await one("GET", "/_inference/id")).json == {"endpoints": [first.json]}


async def test_a_store_that_fails_is_answered_as_elasticsearch_does(
    path: Path,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.0)
    settings = {"url": upstream.url, "api_key": API_KEY}
    body = {"service": "hugging_face", "service_settings": settings}
    upstream.answers(Answer.json(PROBES["text_embedding"]))
    async with serving(path, "logging.level=debug") as client:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            reply = await client("PUT", "/_inference/text_embedding/id?error_trace", body)
            policy = await client("PUT", POLICY, {"region_policy": {"allowed_geos": ["eu"]}})
    assert reply.status == 500
    assert reply.json["error"]["type"] == "status_exception"
    assert reply.json["error"]["reason"] == "Failed to store inference endpoint [id]"
    assert policy.json == envelope(
        "status_exception", "The store of inference endpoints is not available", 503
    )
    assert API_KEY not in reply.text + caplog.text


UNREADABLE = envelope(
    "status_exception",
    "Failed to read stored inference endpoint [id]; DELETE it with force=true, or put it back from"
    " a backup",
    500,
)


async def tamper(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


FLIPPED = """UPDATE esinfer_endpoint
    SET configuration = replace(configuration, 'http', CAST(x'e8747470' AS TEXT))"""
"""Another h, by one bit, so that the text is no UTF-8."""


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE esinfer_endpoint SET configuration = '{'",
        FLIPPED,
        "DELETE FROM esinfer_secret",
    ],
)
async def test_force_deletes_what_cannot_be_read(
    path: Path, upstream: Upstream, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(path) as client:
        await create(client, upstream)
        await tamper(path, damage)
        assert (await client("GET", "/_inference")).json == UNREADABLE
        assert (await client("GET", "/_inference/id")).json == UNREADABLE
        assert (await client("DELETE", "/_inference/id")).json == UNREADABLE
        assert "\nesinfer_store_up 1.0\n" in (await client("GET", "/_esinfer/metrics")).text
        dry = await client("DELETE", "/_inference/id?dry_run")
        answer = {"acknowledged": False, "pipelines": [], "indexes": [], "error_message": ""}
        assert (dry.status, dry.json) == (200, answer)
        deleted = await client("DELETE", "/_inference/id?force=true")
        answer = {"acknowledged": True, "pipelines": [], "indexes": []}
        assert (deleted.status, deleted.json) == (200, answer)
        assert (await client("DELETE", "/_inference/id?force=true")).status == 404
        await create(client, upstream)
    assert upstream.url not in caplog.text


async def test_an_id_that_is_no_utf_8_is_told(path: Path, upstream: Upstream) -> None:
    async with serving(path) as client:
        await create(client, upstream)
        await tamper(path, "UPDATE esinfer_endpoint SET inference_id = CAST(x'69e4' AS TEXT)")
        assert (await client("GET", "/_inference/id")).status == 404
        reply = await client("GET", "/_inference")
    assert reply.json == envelope(
        "status_exception",
        "Failed to read stored inference endpoint [i?]; DELETE it with force=true, or put it back"
        " from a backup",
        500,
    )


async def test_a_damaged_policy_is_an_error_until_it_is_replaced(path: Path) -> None:
    policy = {"region_policy": {"allowed_geos": ["eu"]}}
    async with serving(path) as client:
        await client("PUT", POLICY, policy)
        await tamper(path, "UPDATE esinfer_region_policy SET policy = '{'")
        assert (await client("GET", POLICY)).json == envelope(
            "status_exception",
            "Failed to read the stored region policy; PUT replaces it, DELETE removes it",
            500,
        )
        assert (await client("GET", "/_esinfer/ready")).status == 200
        assert (await client("PUT", POLICY, policy)).status == 200
        assert (await client("GET", POLICY)).json["region_policy"] == policy["region_policy"]
        await tamper(path, "UPDATE esinfer_region_policy SET policy = '{'")
        assert (await client("DELETE", POLICY)).json == {"acknowledged": True}


async def test_who_lacks_the_key_of_the_store_reads_and_writes_no_more(
    path: Path, upstream: Upstream
) -> None:
    async with serving(path) as old:
        await create(old, upstream)
        async with serving(path, f"store.key={KEY}") as new:
            assert (await new("GET", "/_inference/id")).status == 200
            assert (await old("GET", "/_inference/id")).json == envelope(
                "status_exception",
                "Stored inference endpoint [id] was encrypted with a key that this server does not"
                " have; start it again with that key",
                500,
            )
            upstream.answers(Answer.json(PROBES["text_embedding"]))
            settings = {"url": upstream.url, "api_key": API_KEY}
            body = {"service": "hugging_face", "service_settings": settings}
            assert (await old("PUT", "/_inference/text_embedding/other", body)).json == envelope(
                "status_exception",
                "The store of inference endpoints was encrypted with a key that this server does"
                " not have; start it again with that key",
                500,
            )
            listed = (await new("GET", "/_inference")).json["endpoints"]
            assert [each["inference_id"] for each in listed] == ["id"]


async def test_a_lock_keeps_each_change_waiting_its_own_time_and_reads_not_at_all(
    path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(path) as client:
        await create(client, upstream)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                waiting = group.create_task(client("DELETE", "/_inference/id"))
                for address in ("/_inference", "/_inference/id", "/_esinfer/ready"):
                    assert (await client("GET", address)).status == 200
                assert (await client("GET", "/_inference/none")).status == 404
                assert not waiting.done()
                other.execute("COMMIT")
            assert waiting.result().status == 200
            other.execute("BEGIN IMMEDIATE")
            monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.5)
            began = monotonic()
            put = partial(client, "PUT", POLICY, {"region_policy": {"allowed_geos": ["eu"]}})
            replies = await asyncio.gather(*(put() for _ in range(8)))
            assert [each.status for each in replies] == [503] * 8
            assert monotonic() - began < 2  # 4 one after the other


def files_of(pid: int) -> list[Path]:
    """What a process and its children have open."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    files = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed by now
            files.append(each.resolve())
    return files + [each for child in children for each in files_of(int(child))]


async def run_serve(*settings: str) -> tuple[int | None, str, str]:
    """Status, output and errors of a server that does not start."""
    options = [f"--set={setting}" for setting in settings]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "esinfer", "serve", "--port=0", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        out, err = await child.communicate()
    return child.returncode, out.decode(), err.decode()


async def test_a_wrong_key_is_one_line_and_status_2(path: Path, upstream: Upstream) -> None:
    async with serving(path, f"store.key={KEY}") as client:
        await create(client, upstream)
    before = path.read_bytes()  # noqa: ASYNC240 -- a small file
    ran = await run_serve(f"store.path={path}", f"store.key={OTHER_KEY}")
    assert ran == (
        2,
        "",
        "esinfer: the secrets in the store are encrypted with another key; give the key they were"
        " encrypted with as store.key or in store.key_file (a key that it replaces comes first)\n",
    )
    assert path.read_bytes() == before  # noqa: ASYNC240 -- as above


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("store.kind=files", "--set: store.kind must be one of memory, sqlite, postgresql, got"),
        ("store.path=/dev/null/x", "store.path: cannot create /dev/null/x: /dev/null: File exists"),
        ("store.key=hidden", "store.key: key 1 must be 32 bytes in base64, as `openssl"),
        ("store.key_file=/nowhere", "store.key_file: cannot read /nowhere: No such file"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_status_2(
    path: Path, setting: str, line: str
) -> None:
    status, out, err = await run_serve(f"store.path={path}", setting)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"esinfer: {line}")
    assert "hidden" not in err


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_does_not_wait_for_a_store_that_is_locked_at_the_start(
    path: Path, workers: int
) -> None:
    async with serving(path):
        pass
    settings = (f"--set=store.path={path}", f"--workers={workers}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "esinfer", "serve", "--port=0", *settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        async with asyncio.timeout(30):
            while path not in files_of(child.pid):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            began = monotonic()
            child.terminate()
            out, err = await child.communicate()
    assert monotonic() - began < sqlite_file.BUSY_TIMEOUT / 2
    assert (child.returncode, out) == (0, b"")
    assert b"stopping: " in err


@pytest.mark.parametrize(("mode", "says"), [("serve", 1), ("mock", 0)])
async def test_a_real_server_without_a_durable_store_says_so(
    start: StartServer, caplog: pytest.LogCaptureFixture, mode: Mode, says: int
) -> None:
    caplog.set_level("INFO")
    await start(mode=mode)
    assert caplog.text.count("endpoints are gone when the server stops") == says
