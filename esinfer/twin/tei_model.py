"""The model behind TEI's POST routes: the body of each, and its answer.

Each route checks in TEI's order: the shape of the body, emptiness and the size
of the batch, then whether the model can do it, then the inputs one by one.

Source: text-embeddings-inference 1.9 ``server.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from esinfer.twin import predict, rerank, tokenize, vertex
from esinfer.twin.answers import TwinAnswer, check_batch, failure
from esinfer.twin.embed import (
    Form,
    embed,
    indexed_weights,
    sparse_vectors,
    token_vectors,
    vectors,
    weights,
)
from esinfer.twin.embed_request import (
    EmbedRequest,
    load_all_request,
    load_embed_request,
    load_sparse_request,
)
from esinfer.twin.openai_embed import load_openai_request
from esinfer.twin.similarity import load_similarity_request, similarities
from esinfer.twin.tei_metrics import TeiMetrics
from esinfer.twin.tei_task import (
    Task,
    check_classifier,
    check_embedding,
    check_normalize,
    check_reranker,
    check_splade,
    check_token_vectors,
    labels,
)
from esinfer.twin.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TeiModel:
    """A model, of which ``take`` gives so many permits. Every method may raise Refused or
    MalformedBody.
    """

    name: str
    task: Task | None
    tokenizer: Tokenizer
    max_batch: int
    take: Callable[[int], bool]
    counts: TeiMetrics
    clock: Callable[[], float]

    def embed(self, body: bytes) -> TwinAnswer:
        """``/embed``: a vector for each input."""
        request = load_embed_request(body)
        self._admit(len(request.inputs))
        check_normalize(self.task, normalize=request.normalize)
        return self._embed(request, sparse_vectors if self.task is Task.SPLADE else vectors)

    def embed_all(self, body: bytes) -> TwinAnswer:
        """``/embed_all``: a vector for each token of each input."""
        request = load_all_request(body)
        self._admit(len(request.inputs))
        check_token_vectors(self.task)
        return self._embed(request, token_vectors)

    def embed_sparse(self, body: bytes) -> TwinAnswer:
        """``/embed_sparse``: numbered weights for each input."""
        request = load_sparse_request(body)
        self._admit(len(request.inputs))
        check_splade(self.task)
        return self._embed(request, indexed_weights)

    def elser(self, body: bytes) -> TwinAnswer:
        """``/elser``: weights by token for each input."""
        request = load_sparse_request(body)
        self._admit(len(request.inputs))
        return self._embed(request, weights)

    def similarity(self, body: bytes) -> TwinAnswer:
        """``/similarity``: how near each sentence is to the source."""
        request = load_similarity_request(body)
        self._admit(len(request.inputs))
        check_embedding(self.task)
        return self._embed(request, similarities)

    def openai(self, body: bytes) -> TwinAnswer:
        """``/v1/embeddings``: vectors in OpenAI's form."""
        request, form = load_openai_request(body, self.name)
        self._admit(len(request.inputs))
        check_normalize(self.task, normalize=True)
        return self._embed(request, form)

    def predict(self, body: bytes) -> TwinAnswer:
        """``/predict``: how well each label fits each input."""
        request = predict.load_predict_request(body)
        self._admit(len(request.inputs))
        check_classifier(self.task)
        found = labels(self.task)
        answer = predict.predict(request, self.tokenizer, found, clock=self.clock)
        self.counts.succeed(len(request.inputs))
        return answer

    def rerank(self, body: bytes) -> TwinAnswer:
        """``/rerank``: the texts, best first."""
        request = rerank.load_rerank_request(body)
        rerank.check_texts(request)
        check_reranker(self.task)
        self._admit(len(request.texts))
        answer = rerank.rerank(request, self.tokenizer, clock=self.clock)
        self.counts.succeed(len(request.texts))
        return answer

    def tokenize(self, body: bytes) -> TwinAnswer:
        """``/tokenize``: the tokens of each input."""
        request = tokenize.load_tokenize_request(body)
        return tokenize.tokenize(request, self.tokenizer, max_batch=self.max_batch)

    def decode(self, body: bytes) -> TwinAnswer:
        """``/decode``: the text of each list of token numbers."""
        request = tokenize.load_decode_request(body)
        return tokenize.decode(request, self.tokenizer, max_batch=self.max_batch)

    def default(self, body: bytes) -> TwinAnswer:
        """``/``: what the model is for."""
        match self.task:
            case Task.SENTENCE_SIMILARITY:
                return self.similarity(body)
            case Task.RERANKER:
                return self.rerank(body)
            case _:
                return self._instance(body)

    def vertex(self, body: bytes) -> TwinAnswer:
        """``/vertex``: several bodies of other routes in one."""
        return vertex.predictions(body, rerank=self.rerank, other=self._instance)

    def _instance(self, body: bytes) -> TwinAnswer:
        match self.task:
            case Task.SPLADE:
                return self.embed_sparse(body)
            case Task.CLASSIFIER | Task.RERANKER:
                return self.predict(body)
            case _:
                return self.embed(body)

    def _admit(self, count: int) -> None:
        """Let a batch in: one permit for each input, if it may be so large."""
        self.counts.begin(count)
        check_batch(count, self.max_batch)
        if not self.take(count):
            raise failure(429, "Model is overloaded", "Overloaded")

    def _embed(self, request: EmbedRequest, form: Form) -> TwinAnswer:
        answer = embed(request, self.tokenizer, form, clock=self.clock)
        self.counts.succeed(len(request.inputs))
        return answer
