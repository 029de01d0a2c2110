"""Requests that are cut as Java cuts them, results in wire form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.errors import ElasticsearchError
from esinfer.rerank import RankedDocument, RerankRequest, RerankResult
from esinfer.tasks import (
    CompletionRequest,
    CompletionResult,
    DenseEmbeddings,
    EmbeddingRequest,
    SparseEmbedding,
    SparseEmbeddings,
    TaskType,
    cut_utf16,
    utf16_length,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


# -- task types -------------------------------------------------------------


@pytest.mark.parametrize("text", ["text_embedding", "TEXT_EMBEDDING", " Text_Embedding\n"])
def test_task_type_is_read_whatever_its_case(text: str) -> None:
    assert TaskType.parse(text) is TaskType.TEXT_EMBEDDING


@pytest.mark.parametrize("text", ["foo", "", "text-embedding", "text_embedding,rerank"])
def test_unknown_task_type_is_refused(text: str) -> None:
    with pytest.raises(ElasticsearchError) as raised:
        TaskType.parse(text)
    error = raised.value
    assert (error.status, error.type) == (400, "status_exception")
    assert error.reason == f"Unknown task_type [{text}]"


# -- cuts -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("", 0, ""),
        ("", 5, ""),
        ("abcd", 0, ""),
        ("abcd", 3, "abc"),
        ("abcd", 4, "abcd"),
        ("abcd", 9, "abcd"),
        ("éàü", 2, "éà"),
        ("日本語", 2, "日本"),
        ("😀", 0, ""),
        ("😀", 1, ""),
        ("😀", 2, "😀"),
        ("a😀b", 1, "a"),
        ("a😀b", 2, "a"),
        ("a😀b", 3, "a😀"),
        ("a😀b", 4, "a😀b"),
        ("😀😀😀", 5, "😀😀"),
        ("👩\u200d👧", 4, "👩\u200d"),  # joined emoji come apart between their characters
        ("e\u0301", 1, "e"),
        ("a\x00b", 2, "a\x00"),
    ],
)
def test_text_is_cut_at_utf16_units_and_never_inside_a_character(
    text: str, limit: int, cut: str
) -> None:
    assert cut_utf16(text, limit) == cut


@given(TEXTS, st.integers(0, 45))
def test_cut_is_the_longest_prefix_that_fits(text: str, limit: int) -> None:
    cut = cut_utf16(text, limit)
    assert text.startswith(cut)
    assert units(cut) <= limit
    longer = text[: len(cut) + 1]
    assert longer == text == cut or units(longer) > limit


@given(TEXTS)
def test_length_is_counted_in_utf16_units(text: str) -> None:
    assert utf16_length(text) == units(text)


def test_flags_tell_which_inputs_were_cut() -> None:
    cut = EmbeddingRequest(inputs=("abcd", "ab", "😀😀", "")).cut_to(3)
    assert cut.inputs == ("abc", "ab", "😀", "")
    assert cut.truncated == (True, False, True, False)


def test_inputs_that_fit_stay_the_same() -> None:
    request = EmbeddingRequest(inputs=("a", ""))
    assert request.cut_to(1).inputs == request.inputs
    assert request.cut_to(1).truncated == (False, False)


@pytest.mark.parametrize(
    ("factor", "lengths"),
    [(0.5, [4, 2, 1, 0]), (0.99, [4, 3, 2, 1, 0]), (0.01, [4, 0])],
)
def test_shortening_takes_the_floor_of_the_length(factor: float, lengths: list[int]) -> None:
    request = EmbeddingRequest(inputs=("abcd",))
    seen = [4]
    while request.inputs[0]:
        request = request.shortened(factor)
        seen.append(len(request.inputs[0]))
    assert seen == lengths


def test_shortening_counts_utf16_units() -> None:
    assert EmbeddingRequest(inputs=("😀😀😀", "ab😀")).shortened(0.5).inputs == ("😀", "ab")


def test_shortening_flags_the_last_cut_only() -> None:
    request = EmbeddingRequest(inputs=("abcd", "a", "")).cut_to(2)
    assert request.truncated == (True, False, False)
    once = request.shortened(0.5)
    assert (once.inputs, once.truncated) == (("a", "", ""), (True, True, False))
    twice = once.shortened(0.5)
    assert (twice.inputs, twice.truncated) == (("", "", ""), (True, False, False))


@pytest.mark.parametrize(
    "request_",
    [CompletionRequest(inputs=("abcd",)), RerankRequest(inputs=("abcd",), query="efgh")],
)
def test_prompts_and_documents_are_never_cut(request_: CompletionRequest | RerankRequest) -> None:
    assert request_.cut_to(1) is request_
    assert request_.shortened(0.5) is request_


# -- results ----------------------------------------------------------------


def vector(*numbers: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(numbers, dtype=np.float32)


def test_dense_result_has_one_object_an_input() -> None:
    result = DenseEmbeddings(vectors=[vector(0.1, 5e-4), vector(1, 2)])
    assert result.dimensions == 2
    assert result.to_json() == (
        b'{"text_embedding":[{"embedding":[0.1,5.0E-4]},{"embedding":[1.0,2.0]}]}'
    )


def test_dense_result_without_inputs_has_no_dimensions() -> None:
    assert DenseEmbeddings(vectors=[]).dimensions is None
    assert DenseEmbeddings(vectors=[]).to_json() == b'{"text_embedding":[]}'


def test_sparse_result_keeps_tokens_in_order() -> None:
    first = SparseEmbedding(
        tokens=("z", 'a"', "é"), weights=vector(1, 1e-5, float("inf")), is_truncated=True
    )
    second = SparseEmbedding(tokens=(), weights=vector(), is_truncated=False)
    assert SparseEmbeddings(embeddings=[first, second]).to_json().decode() == (
        '{"sparse_embedding":[{"is_truncated":true,'
        '"embedding":{"z":1.0,"a\\"":1.0E-5,"é":"Infinity"}},'
        '{"is_truncated":false,"embedding":{}}]}'
    )


def test_completion_result_has_one_object_a_text() -> None:
    assert CompletionResult(results=("a", '"\n')).to_json() == (
        b'{"completion":[{"result":"a"},{"result":"\\"\\n"}]}'
    )
    assert CompletionResult(results=()).to_json() == b'{"completion":[]}'


def test_rerank_result_prints_scores_as_java_prints_floats() -> None:
    documents = [
        RankedDocument(index=2, relevance_score=1e7, text="é"),
        RankedDocument(index=0, relevance_score=0.1, text=""),
        RankedDocument(index=1, relevance_score=5e-4),
    ]
    assert RerankResult(documents=documents).to_json().decode() == (
        '{"rerank":[{"index":2,"relevance_score":1.0E7,"text":"é"},'
        '{"index":0,"relevance_score":0.1,"text":""},{"index":1,"relevance_score":5.0E-4}]}'
    )
    assert RerankResult(documents=[]).to_json() == b'{"rerank":[]}'
