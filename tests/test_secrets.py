"""No secret comes out: not in an answer, a log, a journal, a traceback, an export or a ``repr``.

Servers in processes of their own log at debug level while good and bad
requests carry distinctive secrets; then all that came out is searched for
them, plain and in base64. An upstream quotes the key it was sent in every way.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from esinfer.app import make_app, make_twin
from esinfer.config import load
from esinfer.security.hashes import hash_key, hash_password
from tests.conftest import run_app

ROOT = Path(__file__).parent.parent

PEM_PASSWORD = "sEcReT-pem-5f1c9a"
USER_PASSWORD = "sEcReT-user-77e0b2"
API_KEY = "sEcReT-apikey-31d4e8c0"
TOKEN = "sEcReT-token-90ab5c12ff"
TWIN_KEY = "sEcReT-twin-c2d7f0"
ENDPOINT_KEY = "hf_sEcReTendpoint41fa"
NEW_ENDPOINT_KEY = "hf_sEcReTchanged8e77"
WRONG = "sEcReT-wrong-6d6d0e"
OTHER_KEY = "sEcReT-other-5b1d77"
URL_PASSWORD = "sEcReT-url-e3b0c4"
IN_ANSWERS = (
    *(PEM_PASSWORD, USER_PASSWORD, API_KEY, TOKEN, TWIN_KEY),
    *(ENDPOINT_KEY, NEW_ENDPOINT_KEY, OTHER_KEY, WRONG),
)
"""What no answer may hold."""
IN_LOGS = (*IN_ANSWERS, URL_PASSWORD)
"""What no log or journal may hold; an endpoint's url is shown to those who ask for the endpoint."""


def forms(secret: str) -> Iterator[str]:
    """A secret, and what a part of it looks like in base64, wherever it stands in a longer text."""
    yield secret
    for shift in range(3):
        encoded = b64encode(b"x" * shift + secret.encode()).decode()
        yield encoded[4:-4]


def found(text: str, secrets: tuple[str, ...]) -> set[str]:
    return {secret for secret in secrets if any(form in text for form in forms(secret))}


def places(text: str, secrets: tuple[str, ...]) -> Iterator[str]:
    """Where they stand, one place for each form of each."""
    for form in (form for secret in secrets for form in forms(secret)):
        at = text.find(form)
        if at >= 0:
            yield text[max(0, at - 300) : at + 100]


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def api_key(name: str, key: str) -> str:
    return f"ApiKey {b64encode(f'{name}:{key}'.encode()).decode()}"


MANAGER = basic("admin", USER_PASSWORD)
CALLERS = (MANAGER, api_key("k1", API_KEY), f"Bearer {TOKEN}")
STRANGERS = (
    *(basic("admin", WRONG), basic("nobody", WRONG), basic(WRONG[:0], WRONG)),
    *(api_key("k1", WRONG), api_key("k2", WRONG), f"Bearer {WRONG}", f"Basic {WRONG}"),
    *(f"ApiKey {WRONG}", f"{WRONG} {WRONG}", f"Digest {WRONG}", WRONG, f"Basic {WRONG}\u00ff"),
    *(
        f"Basic {b64encode(WRONG.encode()).decode()}",
        f"ApiKey {b64encode(WRONG.encode()).decode()}",
    ),
)


def event(value: object) -> web.Response:
    text = value if isinstance(value, str) else json.dumps(value)
    return web.Response(text=f"data: {text}\n\n", content_type="text/event-stream")


WAYS: dict[str, Callable[[str], web.Response]] = {
    "text401": lambda key: web.Response(status=401, text=f"bad key {key}"),
    "json401": lambda key: web.json_response({"error": {"message": key, "code": key}}, status=401),
    "list400": lambda key: web.json_response({"error": [key, f"x{key}"]}, status=400),
    "huge500": lambda key: web.Response(status=500, text=key * 3000),
    "malformed": lambda key: web.Response(text=f'[["{key}'),
    "wrongtype": lambda key: web.json_response([[key]]),
    "field": lambda key: web.json_response({key: key}),
    "redirect": lambda key: web.Response(status=302, headers={"Location": f"http://{key}.invalid"}),
    "stream": lambda key: event({"error": {"message": f"no {key}", "code": key, "type": key}}),
    "badstream": event,
    "good": lambda _: web.json_response([[0.5, 0.5]]),
}
"""How an upstream answers, with the key that it was sent."""


async def quote_the_key(request: web.Request) -> web.StreamResponse:
    key = request.headers.get("Authorization", "").removeprefix("Bearer ")
    how = request.path.removeprefix("/")
    if how == "reset" and request.transport is not None:
        request.transport.abort()
    return WAYS.get(how, WAYS["good"])(key)


