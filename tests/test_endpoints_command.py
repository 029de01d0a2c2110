"""``esinfer endpoints`` against servers, esinfer's own and ones that answer badly."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from esinfer.cli import main
from tests.conftest import PROBES, Answer, Client, StartServer, Upstream, run_app
from tests.stores.contract import KEY

pytestmark = pytest.mark.usefixtures("root_logger")
SECRET = "hf_do_not_show_me"
Run = Callable[..., "asyncio.Future[tuple[int, str, str]]"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in a thread, beside the loop of the server; status, output, errors."""

    async def run_main(*argv: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(main, ["endpoints", *argv])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return lambda *argv: asyncio.ensure_future(run_main(*argv))


async def fill(server: Client) -> None:
    for task_type in PROBES:
        settings = {"url": f"https://example.com/{task_type}", "api_key": SECRET}
        body = {"service": "hugging_face", "service_settings": settings}
        assert (await server("PUT", f"/_inference/{task_type}/my-{task_type}", body)).status == 200


@pytest.fixture
async def full(mock: Client) -> Client:
    await fill(mock)
    return mock


async def test_list_prints_a_table(full: Client, run: Run) -> None:
    status, out, err = await run("list", "--url", full.url)
    assert (status, err) == (0, "")
    assert out.splitlines()[:2] == [
        "INFERENCE ID         TASK TYPE         SERVICE",
        "my-chat_completion   chat_completion   hugging_face",
    ]
    assert len(out.splitlines()) == 1 + len(PROBES)


async def test_what_is_exported_can_be_imported_elsewhere(
    full: Client, start: StartServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "endpoints.json"
    assert await run("export", "--url", full.url, "-o", str(file)) == (0, "", "")
    assert SECRET not in file.read_text("utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = await start(mode="mock")
    status, _, err = await run("import", str(file), "--url", other.url)
    assert (status, err) == (
        2,
        "esinfer: endpoint [my-chat_completion] has <api_key> in place of its key: write it there,"
        " or set UPSTREAM_API_KEY\n",
    )
    assert (await other("GET", "/_inference")).json == {"endpoints": []}
    monkeypatch.setenv("UPSTREAM_API_KEY", "another")
    status, _, err = await run("import", str(file), "--url", f"{other.url}/")
    assert (status, err) == (0, "esinfer: 5 of 5 endpoints imported\n")
    assert (await other("GET", "/_inference")).json == (await full("GET", "/_inference")).json


async def test_an_export_with_secrets_comes_from_the_store(
    start: StartServer, run: Run, tmp_path: Path
) -> None:
    store = f"store.path={tmp_path / 'endpoints.db'}"
    server = await start("store.kind=sqlite", store, mode="mock")
    await fill(server)
    status, out, err = await run("export", "--secrets", "--set", store)
    assert (status, err) == (0, "")
    exported = json.loads(out)["endpoints"]
    assert [each["service_settings"]["api_key"] for each in exported] == [SECRET] * len(PROBES)


async def test_an_export_with_secrets_makes_no_store(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new" / "endpoints.db"
    assert await run("export", "--secrets", "--set", f"store.path={path}") == (
        2,
        "",
        f"esinfer: store.path: there is no file {path}\n",
    )
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()
    assert await run("export", "--secrets", "--set", f"store.path={path}") == (
        2,
        "",
        f"esinfer: store.path: cannot read {path}: no such table: esinfer_migration\n",
    )
    assert path.read_bytes() == b""
    assert await run("export", "--secrets", "--set", "store.kind=memory") == (
        2,
        "",
        "esinfer: store.kind is memory, which only the server itself can read\n",
    )


async def test_an_export_with_a_key_leaves_the_store_to_its_server(
    start: StartServer, run: Run, tmp_path: Path
) -> None:
    store = f"store.path={tmp_path / 'endpoints.db'}"
    server = await start("store.kind=sqlite", store, mode="mock")
    await fill(server)
    exported = await run("export", "--secrets", f"--set={store}", f"--set=store.key={KEY}")
    assert (exported[0], exported[2]) == (0, "")
    assert (await server("GET", "/_inference/my-rerank")).status == 200
    with closing(sqlite3.connect(tmp_path / "endpoints.db")) as connection, connection:
        connection.execute("UPDATE esinfer_endpoint SET configuration = '{'")
    status, out, err = await run("export", "--secrets", f"--set={store}")
    assert (status, out) == (2, "")
    assert err.endswith(
        "\nesinfer: Failed to read stored inference endpoint [my-chat_completion]; DELETE it with"
        " force=true, or put it back from a backup\n"
    )


@pytest.mark.parametrize(
    ("existing", "status", "line"),
    [
        ("fail", 1, "endpoint [id]: Inference endpoint [id] already exists"),
        ("skip", 0, "0 of 1 endpoints imported, 1 left as they were"),
        ("replace", 0, "1 of 1 endpoints imported"),
    ],
)
async def test_what_is_there_already(
    mock: Client, run: Run, tmp_path: Path, existing: str, status: int, line: str
) -> None:
    def endpoint(url: str) -> dict[str, object]:
        return {"service": "hugging_face", "service_settings": {"url": url, "api_key": "k"}}

    await mock("PUT", "/_inference/rerank/id", endpoint("https://old"))
    file = tmp_path / "endpoints.json"
    new = {"inference_id": "id", "task_type": "rerank", **endpoint("https://new")}
    file.write_text(json.dumps({"endpoints": [new]}), encoding="utf-8")
    found, _, err = await run("import", str(file), "--url", mock.url, f"--existing={existing}")
    assert found == status
    assert err.splitlines()[0] == f"esinfer: {line}"
    stored = (await mock("GET", "/_inference/id")).json["endpoints"][0]
    url = "https://new" if existing == "replace" else "https://old"
    assert stored["service_settings"]["url"] == url


async def test_one_that_is_refused_does_not_keep_the_others_out(
    mock: Client, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"url": "https://e", "api_key": "k"}
    endpoints = [
        {"inference_id": name, "task_type": "rerank", "service": service}
        | {"service_settings": settings}
        for name, service in (("a", "nobody"), ("b", "hugging_face"))
    ]
    text = json.dumps({"endpoints": endpoints}).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    status, _, err = await run("import", "-", "--url", mock.url)
    assert status == 1
    assert err.splitlines() == [
        "esinfer: endpoint [a]: Unknown service [nobody]",
        "esinfer: 1 of 2 endpoints imported",
    ]


async def test_what_is_behind_a_refusal_is_told(
    client: Client, upstream: Upstream, run: Run, tmp_path: Path
) -> None:
    upstream.answers(Answer.json({"error": "no such token"}, 401))
    settings = {"url": upstream.url, "api_key": SECRET}
    endpoint = {"inference_id": "a", "task_type": "rerank", "service": "hugging_face"}
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps({"endpoints": [endpoint | {"service_settings": settings}]}))
    status, _, err = await run("import", str(file), "--url", client.url)
    assert (status, err.splitlines()) == (
        1,
        [
            "esinfer: endpoint [a]: Could not complete inference endpoint creation as validation"
            " call to service threw an exception: Received an authentication error status code for"
            " request from inference entity id [a] status [401]. Error message: [no such token]",
            "esinfer: 0 of 1 endpoints imported",
        ],
    )


async def test_an_export_may_begin_with_a_byte_order_mark(
    mock: Client, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "endpoints.json"
    file.write_bytes(b'\xef\xbb\xbf{"endpoints": []}')
    ran = await run("import", str(file), "--url", mock.url)
    assert ran == (0, "", "esinfer: 0 of 0 endpoints imported\n")


@pytest.fixture
async def guarded() -> AsyncIterator[tuple[str, list[str | None]]]:
    """Something that asks who is there, and keeps what it was told."""
    told: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        told.append(request.headers.get("Authorization"))
        if told[-1] is None:
            error = {"type": "security_exception", "reason": "missing credentials"}
            return web.json_response({"error": error, "status": 401}, status=401)
        endpoints = [
            {"inference_id": ".elser", "task_type": "sparse_embedding", "service": "elasticsearch"}
        ]
        return web.json_response({"endpoints": endpoints})

    app = web.Application()
    app.router.add_get("/prefix/_inference/_all", answer)
    app.router.add_get("/a ä/_inference/_all", answer)
    app.router.add_put("/prefix/_inference/rerank/a", answer)
    app.router.add_get("/html/_inference/_all", hello)
    app.router.add_get("/deep/_inference/_all", deep)
    app.router.add_get("/list/_inference/_all", listed)
    async with run_app(app, ours=False) as url:
        yield f"{url}/prefix", told


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="<html>")


async def deep(_: web.Request) -> web.Response:
    return web.Response(text="[" * 100_000)


async def listed(_: web.Request) -> web.Response:
    return web.json_response({"endpoints": 1})


async def test_credentials_are_sent(
    guarded: tuple[str, list[str | None]], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = guarded
    ran = [
        await run("export", "--url", url, "--user", "elastic:pass:word"),
        await run("export", "--url", url, "--api-key", "abc"),
    ]
    monkeypatch.setenv("ELASTIC_API_KEY", "from environment")
    ran.append(await run("export", "--url", url))
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"{prompt}?")
    ran.append(await run("export", "--url", url, "--user", "me"))
    ran.append(await run("export", "--url", url.replace("//", "//elastic:pass%3aword@")))
    ran.append(await run("export", "--url", url.replace("//", "//me@").replace("prefix", "a ä")))
    assert ran == [(0, '{\n  "endpoints": []\n}\n', "")] * 6, "Elasticsearch's own are left out"
    assert told == [
        "Basic ZWxhc3RpYzpwYXNzOndvcmQ=",
        "ApiKey abc",
        "ApiKey from environment",
        "Basic bWU6UGFzc3dvcmQgb2YgbWU6ID8=",
        "Basic ZWxhc3RpYzpwYXNzOndvcmQ=",
        "Basic bWU6UGFzc3dvcmQgb2YgbWU6ID8=",
    ]


async def test_what_cannot_be_done_is_one_line(
    guarded: tuple[str, list[str | None]], run: Run, tmp_path: Path
) -> None:
    url, _ = guarded
    file = tmp_path / "endpoints.json"
    endpoint = {"inference_id": "a", "task_type": "rerank", "service": "s"}
    file.write_text(json.dumps({"endpoints": [endpoint]}), encoding="utf-8")
    shown = url.removesuffix("/prefix")
    html, deep, listed = (f"{shown}/{path}" for path in ("html", "deep", "list"))
    cases = {
        (
            "list",
            "--url",
            "http://127.0.0.1:9",
        ): "cannot ask http://127.0.0.1:9: Connection refused",
        ("list", "--url", "ftp://a"): "--url must be an address such as http://localhost:9200",
        ("list", "--url", ""): "--url must be an address such as http://localhost:9200",
        ("list", "--user", ""): "--user is empty",
        ("list", "--api-key="): "--api-key is empty",
        ("list", "--url", "http://a:x"): "--url must be an address such as http://localhost:9200",
        ("list", "--url", url): "missing credentials",
        ("list", "--url", html): f"{shown} answers 200, but not as Elasticsearch does",
        ("list", "--url", deep): f"{shown} answers 200, but not as Elasticsearch does",
        ("list", "--url", listed): f"{shown} answers 200, but not as Elasticsearch does",
        ("list", "--url", "https://a", "--ca", "/no"): "--ca: cannot read /no: No such file or"
        " directory",
        ("import", str(file), "--url", url): "missing credentials",
        ("import", "/no/file"): "cannot read /no/file: No such file or directory",
        ("export", "--url", url, "--user=a:b", "-o", "/no/x"): "cannot write /no/x: No such file or"
        " directory",
    }
    for argv, line in cases.items():
        assert await run(*argv) == (2, "", f"esinfer: {line}\n"), argv


def test_an_action_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["endpoints"])
    assert caught.value.code == 2
    assert "the following arguments are required: ACTION" in capsys.readouterr().err
