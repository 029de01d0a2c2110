"""Embeddings in a recording: compact, and exactly the numbers that the upstream wrote.

What a server computes in float32 is kept as its bytes, in base64: four bytes a
number where JSON takes ten to twenty. Servers print such a number in two ways,
as the shortest text that rounds to it (text-embeddings-inference) or as the
double it is (the Inference Toolkit); both come back as they were.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from esinfer.replay.problems import Misfit

if TYPE_CHECKING:
    from numpy import float32, float64
    from numpy.typing import NDArray

_SHORTEST: Final = "float32"
_AS_DOUBLE: Final = "float32_as_float64"
_DOUBLE: Final = "float64"
_SIZES: Final[Mapping[str, int]] = {_SHORTEST: 4, _AS_DOUBLE: 4, _DOUBLE: 8}

Packed = Mapping[str, str] | Sequence[float]
"""``{format: base64 of little-endian numbers}``, or the numbers where some are no floats."""


def pack(row: Sequence[float]) -> Packed:
    """The compact form of a vector, from which ``unpack`` makes the same numbers."""
    import numpy as np  # noqa: PLC0415 -- not at start-up: loading it takes a fifth of a second

    if not all(type(value) is float for value in row):
        return list(row)  # an integer is printed without a point
    doubles = np.array(row, dtype=np.float64)
    with np.errstate(over="ignore"):
        singles = doubles.astype(np.float32)
    if orjson.loads(dump(singles)) == list(row):
        return {_SHORTEST: _encode(singles.astype("<f4").tobytes())}
    if np.array_equal(singles.astype(np.float64), doubles):
        return {_AS_DOUBLE: _encode(singles.astype("<f4").tobytes())}
    return {_DOUBLE: _encode(doubles.astype("<f8").tobytes())}


def unpack(packed: Packed) -> NDArray[float32] | NDArray[float64] | Sequence[float]:
    """The numbers, of the type in which ``dump`` writes them as they were."""
    import numpy as np  # noqa: PLC0415 -- see above

    if not isinstance(packed, Mapping):
        return packed
    ((name, text),) = packed.items()
    numbers = np.frombuffer(base64.b64decode(text), dtype="<f8" if name == _DOUBLE else "<f4")
    return numbers.astype(np.float32) if name == _SHORTEST else numbers.astype(np.float64)


def check(packed: Any) -> None:
    """Raise Misfit unless ``unpack`` can read it."""
    if isinstance(packed, list) and all(type(value) in (int, float) for value in packed):
        return
    if not isinstance(packed, dict) or len(packed) != 1 or not packed.keys() <= _SIZES.keys():
        formats = ", ".join(_SIZES)
        raise Misfit(f"an embedding must be a list of numbers or base64 in one of {formats}")
    ((name, text),) = packed.items()
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise Misfit(f"the embedding's {name} is not base64") from error
    if size % _SIZES[name]:
        raise Misfit(f"the embedding's {name} ends within a number")


def dump(document: object) -> bytes:
    """JSON of a document that may hold unpacked vectors."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _encode(numbers: bytes) -> str:
    return base64.b64encode(numbers).decode("ascii")