BODIES: dict[str, dict[str, Any]] = {
    "text_embedding": {"input": "a"},
    "sparse_embedding": {"input": "a"},
    "rerank": {"query": "q", "input": ["a"]},
    "completion": {"input": "a"},
    "chat_completion": {"messages": [{"role": "user", "content": "a"}]},
}


class Output:
    """All that came out of one server: what it answered, and what it wrote by itself."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.quotes: list[str] = []
        self.written = ""
        self.statuses: set[int] = set()


class Caller:
    """Speaks to a server and writes down everything that comes back."""

    def __init__(self, url: str, session: aiohttp.ClientSession, output: Output) -> None:
        self._url, self._session, self._output = url, session, output

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        who: str = MANAGER,
        own: bool = False,
        form: str = "json",
    ) -> None:
        """``own`` marks a body whose sender is quoted its own words."""
        headers = {"Content-Type": f"application/{form}"} if body is not None else {}
        headers |= {"Authorization": who} if who else {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self._session.request(
            method, self._url + path, data=data, headers=headers, ssl=_TRUST
        ) as response:
            text = f"{response.headers!r}{response.raw_headers!r}{await response.text()}"
        self._output.statuses.add(response.status)
        (self._output.quotes if own else self._output.answers).append(text)

    async def read(self, path: str, *, holding: str) -> None:
        """Look into a log or journal, in which ``holding`` shows that something was noted."""
        headers = {"Authorization": MANAGER}
        async with self._session.get(self._url + path, headers=headers, ssl=_TRUST) as response:
            text = await response.text()
        assert (response.status, holding in text) == (200, True), text[:1000]
        self._output.written += text

    async def export(self, ca: Path, form: str) -> None:
        """What ``esinfer endpoints export`` prints."""
        printing = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "esinfer", "endpoints", "export", "--format", form),
            *("--url", self._url, "--user", f"admin:{USER_PASSWORD}", "--ca", str(ca)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=ROOT,
        )
        printed, _ = await printing.communicate()
        assert (printing.returncode, b"hugging_face" in printed) == (0, True), printed
        self._output.answers.append(printed.decode())


_TRUST = ssl.create_default_context()
_TRUST.check_hostname = False
_TRUST.verify_mode = ssl.CERT_NONE


def settings(url: str, key: str = ENDPOINT_KEY, **more: object) -> dict[str, object]:
    return {
        "service": "hugging_face",
        "service_settings": {"url": url, "api_key": key, **more},
    }


async def use(call: Caller, upstream: str) -> None:
    for who in (*CALLERS, *STRANGERS, ""):
        for path in ("/", "/_inference?pretty&error_trace", "/nothing", "/%zz"):
            await call("GET", path, who=who)
        await call("DELETE", "/_inference/none?error_trace", who=who)
    for task_type, body in BODIES.items():
        path = f"/_inference/{task_type}"
        await call("PUT", f"{path}/bad?error_trace", settings(f"{upstream}/json401"))
        for way in (*WAYS, "reset"):
            await call("PUT", f"{path}/{task_type[:4]}-{way}", settings(f"{upstream}/{way}"))
            for ending in ("", "/_stream"):
                inference = f"{path}/{task_type[:4]}-{way}{ending}?error_trace"
                await call("POST", inference, body)
        await call("GET", f"{path}/_all")
        change = {"service_settings": {"api_key": NEW_ENDPOINT_KEY}}
        await call("PUT", f"{path}/{task_type[:4]}-json401/_update?error_trace", change)
        await call("POST", f"{path}/{task_type[:4]}-json401?error_trace", body)
    chunked = "/_esinfer/inference/text_embedding/text-json401/chunked?error_trace"
    await call("POST", chunked, {"input": "a. b."})
    for url in ("http://nowhere.invalid", "http://127.0.0.1:1", "x", "http://169.254.169.254/"):
        await call("PUT", "/_inference/completion/u", settings(url))
        await call("POST", "/_inference/completion/u?error_trace", {"input": "a"})
        await call("DELETE", "/_inference/completion/u")
    guarded = upstream.replace("://", f"://user:{URL_PASSWORD}@")
    await call("PUT", "/_inference/completion/v", settings(f"{guarded}/text401"), own=True)
    await call("POST", "/_inference/completion/v?error_trace", {"input": "a"}, own=True)


async def misspell(call: Caller) -> None:
    """Bodies with a secret in a wrong place: their sender may read it again, the log may not."""
    key = ENDPOINT_KEY
    for body in (
        f'{{"service_settings": {{"api_key": {key}}}}}'.encode(),
        f'{{"service_settings": {{"api_key": "{key}'.encode(),
        settings("http://x.invalid", api_keyy=key),
        settings("http://x.invalid") | {"api_key": key},
        settings("http://x.invalid") | {"service": key},
        {"service": "hugging_face", "service_settings": key},
        {"service": "hugging_face", "service_settings": {"url": key, "api_key": [key]}},
        f"\xff{key}".encode("latin-1"),
        [key] * 3,
        *(settings("http://x.invalid", **{name: OTHER_KEY}) for name in ("apikey", "secret_key")),
        settings("http://x.invalid", api_key=[OTHER_KEY]),
        f'{{"x": 1, "service_settings": {{"api_key": /*c*/ "a, {OTHER_KEY}"}}}}'.encode(),
        f'{{"x": 1, "service_settings": {{"api\\u005fkey": "{OTHER_KEY}"}},}}'.encode(),
        f'{{"api_key": "a {OTHER_KEY}", "text": "{"x" * 70_000}"}}'.encode(),
        f'{{"api_key": "{OTHER_KEY}", "input": {"[" * 900}{"]" * 900}}}'.encode(),
        f'{{"service_settings": {{"api_key" "{OTHER_KEY}"}}}}'.encode(),
        f'{{"api_key", "{OTHER_KEY}"}}'.encode(),
        json.dumps(json.dumps(settings("http://x.invalid", OTHER_KEY))).encode(),
        {"service": "hugging_face", "service_settings": json.dumps({"api_key": OTHER_KEY})},
        {"service": "hugging_face", "service_settings": ["api_key", OTHER_KEY]},
        json.dumps(settings("http://x.invalid", OTHER_KEY)).encode("utf-16-le"),
    ):
        await call("PUT", "/_inference/text_embedding/w?error_trace", body, own=True)
        await call("PUT", "/_inference/text_embedding/text-json401/_update", body, own=True)
        await call("POST", "/_inference/text_embedding/text-json401", body, own=True)
    for value in (
        OTHER_KEY,
        f">-\n    {OTHER_KEY}",
        f"# why\n    !!str {OTHER_KEY}",
        f"{OTHER_KEY}\n[",
    ):
        yaml = f"x: 1\nservice_settings:\n  api_key: {value}\n".encode()
        await call("PUT", "/_inference/text_embedding/w", yaml, own=True, form="yaml")
    for written in (
        *("input: 2024-13-45", "input: 0b_", "a: !!bool x", "a: !!timestamp x"),
        *(f"service_settings: {{api_key: !!int {each}}}" for each in (key, OTHER_KEY)),
        *(f"api_key:{OTHER_KEY}", f"{{api_key:{OTHER_KEY}}}", f"- api_key={OTHER_KEY}"),
    ):
        body = written.encode()
        await call("PUT", "/_inference/text_embedding/w", body, own=True, form="yaml")
    await call("GET", f"/_inference/{quote(key)}?x={key}&api%5Fkey={OTHER_KEY}", own=True)


async def look_around(call: Caller, ca: Path) -> None:
    """What a server shows of all that was asked of it."""
    await call.read("/_esinfer/journal?size=100000", holding='"attempts"')
    await call.read("/_esinfer/journal?size=100000&format=yaml", holding="attempts:")
    await call.read("/_esinfer/metrics", holding="esinfer_")
    await call.read("/_esinfer/openapi.json", holding="/_inference")
    for form in ("json", "curl"):
        await call.export(ca, form)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Settings: a locked key, its certificate and credentials."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    issued = authority.issue_cert("127.0.0.1")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "server.crt", append=number > 0)
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PEM_PASSWORD.encode()),
    )
    (folder / "server.key").write_bytes(locked)
    (folder / "credentials.toml").write_text(
        f"""
        [users.admin]
        password_hash = "{hash_password(USER_PASSWORD.encode())}"
        roles = ["manage"]
        [api_keys.k1]
        key_hash = "{hash_key(API_KEY.encode())}"
        roles = ["read"]
        [tokens.t1]
        token_hash = "{hash_key(TOKEN.encode())}"
        """
    )
    return (
        f"server.certificate={folder / 'server.crt'}",
        f"server.key={folder / 'server.key'}",
        f"security.credentials={folder / 'credentials.toml'}",
        *("inference.retry_timeout=2ms", "inference.retry_initial_delay=1ms"),
    )


@pytest.fixture
def ca(files: tuple[str, ...]) -> Path:
    """The authority that vouches for the server."""
    return Path(files[0].partition("=")[2]).with_name("ca.crt")


@asynccontextmanager
async def running(command: str, log_format: str, given: tuple[str, ...]) -> AsyncIterator[Caller]:
    output = Output()
    options = [part for setting in given for part in ("--set", setting)]
    secret = {
        "ESINFER_SERVER__KEY_PASSWORD": PEM_PASSWORD,
        "ESINFER_TWIN__API_KEY": TWIN_KEY,
        "ESINFER_LOGGING__LEVEL": "debug",
        "PYTHONASYNCIODEBUG": "1",
        "XDG_DATA_HOME": os.environ["XDG_DATA_HOME"],
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "esinfer", command, "--port", "0", "--log-format", log_format),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=secret,
        cwd=ROOT,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    log = asyncio.ensure_future(child.stderr.read())
    try:
        async with aiohttp.ClientSession() as session:
            line = (await child.stdout.readline()).decode()
            output.written += line
            url = json.loads(line)["address"] if log_format == "json" else line.split()[-1]
            yield Caller(url, session, output)
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        output.written += (await child.stdout.read()).decode() + (await log).decode()
        await child.wait()
    assert not list(places(output.written, IN_LOGS))
    for answer in output.answers:
        assert not list(places(answer, IN_ANSWERS))
    assert {200, 401} <= output.statuses
    assert "DEBUG" in output.written


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_serve_keeps_every_secret(files: tuple[str, ...], ca: Path, log_format: str) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", quote_the_key)
    skip = ("inference.skip_validate_and_start=true", "journal.enabled=true")
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(run_app(app, ours=False))
        call = await stack.enter_async_context(running("serve", log_format, files + skip))
        async with asyncio.timeout(120):
            await use(call, upstream)
            await misspell(call)
            await look_around(call, ca)


async def test_mock_keeps_every_secret(files: tuple[str, ...], ca: Path) -> None:
    async with running("mock", "json", files) as call, asyncio.timeout(60):
        await use(call, "http://x.example")
        await misspell(call)
        for api in (TWIN_KEY, WRONG):
            await call("PUT", "/_esinfer/upstreams/u", {"url": "http://u*", "api_key": api})
            await call("GET", "/_esinfer/upstreams")
        await call("PUT", "/_inference/text_embedding/z", settings("http://u.example"))
        await call("PUT", "/_inference/completion/y", settings("http://x.example", TWIN_KEY))
        await call("POST", "/_inference/completion/y", {"input": TWIN_KEY}, own=True)
        for name in ("u", "default"):
            await call.read(f"/_esinfer/upstreams/{name}/log", holding='"sequence"')
        await look_around(call, ca)


async def test_the_twin_keeps_every_secret(files: tuple[str, ...]) -> None:
    async with running("twin", "text", files) as call, asyncio.timeout(60):
        for who in (f"Bearer {TWIN_KEY}", f"Bearer {WRONG}", WRONG, ""):
            for path, body in (("/embed", {"inputs": "a"}), ("/embed", b"{"), ("/none", {})):
                await call("POST", path, body, who=who)
            await call("GET", "/info", who=who)
        await call.read("/__twin/upstreams/default/log", holding='"sequence"')


@pytest.mark.parametrize("mode", ["serve", "mock"])
async def test_what_is_printed_of_config_and_app_has_no_secret(
    files: tuple[str, ...], mode: Any
) -> None:
    given = (*files, f"server.key_password={PEM_PASSWORD}", f"twin.api_key={TWIN_KEY}")
    config = load(None, {}, given)
    app = make_app(config, mode)
    async with run_app(app) as url, aiohttp.ClientSession() as session:
        for who in CALLERS:
            headers = {"Authorization": who}
            async with session.get(f"{url}/_inference", headers=headers) as response:
                await response.read()
        parts = {key: app[key] for key in app}
        printed = f"{config!r}{app!r}{parts!r}{[vars_of(part) for part in parts.values()]!r}"
    printed += repr(make_twin(config))
    assert not found(printed, IN_LOGS)


def vars_of(part: object) -> dict[str, object]:
    """What a debugger shows first."""
    return dict(vars(part)) if hasattr(part, "__dict__") else {}


def test_the_search_finds_what_it_looks_for() -> None:
    assert found(f"a {WRONG} b", IN_LOGS) == {WRONG}
    for name in ("a", "ab", "abc", "abcd"):
        assert found(basic(name, WRONG), IN_LOGS) == {WRONG}
