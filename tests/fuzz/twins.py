"""What is thrown at the twin's own port, and what may come back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiohttp import web
from hypothesis import strategies as st

from esinfer.app import make_twin
from esinfer.config import load
from esinfer.twin.protocol import make_runner
from tests.fuzz import wire
from tests.fuzz.answers import odd_json
from tests.fuzz.server import OPTIONS, Server, serve
from tests.fuzz.wire import Sent, Words, final_answers

PROFILES: Final = ("tei-1.9", "toolkit", "tgi")
TARGETS: Final = [
    *[b"/", b"/embed", b"/embed_all", b"/embed_sparse", b"/rerank", b"/predict", b"/similarity"],
    *[b"/tokenize", b"/decode", b"/v1/embeddings", b"/v1/chat/completions", b"/v1/completions"],
    *[b"/vertex", b"/invocations", b"/generate", b"/generate_stream", b"/chat_tokenize", b"/elser"],
    *[b"/info", b"/health", b"/metrics", b"/ping", b"/docs", b"/predict?a=%ff&=", b"/embed/"],
    b"/predict?top_k=" + b"7" * 5000,
    *[
        b"/__twin/upstreams",
        b"/__twin/upstreams/default/log",
        b"/__twin/upstreams/default/log?size=x",
        b"/%C3%A9%00%2F",
        b"//",
    ],
]
BODIES: Final = [
    *wire.BODIES,
    b'{"inputs":"a fox"}',
    b'{"inputs":["a fox",""],"truncate":true,"normalize":null,"dimensions":1e99}',
    b'{"inputs":[[1,2,99999999999999999999]],"truncation_direction":"up"}',
    b'{"inputs":[["a","b"],["c"]]}',
    b'{"inputs":{"source_sentence":"a","sentences":["b",3]},"parameters":{"top_k":-1}}',
    b'{"inputs":"a fox","parameters":{"max_new_tokens":-5,"seed":1e40,"stop":[7]},"stream":true}',
    b'{"query":"a","texts":["b","c"],"raw_scores":true,"return_text":1}',
    b'{"query":"\\ud800","texts":[]}',
    b'{"input":["a",[1,-1]],"encoding_format":"base64","model":7}',
    b'{"instances":[{"inputs":"a"},{"inputs":{}}]}',
    b'{"ids":[[0,7,4294967296]]}',
    b'{"messages":[{"role":"user","content":"a fox"}],"stream":true,"max_tokens":3}',
    b'{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"max_tokens":-1}',
    b'{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":'
    b'{"name":"f","arguments":{"type":["x"]}}}],"tool_choice":"required","stream":true}',
    b'{"messages":[{"role":"' + b"a" * 9000 + b'"}]}',
    b'{"inputs":' + b"[" * 1000 + b"]" * 1000 + b"}",
    b'{"inputs":"' + b"a " * 40_000 + b'"}',
    b'{"inputs":[' + b'"a",' * 40 + b'"a"]}',
    b'{"faults":[{"kind":"reset","times":0}]}',
]


@contextmanager
def serve_twin(profile: str) -> Iterator[Server]:
    """``esinfer twin`` of that profile; it stops with the block."""
    config = load(None, {}, [f"twin.profile={profile}", "twin.model=hash", "twin.dimensions=8"])

    def make() -> web.AppRunner:
        return make_runner(make_twin(config), **OPTIONS)

    with serve(make, alive="/health") as server:
        yield server


def sent_to_twins() -> Mapping[str, st.SearchStrategy[Sent]]:
    """What to throw at a twin, by name."""
    words = Words(TARGETS, BODIES, b"/health")
    return {
        "made-up requests": _made_up_requests(),
        "good bytes": wire.good_requests(words),
        "odd bytes": wire.odd_bytes(words),
    }


def _made_up_requests() -> st.SearchStrategy[Sent]:
    """JSON of a model server's, with odd values in it, to any of its routes."""
    good = [body for body in BODIES if body[:1] == b"{" and len(body) < 1000 and _is_json(body)]
    body = st.sampled_from(good).flatmap(odd_json)
    return st.tuples(st.sampled_from(TARGETS), body).map(_post)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _post(made: tuple[bytes, bytes]) -> Sent:
    target, body = made
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % target
    form = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return Sent((head + form + body,), 1)


def judge_twin(answer: bytes, sent: Sent) -> None:
    """AssertionError if the answers cannot be those of a server that is well."""
    final = final_answers(answer)
    assert all(each[1] < b"500" for each in final), answer
    if sent.answers is not None:
        assert len(final) == sent.answers, (len(final), answer)
