import math

import numpy as np
import orjson
import pytest

from esinfer.twin.bert import Encoder, _erf
from esinfer.twin.safetensors import read_tensors

WIDTH, HEADS, LAYERS, INNER, LONGEST, WORDS = 8, 2, 2, 16, 12, 20


def tensors() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """The weights of a tiny BERT, random but always the same."""
    random = np.random.default_rng(5)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.position_embeddings.weight": (LONGEST, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for index in range(LAYERS):
        name = f"encoder.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{name}.attention.{part}.weight"] = (WIDTH, WIDTH)
        shapes[f"{name}.intermediate.dense.weight"] = (INNER, WIDTH)
        shapes[f"{name}.output.dense.weight"] = (WIDTH, INNER)
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    matrices = [name for name in shapes if "encoder" in name]
    shapes |= {name.replace("weight", "bias"): shapes[name][:1] for name in matrices}
    shapes |= {f"{norm}.{part}": (WIDTH,) for norm in norms for part in ("weight", "bias")}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


ENCODER = Encoder(tensors(), heads=HEADS)


def test_the_weights_tell_the_size() -> None:
    assert (ENCODER.width, ENCODER.longest) == (WIDTH, LONGEST)


def test_what_fills_a_text_up_does_not_change_it() -> None:
    ids = np.array([[3, 1, 4, 0, 0], [1, 5, 9, 2, 6]])
    mask = np.array([[True, True, True, False, False], [True] * 5])
    together = ENCODER.encode(ids, mask)
    assert together.shape == (2, 5, WIDTH)
    alone = ENCODER.encode(ids[:1, :3], mask[:1, :3])
    assert together[0, :3] == pytest.approx(alone[0], abs=1e-5)


def test_every_token_sees_every_other() -> None:
    mask = np.ones((1, 3), np.bool_)
    one = ENCODER.encode(np.array([[3, 1, 4]]), mask)
    other = ENCODER.encode(np.array([[3, 1, 5]]), mask)
    assert (np.abs(one - other)[0].max(axis=1) > 1e-3).all()


def test_the_place_of_a_token_counts() -> None:
    [hidden] = ENCODER.encode(np.array([[3, 3]]), np.ones((1, 2), np.bool_))
    assert np.abs(hidden[0] - hidden[1]).max() > 1e-3


def test_more_exact_numbers_give_nearly_the_same() -> None:
    ids, mask = np.array([[3, 1, 4, 1]]), np.ones((1, 4), np.bool_)
    exact = Encoder(tensors(), heads=HEADS, dtype=np.float64).encode(ids, mask)
    assert exact.dtype == np.float64
    assert ENCODER.encode(ids, mask).dtype == np.float32
    assert ENCODER.encode(ids, mask) == pytest.approx(exact, abs=1e-4)


def test_the_error_function_is_that_of_the_standard_library() -> None:
    values = np.linspace(-6, 6, 1001)
    expected = [math.erf(value) for value in values]
    assert _erf(values) == pytest.approx(expected, abs=1.6e-7)


def test_tensors_are_read_out_of_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    matrix, numbers = np.arange(6, dtype="<f4").reshape(2, 3), np.arange(2, dtype="<i8")
    header = orjson.dumps(
        {
            "__metadata__": {"format": "pt"},
            "ids": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]},
            "matrix": {"dtype": "F32", "shape": [2, 3], "data_offsets": [16, 40]},
        }
    )
    length = len(header).to_bytes(8, "little")
    path.write_bytes(length + header + numbers.tobytes() + matrix.tobytes())
    read = read_tensors(path)
    assert list(read) == ["matrix"]
    assert np.array_equal(read["matrix"], matrix)
