"""What a model that TEI serves can do, and how TEI refuses the rest.

One server has one model. The twin has one too if it is told which; else it is
every kind of model at once.

Source: text-embeddings-inference 1.9 ``infer.rs``, ``server.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from esinfer.twin.answers import backend_failure


class Task(StrEnum):
    """What kind of model is served, which decides what ``POST /`` does."""

    EMBEDDING = "embedding"
    SENTENCE_SIMILARITY = "sentence-similarity"
    """An embedding model, served with ``TASK=sentence-similarity``."""
    SPLADE = "splade"
    RERANKER = "reranker"
    CLASSIFIER = "classifier"


_EMBEDDING: Final = (None, Task.EMBEDDING, Task.SENTENCE_SIMILARITY)
RERANKER_LABELS: Final = ("LABEL_0",)
CLASSIFIER_LABELS: Final = ("negative", "positive")


def check_embedding(task: Task | None) -> None:
    """Refuse what needs vectors, from a model that has none."""
    if task not in (*_EMBEDDING, Task.SPLADE):
        raise backend_failure("Model is not an embedding model")


def check_token_vectors(task: Task | None) -> None:
    """Refuse what needs a vector for each token."""
    check_embedding(task)
    if task is Task.SPLADE:
        raise backend_failure("`embed_all` is not available for SPLADE models")


def check_normalize(task: Task | None, *, normalize: bool) -> None:
    """Refuse what needs vectors, and those of SPLADE normalised."""
    check_embedding(task)
    if task is Task.SPLADE and normalize:
        raise backend_failure("`normalize` is not available for SPLADE models")


def check_splade(task: Task | None) -> None:
    """Refuse what needs sparse vectors."""
    if task not in (None, Task.SPLADE):
        raise backend_failure("Model is not an embedding model with SPLADE pooling")


def check_classifier(task: Task | None) -> None:
    """Refuse what needs a classifier, which a re-ranker is too."""
    if task not in (None, Task.CLASSIFIER, Task.RERANKER):
        raise backend_failure("Model is not a classifier model")


def check_reranker(task: Task | None) -> None:
    """Refuse what needs a re-ranker."""
    if task not in (None, Task.RERANKER):
        raise backend_failure("model is not a re-ranker model")


def labels(task: Task | None) -> Sequence[str]:
    """The labels that ``/predict`` tells apart."""
    return RERANKER_LABELS if task is Task.RERANKER else CLASSIFIER_LABELS


def model_type(task: Task | None, pooling: str) -> Mapping[str, object]:
    """What ``/info`` says of the kind of model; every kind at once is an embedding model."""
    if task in _EMBEDDING:
        return {"embedding": {"pooling": pooling}}
    if task is Task.SPLADE:
        return {"embedding": {"pooling": "splade"}}
    names = labels(task)
    by_id = {str(number): name for number, name in enumerate(names)}
    by_label = {name: number for number, name in enumerate(names)}
    return {str(task): {"id2label": by_id, "label2id": by_label}}
