import numpy as np
import orjson
import pytest

from esinfer.twin import json_rows
from esinfer.twin.json_rows import DOUBLE, SINGLE, join, write_rows

ROWS = np.random.default_rng(7).normal(size=(9, 5)).astype(np.float32)


@pytest.mark.parametrize("part", [1, 7, 10, 45, 1000])
def test_parts_are_joined_to_what_is_written_at_once(
    monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(json_rows, "_PART", part)
    whole = orjson.dumps(ROWS, option=orjson.OPT_SERIALIZE_NUMPY)
    assert write_rows(ROWS, SINGLE) == whole
    assert write_rows(np.asfortranarray(ROWS)) == whole


def test_doubles_have_the_digits_of_python() -> None:
    assert write_rows(ROWS, DOUBLE) == orjson.dumps(ROWS.tolist())


def test_nothing_is_an_empty_list() -> None:
    assert write_rows(np.empty((0, 5), np.float32)) == b"[]"
    assert join([]) == b"[]"
    assert join([b"1", b"[2]"]) == b"[1,[2]]"
