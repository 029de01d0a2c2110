import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from esinfer.twin.embedders import Embedder, hashing_embedder, static_embedder
from esinfer.twin.profiles import make_server
from tests.twin.asking import post


def test_the_twin_is_imported_without_numpy() -> None:
    """Neither starting up nor a chat waits for numpy or tokenizers: the first text loads them."""
    code = (
        "import sys, esinfer.twin.app, esinfer.twin.tei as tei\n"
        "twin = tei.Twin()\n"
        "request = tei.TwinRequest(method='GET', path='/info', headers={})\n"
        "print(twin.answer(request).status, {'numpy', 'tokenizers'} & set(sys.modules) != set())\n"
        'chat = b\'{"messages": [{"role": "user", "content": "a"}]}\'\n'
        "answer = twin.run(tei.Kind.CHAT, {'content-type': 'application/json'}, chat)\n"
        "print(answer.status, 'numpy' in sys.modules)\n"
        "twin.run(tei.Kind.EMBED, {'content-type': 'application/json'}, b'{\"inputs\": \"a\"}')\n"
        "print('numpy' in sys.modules)"
    )
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        [sys.executable, "-W", "error", "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.split() == ["200", "False", "200", "False", "True"]


@pytest.mark.parametrize("embedder", [hashing_embedder, static_embedder])
def test_one_embedder_for_each_length(embedder: Callable[[int], Embedder]) -> None:
    assert embedder(8) is embedder(8)
    assert embedder(8).dimensions == 8


@pytest.mark.parametrize("embedder", [hashing_embedder, static_embedder])
def test_embedders_of_many_lengths_are_not_all_kept(
    embedder: Callable[[int], Embedder],
) -> None:
    kept = [weakref.ref(_vectors(embedder(length))) for length in range(20, 40)]
    gc.collect()
    alive = [index for index, vector in enumerate(kept) if vector() is not None]
    assert alive == [16, 17, 18, 19]
    assert embedder(39) is embedder(39)


def _vectors(embedder: Embedder) -> object:
    """What an embedder remembers its vectors with, which can be referred to weakly."""
    remembered: object = embedder._vector  # type: ignore[attr-defined]
    return remembered


REFUSED = [
    ("tei-1.9", None, "/embed", b'{"inputs": 5}', 422),
    ("tei-1.9", None, "/embed", b"{", 400),
    ("tei-1.9", None, "/embed", {"inputs": ["a"] * 33}, 422),
    ("tei-1.9", None, "/embed", {"inputs": ""}, 400),
    ("tei-1.9", None, "/rerank", {"query": "a", "texts": []}, 400),
    ("tei-1.9", None, "/predict", {"inputs": 5}, 422),
    ("tei-1.9", None, "/tokenize", {"inputs": 5}, 422),
    ("tei-1.9", None, "/vertex", {"instances": [5]}, 422),
    ("tei-1.9", None, "/v1/embeddings", {"inputs": "a"}, 422),
    ("toolkit", "sentence-embeddings", "/", {"inputs": [5]}, 400),
    ("toolkit", "sentence-similarity", "/", {"inputs": "a"}, 400),
    ("toolkit", "feature-extraction", "/", {"inputs": 5}, 400),
    ("elser", None, "/", {"inputs": 5}, 400),
]


@pytest.mark.parametrize(("profile", "task", "path", "body", "status"), REFUSED)
def test_what_is_refused_before_a_text_is_cut_loads_no_embedder(
    profile: str, task: str | None, path: str, body: bytes | dict[str, object], status: int
) -> None:
    def load(dimensions: int) -> Embedder:
        raise AssertionError(dimensions)

    server = make_server(profile, task=task, embedder=load)
    assert post(server, path, body).status == status
