import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from esinfer.twin.embedders import Embedder, hashing_embedder, static_embedder


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
