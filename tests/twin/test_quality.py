import re

import pytest

from esinfer.twin.embedders import EMBEDDERS, static_embedder
from tests.twin.quality import DOCUMENTS, PAIRS, QUERIES, accuracy, embedding, spearman
from tests.twin.test_minilm import needs_wheel


def test_there_is_enough_to_judge_by() -> None:
    assert len(PAIRS) >= 40
    assert {rating for rating, _, _ in PAIRS} == {0, 1, 2, 3, 4, 5}
    assert len(DOCUMENTS) == 12
    assert len(QUERIES) >= 15
    assert {document for document, _ in QUERIES} == set(range(12))


def content_words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 4}


def test_queries_are_paraphrases() -> None:
    """Nearly none shares a long word with its document, so words alone do not find it."""
    shared = [query for document, query in QUERIES
              if content_words(query) & content_words(DOCUMENTS[document])]  # fmt: skip
    assert len(shared) <= 3


@pytest.mark.parametrize("dimensions", [128, 256, 384, 768, 1024])
def test_the_static_table_knows_what_texts_mean(dimensions: int) -> None:
    embed = embedding(static_embedder(dimensions))
    assert spearman(embed) >= 0.65
    assert accuracy(embed) >= 0.75


@needs_wheel
def test_the_model_itself_knows_better() -> None:
    embed = embedding(EMBEDDERS["minilm"](384))
    assert spearman(embed) >= spearman(embedding(static_embedder(384)))
    assert accuracy(embed) >= 0.95


def test_the_lexical_embedder_does_not_know() -> None:
    embed = embedding(EMBEDDERS["hash"](384))
    assert spearman(embed) < 0.5
    assert accuracy(embed) < 0.5
