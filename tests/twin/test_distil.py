import numpy as np
import pytest

from esinfer.twin import distil
from esinfer.twin.bert import Encoder
from esinfer.twin.distil import Table, main, principal, quantise, single_tokens
from esinfer.twin.minilm import HEADS, WEIGHTS
from esinfer.twin.safetensors import read_tensors
from esinfer.twin.static import NATIVE, PEAK, SCALES, TABLE, UNIT
from esinfer.twin.wheel import find_model
from esinfer.twin.wordpiece import FIRST, MODELS, WordPiece
from tests.twin.test_minilm import needs_wheel

ROWS = np.random.default_rng(3).normal(size=(200, 12)) * np.arange(12, 0, -1)
SHIPPED = Table(np.load(MODELS / TABLE), np.load(MODELS / SCALES), 0.25)


def test_principal_axes_are_the_widest_first_and_independent() -> None:
    turned = principal(ROWS, 5)
    spread = turned.T @ turned
    assert np.diag(spread).tolist() == sorted(np.diag(spread), reverse=True)
    assert spread == pytest.approx(np.diag(np.diag(spread)), abs=1e-8)


def test_all_axes_together_keep_the_distances() -> None:
    turned = principal(ROWS, 12)
    centred = ROWS - ROWS.mean(axis=0)
    assert turned @ turned.T == pytest.approx(centred @ centred.T, abs=1e-8)


def test_the_signs_of_the_axes_do_not_depend_on_those_that_eigh_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = principal(ROWS, 5)
    eigh = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: (None, -eigh(matrix)[1]))
    assert np.array_equal(principal(ROWS, 5), expected)


def test_rows_and_scales_give_the_numbers_back_as_light_as_they_are_worth() -> None:
    worths = np.linspace(0.01, 1, 200)
    table = quantise(ROWS, worths)
    assert (table.rows.dtype.name, table.scales.dtype.name) == ("int8", "uint16")
    assert not table.rows[0].any()
    assert (np.abs(table.rows[1:]).max(axis=1) == PEAK).all()
    unit = UNIT / np.median(np.linalg.norm(ROWS, axis=1))
    restored = table.rows[1:] * table.scales[1:, None].astype(float) / unit
    assert restored == pytest.approx(ROWS * worths[:, None], abs=0.3)
    assert 0 < table.margin < 0.01


@needs_wheel
def test_the_shipped_table_holds_what_the_model_makes_of_single_tokens() -> None:
    ids = np.arange(2000, 30_000, 200)
    encoder = Encoder(read_tensors(find_model() / WEIGHTS), heads=HEADS)
    exact = single_tokens(encoder, ids)
    rows = SHIPPED.rows[ids - FIRST + 1].astype(float)
    mean = exact.mean(axis=0)
    cosines = np.array([_cosines(exact - mean), _cosines(rows - rows.mean(axis=0))])
    assert np.corrcoef(cosines)[0][1] > 0.97


def _cosines(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines: list[float] = (unit @ unit.T)[np.triu_indices(len(unit), 1)].tolist()
    return cosines


def test_every_token_but_special_ones_has_a_row() -> None:
    count = len(WordPiece()) - FIRST
    assert SHIPPED.rows.shape == (count + 1, NATIVE)
    assert SHIPPED.scales.shape == (count + 1,)
    assert (SHIPPED.scales[1:] > 0).all()


@pytest.fixture
def _model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distil, "find_model", lambda: MODELS)


@pytest.mark.usefixtures("_model")
def test_a_table_is_compared_with_the_shipped_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distil, "distil", lambda _folder: SHIPPED)
    assert main(["--check"]) == 0
    changed = SHIPPED.rows.copy()
    changed[7, 7] ^= 1
    monkeypatch.setattr(distil, "distil", lambda _folder: SHIPPED._replace(rows=changed))
    assert main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "nearest number to a rounding tie: 2.5e-01",
        "numbers that differ from the shipped table: 0, scales: 0",
        "nearest number to a rounding tie: 2.5e-01",
        "numbers that differ from the shipped table: 1, scales: 0",
    ]


@pytest.mark.usefixtures("_model")
def test_a_table_is_written_as_it_is_shipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("models")
    monkeypatch.setattr(distil, "MODELS", folder)
    monkeypatch.setattr(distil, "distil", lambda _folder: SHIPPED)
    assert main([]) == 0
    for name in (TABLE, SCALES):
        assert (folder / name).read_bytes() == (MODELS / name).read_bytes()
