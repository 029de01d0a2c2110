"""The bare aiohttp servers that esinfer is measured with.

``upstream`` answers a Hugging Face request with fixed embeddings, ``proxy``
passes a request on to an upstream and its answer back, ``handler`` reads a
JSON body and answers a fixed one. Each prints the address it listens on:
``python -m tests.bench.peers upstream --port 0``.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache

import aiohttp
import orjson
from aiohttp import hdrs, web

DIMENSIONS = 384
_LARGEST_BODY = 2**20
_BACKLOG = 4096
_SESSION = web.AppKey("session", aiohttp.ClientSession)
_Handler = Callable[[web.Request], Awaitable[web.Response]]


@cache
def embeddings(count: int) -> bytes:
    """``count`` unit vectors, each number in the shortest text of its float32."""
    import numpy as np  # noqa: PLC0415 -- not at the start of the other peers

    rows = np.random.default_rng(0).normal(size=(count, DIMENSIONS))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return orjson.dumps(rows.astype(np.float32), option=orjson.OPT_SERIALIZE_NUMPY)


def make_upstream(delay: float) -> web.Application:
    """Answers as many vectors as a request has inputs, after ``delay`` seconds."""

    async def embed(request: web.Request) -> web.Response:
        inputs = orjson.loads(await request.read())["inputs"]
        if delay:
            await asyncio.sleep(delay)
        return web.Response(body=embeddings(len(inputs)), content_type="application/json")

    return _app(embed)


def make_proxy(upstream: str) -> web.Application:
    """Passes bodies on to one address, through one session."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as app[_SESSION]:
            yield

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {hdrs.CONTENT_TYPE: request.content_type}
        async with request.app[_SESSION].post(upstream, data=body, headers=headers) as answer:
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                content_type=answer.content_type,
            )

    app = _app(forward)
    app.cleanup_ctx.append(session)
    return app


def make_handler(size: int) -> web.Application:
    """Reads a JSON body and answers a document of ``size`` bytes."""
    answer = b'{"text_embedding":"%b"}'
    answer %= b"0" * (size - len(answer % b""))

    async def echo(request: web.Request) -> web.Response:
        orjson.loads(await request.read())
        return web.Response(body=answer, content_type="application/json")

    return _app(echo)


def _app(post: _Handler) -> web.Application:
    async def root(_request: web.Request) -> web.Response:
        return web.Response(text="ready")

    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_get("/", root)
    app.router.add_post("/", post)
    return app


def main() -> None:
    """Serve one of the peers until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("peer", choices=("upstream", "proxy", "handler"))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--upstream", help="where the proxy passes requests on to")
    parser.add_argument("--size", type=int, default=4096, help="bytes of the handler's answer")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds of the upstream")
    args = parser.parse_args()
    makers: dict[str, Callable[[], web.Application]] = {
        "upstream": lambda: make_upstream(args.delay),
        "proxy": lambda: make_proxy(args.upstream),
        "handler": lambda: make_handler(args.size),
    }
    listener = socket.create_server(("127.0.0.1", args.port), backlog=_BACKLOG)
    port = listener.getsockname()[1]
    print(f"{args.peer} listening on http://127.0.0.1:{port}", flush=True)  # noqa: T201
    web.run_app(makers[args.peer](), sock=listener, backlog=_BACKLOG, access_log=None, print=None)


if __name__ == "__main__":
    main()
