"""Odd bytes for ``esinfer serve`` with credentials and a bound on how long a request may take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiohttp import web
from hypothesis import strategies as st

from esinfer.api.protocol import make_runner
from esinfer.app import make_app
from esinfer.config import load
from esinfer.connection import ConnectionLimits
from esinfer.security.hashes import hash_key
from tests.fuzz import wire
from tests.fuzz.server import OPTIONS, Log, Server, serve
from tests.fuzz.wire import Sent, Words, final_answers

TOKEN: Final = "ABitOfAToken0123456789"
_CREDENTIALS: Final = f"""
[tokens.ci]
token_hash = "{hash_key(TOKEN.encode())}"
roles = ["read"]
"""
_RECEIVE_TIMEOUT: Final = 0.05
_STATUSES: Final = {b"400", b"401", b"405", b"408", b"413", b"417"}
"""Of answers to whoever shows no credentials: what is no HTTP, comes too late, or is refused."""

_WORDS: Final = Words(wire.TARGETS, wire.BODIES, b"/_esinfer/health")


@contextmanager
def serve_guarded() -> Iterator[Server]:
    """A server that asks for credentials and does not wait long; it stops with the block."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "credentials.toml"
        path.write_text(_CREDENTIALS)
        config = load(None, {}, ["store.kind=memory", f"security.credentials={path}"])

        def make() -> web.AppRunner:
            limits = ConnectionLimits(receive_timeout=_RECEIVE_TIMEOUT)
            options = {**OPTIONS, "keepalive_timeout": 3 * _RECEIVE_TIMEOUT}
            return make_runner(make_app(config), limits=limits, **options)

        with serve(make, alive="/_esinfer/health", log=Log(secret=TOKEN)) as server:
            yield server


def odd_bytes() -> st.SearchStrategy[Sent]:
    """Odd bytes of clients, half of which never hang up."""
    return st.tuples(wire.odd_bytes(_WORDS), st.booleans()).map(
        lambda made: replace(made[0], waits=made[1])
    )


def judge_guarded(answer: bytes, _sent: Sent) -> None:
    """AssertionError if anybody was let in, or refused in another than Elasticsearch's form."""
    final = final_answers(answer)
    ends = [*(each.start() for each in final[1:]), len(answer)]
    for each, end in zip(final, ends, strict=False):
        head, body = each[2].lower(), answer[each.end() : end]
        assert b"x-elastic-product: elasticsearch\r\n" in head, answer
        assert each[1] in _STATUSES or head.startswith(b"allow: "), answer
        if body and b"application/json" in head and b"content-encoding" not in head:
            assert json.loads(body)["error"], answer
