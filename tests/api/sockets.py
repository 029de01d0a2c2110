"""HTTP by hand: bytes onto a socket, bytes off it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

JSON = "Content-Type: application/json"


@asynccontextmanager
async def listening(runner: web.AppRunner) -> AsyncIterator[str]:
    """Serve behind a runner on a free loopback port; the address."""
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


def head(method: str, path: str, *headers: str) -> bytes:
    """A request's head for a connection that is closed after the answer."""
    lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", JSON, *headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def exchange(url: str, *parts: bytes) -> tuple[bytes, bool]:
    """Send bytes, each part after a turn of the server's; the answer, and whether it closed."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await settle(url)
        async with asyncio.timeout(5):
            return await reader.read(), True
    except TimeoutError:
        return b"", False
    finally:
        writer.close()
        await writer.wait_closed()


async def settle(url: str) -> None:
    """Come back when the server has read what was sent before: it answers in order of arrival."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /_esinfer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()


def split(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Status line, headers in lower case, body."""
    top, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = top.split(b"\r\n")
    return status, [header.lower() for header in headers], body
