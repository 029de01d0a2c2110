"""Chunked inference: the inputs of one request in chunks, embedded in batches.

What Elasticsearch does when it indexes a ``semantic_text`` field. All batches
are sent at once; only the rate limit holds them back. A batch that fails
takes with it every input that has a chunk in it, and no other. Source:
chunking.md section 4, hugging_face.md section 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias, assert_never, cast

from esinfer import merging
from esinfer.chunking.settings import (
    DEFAULT,
    ChunkingSettings,
    NoneSettings,
    RecursiveSettings,
)
from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import (
    ChunkedInferenceNotSupported,
    ElasticsearchError,
    EmbeddingCountMismatch,
)
from esinfer.inference import Inference
from esinfer.services.base import Service
from esinfer.tasks import (
    DenseEmbeddings,
    EmbeddingRequest,
    InputType,
    SparseEmbedding,
    SparseEmbeddings,
)
from esinfer.threads import CHUNKING, LARGE, run_sized

if TYPE_CHECKING:
    from esinfer.chunking.chunker import Chunk
    from esinfer.merging import Vector

    Embedding: TypeAlias = Vector | SparseEmbedding

_CHARACTER_COST = 8
"""Chunking a character takes that many times longer than reading a byte of JSON."""
_INPUT_COST = 4000
"""The same of a text itself, however short."""
_MERGE_COST = 1000
"""The same of one embedding that is put back, if it is merged."""

MOST_RESULTS = 512
"""Chunks that an input is answered with; where it has more, neighbours are merged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedRequest:
    """Texts to embed in chunks; ``settings`` win over those of the endpoint."""

    inputs: tuple[str, ...]
    input_type: InputType | None = None
    settings: ChunkingSettings | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """A chunk, or several neighbours merged, with its embedding; offsets are UTF-16 code units."""

    start_offset: int
    end_offset: int
    text: str
    embedding: Embedding


ChunkedInput: TypeAlias = Sequence[EmbeddedChunk] | ElasticsearchError
"""What became of one input."""


async def run_chunked(
    inference: Inference,
    service: Service,
    endpoint: InferenceEndpoint,
    request: ChunkedRequest,
    timeout: float,
) -> list[ChunkedInput]:
    """One result an input, in order; each batch has ``timeout`` seconds.

    ChunkedInferenceNotSupported for a task that embeds nothing; whatever
    ``accept`` of the task or the chunking raises.
    """
    task = service.tasks[endpoint.task_type]
    if task.chunking is None:
        raise ChunkedInferenceNotSupported(task_type=endpoint.task_type)
    task.accept(endpoint, EmbeddingRequest(inputs=request.inputs, input_type=request.input_type))
    settings = request.settings or endpoint.chunking_settings or DEFAULT
    chunked = await chunk_all(request.inputs, NoneSettings() if task.chunking.whole else settings)
    texts = [chunk.text for chunks in chunked for chunk in chunks]
    size = task.chunking.batch_size or len(texts)
    batches = [texts[start : start + size] for start in range(0, len(texts), size)]
    send = partial(_send, inference, service, endpoint, request.input_type, timeout)
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(send(batch)) for batch in batches]
        inference.clock.share(sent)
    outcomes = [outcome for batch in sent for outcome in batch.result()]
    put_back = partial(_put_back, request.inputs, chunked, outcomes)
    return await run_sized(len(outcomes) * _MERGE_COST, put_back)


async def chunk_all(inputs: Sequence[str], settings: ChunkingSettings) -> list[list[Chunk]]:
    """The chunks of each text; many or long ones are cut beside the event loop."""

    def cut() -> list[list[Chunk]]:
        from esinfer.chunking.chunker import chunk  # noqa: PLC0415 - loads ICU and numpy

        return [chunk(text, settings) for text in inputs]

    cost = len(inputs) * _INPUT_COST + sum(map(len, inputs)) * _CHARACTER_COST
    # What a regex costs cannot be told from the text.
    is_long = cost >= LARGE or isinstance(settings, RecursiveSettings)
    return await CHUNKING.run(cut) if is_long else cut()


async def _send(
    inference: Inference,
    service: Service,
    endpoint: InferenceEndpoint,
    input_type: InputType | None,
    timeout: float,
    texts: Sequence[str],
) -> Sequence[Embedding | ElasticsearchError]:
    """One embedding a text, or for each the same error."""
    request = EmbeddingRequest(inputs=tuple(texts), input_type=input_type)
    try:
        result = await inference.run(service, endpoint, request, timeout)
        embeddings = _embeddings(cast("DenseEmbeddings | SparseEmbeddings", result))
        if len(embeddings) != len(texts):
            raise EmbeddingCountMismatch(found=len(embeddings), sent=len(texts))
    except ElasticsearchError as error:
        return [error] * len(texts)
    return embeddings


def _embeddings(result: DenseEmbeddings | SparseEmbeddings) -> Sequence[Embedding]:
    match result:
        case DenseEmbeddings():
            return result.vectors
        case SparseEmbeddings():
            return result.embeddings
        case _:
            assert_never(result)


def _put_back(
    inputs: Sequence[str],
    chunked: Sequence[Sequence[Chunk]],
    outcomes: Sequence[Embedding | ElasticsearchError],
) -> list[ChunkedInput]:
    """What belongs to each input, in the order of its chunks."""
    rest = iter(outcomes)
    return [
        _results(text, chunks, [next(rest) for _ in chunks])
        for text, chunks in zip(inputs, chunked, strict=True)
    ]


def _results(
    text: str, chunks: Sequence[Chunk], outcomes: Sequence[Embedding | ElasticsearchError]
) -> ChunkedInput:
    embeddings: list[Embedding] = []
    for outcome in outcomes:
        if isinstance(outcome, ElasticsearchError):
            return outcome
        embeddings.append(outcome)
    if len(chunks) > MOST_RESULTS:
        return list(_merged(text, chunks, embeddings))
    return [
        EmbeddedChunk(*chunk, embedding)
        for chunk, embedding in zip(chunks, embeddings, strict=True)
    ]


def _merged(
    text: str, chunks: Sequence[Chunk], embeddings: Sequence[Embedding]
) -> Iterator[EmbeddedChunk]:
    """The i-th of n chunks goes into result i * 512 / n, rounded down."""
    units = text.encode("utf-16-le")
    # The first chunk of a result is the first whose place does not round to the one before.
    bounds = [-(-slot * len(chunks) // MOST_RESULTS) for slot in range(MOST_RESULTS + 1)]
    for first, after in pairwise(bounds):
        start, end = chunks[first].start_offset, chunks[after - 1].end_offset
        part = units[2 * start : 2 * end].decode("utf-16-le")
        yield EmbeddedChunk(start, end, part, _merge(embeddings[first:after]))


def _merge(embeddings: Sequence[Embedding]) -> Embedding:
    """In the order of the chunks; in Elasticsearch in that of their arrival."""
    if isinstance(embeddings[0], SparseEmbedding):
        return merging.heaviest(cast("Sequence[SparseEmbedding]", embeddings))
    return merging.average(cast("Sequence[Vector]", embeddings))
