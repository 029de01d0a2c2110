"""``/_esinfer/chunk`` and ``…/chunked``: what Elasticsearch does inside ``semantic_text``.

Source: interface.md; chunking.md sections 1 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import orjson
from aiohttp import web

from esinfer import java
from esinfer.api import answers, body
from esinfer.api.endpoints import TIMEOUT
from esinfer.api.inference import UPSTREAM_ERRORS, find_endpoint
from esinfer.api.keys import NAMESPACE, REGISTRY
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import documented
from esinfer.api.responses import error_body, respond
from esinfer.api.schemas import INPUT, InputTypeField
from esinfer.chunked import ChunkedInput, ChunkedRequest, EmbeddedChunk, chunk_all, run_chunked
from esinfer.chunking import settings
from esinfer.errors import ActionRequestValidation, ElasticsearchError, IncompatibleTaskType
from esinfer.inference import default_timeout
from esinfer.json_schema import REFERENCE, Json, any_of, array, record
from esinfer.object_parser import MapField, ObjectParser, StringsField
from esinfer.tasks import SparseEmbedding, TaskType
from esinfer.threads import run_sized

if TYPE_CHECKING:
    from esinfer.chunking.chunker import Chunk


class ChunkingSettingsField(MapField):
    def json_schema(self) -> Json:
        return {REFERENCE: settings.JSON_SCHEMA}


class ChunkParser(ObjectParser):
    """The body of ``/_esinfer/chunk``."""

    parser_name = "esinfer/chunk"
    examples: ClassVar = {
        "sentences": {
            "input": "First sentence. Second one. And a third.",
            "chunking_settings": {
                "strategy": "sentence",
                "max_chunk_size": 20,
                "sentence_overlap": 0,
            },
        }
    }

    input = StringsField(metadata=INPUT)
    chunking_settings = ChunkingSettingsField()


class ChunkedParser(ChunkParser):
    """The body of a chunked inference; its settings win over the endpoint's."""

    parser_name = "esinfer/chunked"

    input_type = InputTypeField()


_CHUNK = ChunkParser()
_CHUNKED = ChunkedParser()


def _load(read: body.Body, parser: ChunkParser) -> ChunkedRequest:
    loaded = parser.parse(read.value, read.text)
    inputs = loaded.get("input")
    if not inputs:
        problem = "be null" if inputs is None else "be an empty array"
        raise ActionRequestValidation([f"Field [input] cannot {problem}"])
    given: Mapping[str, object] | None = loaded.get("chunking_settings")
    return ChunkedRequest(
        inputs=inputs,
        input_type=loaded.get("input_type"),
        settings=None if given is None else settings.load(given),
    )


@documented(
    "Cut texts into chunks",
    description="As Elasticsearch does for `semantic_text`; a list of chunks an input.",
    bodies=[_CHUNK],
    answer=record({"chunks": array(array(record(answers.CHUNK)))}),
    answer_examples={
        "sentences": {
            "chunks": [[{"start_offset": 0, "end_offset": 15, "text": "First sentence."}]]
        }
    },
    errors=[500],
)
async def chunk(request: web.Request) -> web.StreamResponse:
    """``POST /_esinfer/chunk``: the chunks of each input."""
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    asked = await body.load(request, data, partial(_load, parser=_CHUNK))
    body.check_inputs(request, asked.inputs)
    chunked = await chunk_all(asked.inputs, asked.settings or settings.DEFAULT)
    return await respond(request, await run_sized(_size(chunked), partial(_dump_chunks, chunked)))


_CHUNK_SIZE = 100
"""Bytes of JSON that a chunk takes beside its text."""
_EMBEDDING_SIZE = 5000
"""About as many take a text and its embedding."""


def _size(chunked: list[list[Chunk]]) -> int:
    return sum(_CHUNK_SIZE + len(chunk.text) for own in chunked for chunk in own)


def _dump_chunks(chunked: list[list[Chunk]]) -> bytes:
    return orjson.dumps({"chunks": [[chunk._asdict() for chunk in own] for own in chunked]})


_EMBEDDED = record({**answers.CHUNK, "embeddings": any_of(answers.EMBEDDING, answers.WEIGHTS)})


@documented(
    "Embed texts in chunks",
    description="An input whose embedding failed is an error in place of its list.",
    parameters=[TIMEOUT],
    bodies=[_CHUNKED],
    answer=record({"chunks": array(any_of(array(_EMBEDDED), record({"error": answers.CAUSE})))}),
    errors=UPSTREAM_ERRORS,
)
async def infer_chunks(request: web.Request) -> web.StreamResponse:
    """``POST /_esinfer/inference/{task_type}/{inference_id}/chunked``."""
    requested = TaskType.parse(request.match_info["task_type"])
    timeout = request[PARAMETERS].time("timeout")
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    asked = await body.load(request, data, partial(_load, parser=_CHUNKED))
    body.check_inputs(request, asked.inputs)
    endpoint = await find_endpoint(request)
    if requested not in (TaskType.ANY, endpoint.task_type):
        raise IncompatibleTaskType(requested=requested, stored=endpoint.task_type)
    results = await run_chunked(
        request[NAMESPACE].inference,
        request.app[REGISTRY].service(endpoint.service),
        endpoint,
        asked,
        timeout or default_timeout(endpoint.task_type),
    )
    found = [result for result in results if not isinstance(result, ElasticsearchError)]
    size = sum(map(len, found)) * _EMBEDDING_SIZE + len(results)
    return await respond(request, await run_sized(size, partial(_dump_results, results)))


def _dump_results(results: list[ChunkedInput]) -> bytes:
    return b'{"chunks":[' + b",".join(map(_dump_input, results)) + b"]}"


def _dump_input(result: ChunkedInput) -> bytes:
    if isinstance(result, ElasticsearchError):
        return orjson.dumps({"error": error_body(result)["error"]})
    return b"[" + b",".join(map(_dump_chunk, result)) + b"]"


def _dump_chunk(chunk: EmbeddedChunk) -> bytes:
    embedding = chunk.embedding
    if isinstance(embedding, SparseEmbedding):
        printed = embedding.weights_to_json()
    else:
        printed = java.float_array(embedding)
    place = {"start_offset": chunk.start_offset, "end_offset": chunk.end_offset, "text": chunk.text}
    return orjson.dumps(place)[:-1] + b',"embeddings":' + printed + b"}"
