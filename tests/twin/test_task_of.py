"""Which task type a route of each server is for, which faults may be told to match."""

from __future__ import annotations

import pytest

from esinfer.twin.profiles import make_server

E5 = "/hf-inference/models/intfloat/e5-base-v2"


@pytest.mark.parametrize(
    ("profile", "task", "routes"),
    [
        (
            "tei-1.9",
            None,
            {
                "/": "text_embedding",
                "/invocations": "text_embedding",
                "/vertex": "text_embedding",
                "/embed": "text_embedding",
                "/embed_all": "text_embedding",
                "/similarity": "text_embedding",
                "/embeddings": "text_embedding",
                "/v1/embeddings": "text_embedding",
                "/embed_sparse": "sparse_embedding",
                "/elser": "sparse_embedding",
                "/rerank": "rerank",
                "/v1/chat/completions": "chat_completion",
                "/predict": None,
                "/tokenize": None,
                "/decode": None,
                "/health": None,
                "/nowhere": None,
            },
        ),
        ("tei-1.9", "reranker", {"/": "rerank", "/vertex": "rerank", "/elser": None}),
        ("tei-1.8", "splade", {"/": "sparse_embedding", "/invocations": "sparse_embedding"}),
        ("tei-1.8", "sentence-similarity", {"/": "text_embedding"}),
        ("tei-1.8", "classifier", {"/": None, "/v1/chat/completions": None}),
        ("toolkit", None, {"/": "text_embedding", "/predict": "text_embedding", "/embed": None}),
        ("toolkit", "feature-extraction", {"/": "text_embedding"}),
        ("toolkit", "sentence-ranking", {"/predict": "rerank", "/health": None}),
        ("elser", None, {"/": "sparse_embedding", "/predict": "sparse_embedding"}),
        ("tgi", None, {"/": "completion", "/v1/chat/completions": "chat_completion"}),
        ("vllm", None, {"/": None, "/v1/chat/completions": "chat_completion"}),
        (
            "serverless",
            None,
            {
                "/": None,
                "/v1/chat/completions": "chat_completion",
                E5: "text_embedding",
                f"{E5}/v1/chat/completions": "chat_completion",
                f"{E5}/pipeline/feature-extraction": "text_embedding",
                f"{E5}/pipeline/sentence-similarity": "text_embedding",
                f"{E5}/pipeline/text-ranking": "rerank",
                f"{E5}/pipeline/text-classification": None,
                f"{E5}/pipeline/image-to-text": None,
                "/hf-inference/models/BAAI/bge-reranker-base": "rerank",
            },
        ),
    ],
)
def test_a_route_is_for_a_task_type(
    profile: str, task: str | None, routes: dict[str, str | None]
) -> None:
    server = make_server(profile, task=task)
    assert {path: server.task_of("POST", path) for path in routes} == routes
    assert {server.task_of("GET", path) for path in routes} == {None}
