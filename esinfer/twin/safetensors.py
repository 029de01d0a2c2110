"""Weights out of a file in the safetensors format, mapped into memory, not read.

Eight bytes give the length of a JSON header, little-endian; the header gives
each tensor's type, shape and place behind it. Source:
https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTH_BYTES = 8


def read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every float32 tensor of a file by its name; tensors of other types are left out."""
    content = np.memmap(path, np.uint8, mode="r")
    length = int.from_bytes(content[:_LENGTH_BYTES].tobytes(), "little")
    start = _LENGTH_BYTES + length
    header = orjson.loads(content[_LENGTH_BYTES:start].tobytes())
    tensors = {}
    for name, tensor in header.items():
        if tensor.get("dtype") == "F32":
            first, last = tensor["data_offsets"]
            flat = np.asarray(content[start + first : start + last]).view("<f4")
            tensors[name] = flat.reshape(tensor["shape"])
    return tensors
