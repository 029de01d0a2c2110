import numpy as np
import pytest

from esinfer.twin.stretching import stretch

VECTORS = np.random.default_rng(7).normal(size=(20, 256))


@pytest.mark.parametrize("length", [256, 257, 384, 512, 1000, 1024, 4096])
def test_scalar_products_stay_what_they_were(length: int) -> None:
    stretched = stretch(VECTORS, length)
    assert stretched.shape == (20, length)
    assert stretched @ stretched.T == pytest.approx(VECTORS @ VECTORS.T, abs=1e-10)


def test_the_native_length_changes_nothing() -> None:
    assert np.array_equal(stretch(VECTORS, 256), VECTORS)


def test_no_component_is_left_at_zero() -> None:
    assert (stretch(VECTORS, 4096) != 0).all()


def test_a_single_vector_is_stretched_as_one_of_many() -> None:
    assert np.array_equal(stretch(VECTORS[3], 700), stretch(VECTORS, 700)[3])


def test_what_is_repeated_has_signs_of_its_own() -> None:
    repeated = stretch(np.ones(256), 1024)[256:]
    assert set(np.sign(repeated)) == {-1, 1}
