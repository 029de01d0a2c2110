"""Longer vectors out of shorter ones, with the same cosines and without components left at zero."""

from __future__ import annotations

from functools import lru_cache
from hashlib import shake_256
from typing import Any

import numpy as np
from numpy.typing import NDArray


@lru_cache(16)
def _plan(native: int, length: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each component the native one that it repeats, and the factor."""
    repeated = np.arange(length) % native
    times = np.bincount(repeated)
    bits = np.frombuffer(shake_256(b"signs").digest(length), np.uint8) & 1
    signs = np.where((bits == 1) & (np.arange(length) >= native), -1.0, 1.0)
    return repeated, signs / np.sqrt(times[repeated])


def stretch(vectors: NDArray[Any], length: int) -> NDArray[np.float64]:
    """Vectors (…, native) as (…, length), where ``length`` is at least the native one.

    Component by component the vector is repeated, from the second time on with
    signs. A component that comes n times is divided by √n each time, so every
    scalar product stays what it was. The same bits on every machine. Rows are
    contiguous, as whoever writes them to JSON expects.
    """
    repeated, factors = _plan(vectors.shape[-1], length)
    stretched: NDArray[np.float64] = np.multiply(vectors[..., repeated], factors, order="C")
    return stretched
