from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_aiohttp import AiohttpClient

from esinfer.app import make_twin
from esinfer.config import load
from esinfer.twin.embedders import minilm_embedder
from esinfer.twin.minilm import MiniLmEmbedder
from esinfer.twin.wheel import ModelNotInstalled, find_model
from tests.twin.test_wordpiece import GOLDEN


def installed() -> bool:
    try:
        find_model()
    except ModelNotInstalled:
        return False
    return True


needs_wheel = pytest.mark.skipif(
    not installed(), reason="all-MiniLM-L6-v2 is not installed: run `make minilm`"
)
pytestmark = needs_wheel

TEXTS = ["a fox", "The quick brown fox jumps over the lazy dog.", "", "☃ and 東京", "word " * 40]


def embed(texts: Sequence[str], embedder: MiniLmEmbedder) -> NDArray[np.float32]:
    return embedder.dense([[101, *embedder.split(text), 102] for text in texts])


@pytest.fixture(scope="module")
def model() -> MiniLmEmbedder:
    return MiniLmEmbedder(find_model(), 384)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["text"][:20])
def test_vectors_are_those_of_sentence_transformers(
    golden: dict[str, Any], model: MiniLmEmbedder
) -> None:
    text = "word " * 400 if "x400" in golden["text"] else golden["text"]
    own = model.split(text)[:254]
    [vector] = model.dense([[101, *own, 102]])
    assert len(own) + 2 == golden["n_tokens"]
    assert vector[:8] == pytest.approx(golden["first8"], abs=1e-5)
    assert np.linalg.norm(vector) == pytest.approx(golden["norm"], abs=1e-5)


async def test_the_model_is_served_as_text_embeddings_inference_serves_it(
    aiohttp_client: AiohttpClient,
) -> None:
    client = await aiohttp_client(make_twin(load(None, {}, ["twin.model=minilm"])))
    async with client.post("/embed", json={"inputs": ["word " * 400, "test"]}) as response:
        assert response.headers["x-compute-tokens"] == str(256 + 3)
        vectors = await response.json()
    expected = {golden["text"][:4]: golden["first8"] for golden in GOLDEN}
    assert vectors[0][:8] == pytest.approx(expected["word"], abs=1e-5)
    assert vectors[1][:8] == pytest.approx(expected["test"], abs=1e-5)
    async with client.get("/info") as response:
        assert (await response.json())["max_input_length"] == 256


def test_the_batch_changes_no_vector_by_more_than_a_millionth(model: MiniLmEmbedder) -> None:
    together = embed(TEXTS, model)
    alone = np.vstack([embed([text], model) for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-6)


def test_a_hundred_texts_are_embedded_in_several_passes(model: MiniLmEmbedder) -> None:
    texts = [f"text number {index} {'again ' * (index % 20)}" for index in range(100)]
    assert embed(texts, model)[[0, 99]] == pytest.approx(
        embed([texts[0], texts[99]], model), abs=1e-6
    )


def test_no_text_gives_no_rows(model: MiniLmEmbedder) -> None:
    assert model.dense([]).shape == (0, 384)


def test_token_vectors_have_the_text_as_their_mean(model: MiniLmEmbedder) -> None:
    tokens = [101, *model.split("a quick ☃ fox"), 102]
    rows = model.token_vectors(tokens)
    assert rows.shape == (6, 384)
    [mean] = model.dense([tokens], normalize=False)
    assert rows.mean(axis=0) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("dimensions", [385, 768, 4096])
def test_longer_vectors_have_the_same_cosines(dimensions: int, model: MiniLmEmbedder) -> None:
    longer = embed(TEXTS, MiniLmEmbedder(find_model(), dimensions))
    assert longer.shape == (5, dimensions)
    native = embed(TEXTS, model)
    assert longer @ longer.T == pytest.approx(native @ native.T, abs=1e-5)


def test_shorter_vectors_are_cut_and_normalised(model: MiniLmEmbedder) -> None:
    short = embed(TEXTS, MiniLmEmbedder(find_model(), 64))
    cut = embed(TEXTS, model)[:, :64]
    assert short == pytest.approx(cut / np.linalg.norm(cut, axis=1, keepdims=True), abs=1e-6)
    tokens = [[101, *model.split(text), 102] for text in TEXTS]
    assert model.dense(tokens, dimensions=64) == pytest.approx(short, abs=1e-6)


def test_unknown_numbers_and_pieces_are_the_unknown_token(model: MiniLmEmbedder) -> None:
    rows = model.dense([[101, 100, 102], [101, 30_522, 102], [101, "☃", 102]])
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])


def test_no_more_is_read_than_the_model_has_places_for(model: MiniLmEmbedder) -> None:
    rows = model.dense([[2773] * 512, [2773] * 600])
    assert rows[0] == pytest.approx(rows[1], abs=1e-6)


@pytest.mark.parametrize("dimensions", [-1, 0, 4097])
def test_other_lengths_are_refused(dimensions: int) -> None:
    with pytest.raises(ValueError, match=r"^dimensions must be between 1 and 4096$"):
        MiniLmEmbedder(Path(), dimensions)


def test_one_embedder_for_each_length() -> None:
    assert minilm_embedder(384) is minilm_embedder(384)
