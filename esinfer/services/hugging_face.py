"""The ``hugging_face`` service: any Hugging Face endpoint, at exactly its ``url``.

The upstream is a text-embeddings-inference server, an Inference Toolkit
container or a custom handler; API addresses are the endpoints' own, see
https://huggingface.co/docs/inference-endpoints. Contract: hugging_face.md
sections 1-3, 5 and 8.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from esinfer.endpoints import InferenceEndpoint, RateLimit, ServiceSettings
from esinfer.errors import (
    IllegalArgument,
    IllegalState,
    ParsingException,
    Retry,
    UnknownEmbeddingSize,
    UpstreamStatusError,
    ValidationFailed,
)
from esinfer.json_reader import JsonReader, Token
from esinfer.object_parser import TextField
from esinfer.services.base import Service, Task
from esinfer.services.settings import PositiveIntegerField, ServiceSettingsParser, UpdateParser
from esinfer.tasks import (
    INTERNAL_INPUT_TYPES,
    DenseEmbeddings,
    EmbeddingRequest,
    InputType,
    Result,
    SparseEmbedding,
    SparseEmbeddings,
    TaskType,
)
from esinfer.upstream import UpstreamRequest, UpstreamResponse

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

# -- settings ---------------------------------------------------------------

DEFAULT_RATE_LIMIT = RateLimit(requests_per_minute=3000)
SIMILARITIES = ("cosine", "dot_product", "l2_norm")
SPARSE_INPUT_TOKENS = 512
_CHARACTERS_PER_TOKEN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSettings(ServiceSettings):
    """Of ``text_embedding``; ``dimensions`` are measured, not believed."""

    similarity: str | None = None
    dimensions: int | None = None
    max_input_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseSettings(ServiceSettings):
    """Of ``sparse_embedding``; the token limit is fixed and only shown."""

    max_input_tokens: int = SPARSE_INPUT_TOKENS


class SimilarityField(TextField):
    def read(self, value: str) -> str:
        name = value.strip().lower()
        if name not in SIMILARITIES:
            raise IllegalArgument(
                reason=f"Invalid value [{value}]; expected one of [{', '.join(SIMILARITIES)}]"
            )
        return name


class EmbeddingSettingsParser(ServiceSettingsParser):
    make = EmbeddingSettings
    default_rate_limit = DEFAULT_RATE_LIMIT
    similarity = SimilarityField()
    dimensions = PositiveIntegerField()
    max_input_tokens = PositiveIntegerField()


class EmbeddingUpdateParser(UpdateParser):
    default_rate_limit = DEFAULT_RATE_LIMIT
    max_input_tokens = PositiveIntegerField()


class SparseSettingsParser(ServiceSettingsParser):
    make = SparseSettings
    default_rate_limit = DEFAULT_RATE_LIMIT
    names_url_field = False


class SparseUpdateParser(UpdateParser):
    default_rate_limit = DEFAULT_RATE_LIMIT


def measure_embeddings(settings: ServiceSettings, result: Result) -> ServiceSettings:
    """Fill in what the validation call showed: the size, and ``cosine`` if nothing was said."""
    if not isinstance(settings, EmbeddingSettings) or not isinstance(result, DenseEmbeddings):
        raise TypeError("text_embedding settings and result belong together")
    if result.dimensions is None:
        raise UnknownEmbeddingSize
    return replace(
        settings,
        dimensions=result.dimensions,
        similarity=settings.similarity or SIMILARITIES[0],
    )


def token_limit(endpoint: InferenceEndpoint) -> int | None:
    """Characters to which an input is cut: three for each token that the settings allow."""
    settings = endpoint.service_settings
    if not isinstance(settings, EmbeddingSettings | SparseSettings):
        return None
    tokens = settings.max_input_tokens
    return None if tokens is None else tokens * _CHARACTERS_PER_TOKEN


# -- requests ---------------------------------------------------------------

PROBE = EmbeddingRequest(inputs=("how big",), input_type=InputType.INTERNAL_INGEST)
_ACCEPTED_INPUT_TYPES = INTERNAL_INPUT_TYPES | {None, InputType.UNSPECIFIED}


def accept_embedding(_endpoint: InferenceEndpoint, request: EmbeddingRequest) -> None:
    """Refuse an input type: Hugging Face has no use for one."""
    if request.input_type not in _ACCEPTED_INPUT_TYPES:
        raise ValidationFailed(
            [
                f"Invalid input_type [{request.input_type}]."
                " The input_type option is not supported by this service"
            ]
        )


def build_embedding(endpoint: InferenceEndpoint, request: EmbeddingRequest) -> UpstreamRequest:
    """``{"inputs": […]}``, always an array."""
    return _post(endpoint, {"inputs": request.inputs})


def _post(endpoint: InferenceEndpoint, body: object) -> UpstreamRequest:
    return UpstreamRequest(
        url=endpoint.service_settings.url,
        headers={
            "Content-Type": "application/json",  # the toolkit refuses any charset but UTF-8
            "Authorization": f"Bearer {endpoint.secret_settings.api_key.reveal()}",
        },
        body=orjson.dumps(body),
        task_type=endpoint.task_type,
        inference_id=endpoint.inference_id,
    )


# -- statuses ---------------------------------------------------------------

_REST_STATUSES = frozenset(
    {100, 101, *range(200, 208), *range(300, 306), 307, *range(400, 418), 421, 422, 423, 424, 429}
)
"""The statuses below 500 that Elasticsearch has a name for."""

_STATUSES = {
    401: ("Received an authentication error status code", Retry.NO),
    413: ("Received a content too large status code", Retry.SHORTER),
    429: ("Received a rate limit status code", Retry.AGAIN),
    502: ("Received a rate limit status code", Retry.AGAIN),
    503: ("Received a rate limit status code", Retry.AGAIN),
}
_REDIRECTION = ("Unhandled redirection", Retry.NO)
_UNSUCCESSFUL = ("Received an unsuccessful status code", Retry.NO)
_SERVER_ERROR = ("Received a server error status code", Retry.NO)


def check_status(endpoint: InferenceEndpoint, response: UpstreamResponse) -> None:
    """Raise for any status but 2xx, with the upstream's own words if it gave them."""
    status = response.status
    if 200 <= status < 300:
        return
    prefix, retry = _STATUSES.get(status) or _by_class(status)
    reason = (
        f"{prefix} for request from inference entity id [{endpoint.inference_id}] status [{status}]"
    )
    message = _error_message(response.body)
    if message:
        reason += f". Error message: [{message}]"
    raise UpstreamStatusError(reason=reason, status=_answered_status(status), retry=retry)


def _by_class(status: int) -> tuple[str, Retry]:
    if 300 <= status < 400:
        return _REDIRECTION
    return _SERVER_ERROR if status >= 500 else _UNSUCCESSFUL


def _answered_status(status: int) -> int:
    return status if status in _REST_STATUSES else HTTPStatus.BAD_REQUEST


def _error_message(body: bytes) -> str | None:
    """The text under ``error``; an object there, or no JSON, is no message."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    message = document.get("error") if isinstance(document, dict) else None
    return message if isinstance(message, str) else None


# -- answers ----------------------------------------------------------------
# orjson reads what is well-formed and of the expected shape. Everything else is read again,
# token by token, as Elasticsearch reads: it stops after the array, and its errors name places.


def parse_embeddings(_request: EmbeddingRequest, response: UpstreamResponse) -> DenseEmbeddings:
    """``[[…], …]``, or an object that has it under ``embeddings``."""
    rows = _plain_rows(response.body)
    if rows is None:
        rows = list(_read_rows(JsonReader(response.body)))
    return DenseEmbeddings(vectors=[_vector(row) for row in rows])


def _vector(row: array[float]) -> NDArray[float32]:
    import numpy as np  # noqa: PLC0415 - not at start-up: loading it takes a fifth of a second

    return np.frombuffer(row, dtype=np.float32)


def _plain_rows(body: bytes) -> list[array[float]] | None:
    if any(mark in body for mark in _NOT_PLAIN):
        return None
    try:
        document = orjson.loads(body)
        if isinstance(document, dict):
            document = _only(document, "embeddings", body)
        if not isinstance(document, list) or not all(type(row) is list for row in document):
            return None
        return [array("f", row) for row in document]
    except (orjson.JSONDecodeError, KeyError, TypeError, OverflowError):
        return None


_NOT_PLAIN = (b"true", b"false", b"\\")
"""array would take booleans for numbers; escapes hide names and quotes from counting."""


def _only(document: dict[str, object], name: str, body: bytes) -> object:
    """The field of that name; KeyError unless every name in the body is there once.

    orjson drops what is repeated in silence, and then there are quotes left over.
    """
    found = document.pop(name)
    once = body.count(f'"{name}"'.encode()) == 1
    if once and body.count(b'"') == 2 * (1 + _count_texts(document)):
        return found
    raise KeyError(name)


def _count_texts(value: object) -> int:
    """How many names and strings there are in a JSON value."""
    if isinstance(value, dict):
        return len(value) + sum(map(_count_texts, value.values()))
    if isinstance(value, list):
        return sum(map(_count_texts, value))
    return isinstance(value, str)


def _read_rows(reader: JsonReader) -> Iterator[array[float]]:
    token = reader.next()
    if token is Token.START_OBJECT:
        _move_to_field(reader, "embeddings")
    elif token is not Token.START_ARRAY:
        raise _unexpected(reader)
    _expect(reader, Token.START_ARRAY)
    while reader.next() is not Token.END_ARRAY:
        _expect(reader, Token.START_ARRAY)
        yield array("f", _read_numbers(reader))


def _read_numbers(reader: JsonReader) -> Iterator[float]:
    while reader.next() is not Token.END_ARRAY:
        yield _number(reader)


def _move_to_field(reader: JsonReader, name: str) -> None:
    while reader.next() is not None:
        if reader.token is Token.FIELD_NAME and reader.value == name:
            reader.next()
            return
    raise IllegalState(
        reason=f"Failed to find required field [{name}] in Hugging Face embeddings response"
    )


def parse_sparse(request: EmbeddingRequest, response: UpstreamResponse) -> SparseEmbeddings:
    """``[{token: weight, …}, …]``; a result beyond the inputs counts as not truncated."""
    maps = _plain_maps(response.body)
    if maps is None:
        maps = list(_read_maps(JsonReader(response.body)))
    flags = [*request.truncated, *[False] * len(maps)]
    return SparseEmbeddings(
        embeddings=[
            SparseEmbedding(tokens=tokens, weights=_vector(weights), is_truncated=flag)
            for (tokens, weights), flag in zip(maps, flags, strict=False)
        ]
    )


TokenWeights = tuple[Sequence[str], "array[float]"]


def _plain_maps(body: bytes) -> list[TokenWeights] | None:
    if b"true" in body or b"false" in body:  # array would take them for numbers
        return None
    try:
        document = orjson.loads(body)
        maps: list[TokenWeights] = [(tuple(item), array("f", item.values())) for item in document]
    except (orjson.JSONDecodeError, AttributeError, TypeError, OverflowError):
        return None
    # orjson drops repeated names in silence; quotes left over send us the careful way.
    names = sum(len(tokens) for tokens, _ in maps)
    return maps if isinstance(document, list) and body.count(b'"') == 2 * names else None


def _read_maps(reader: JsonReader) -> Iterator[TokenWeights]:
    reader.next()
    _expect(reader, Token.START_ARRAY)
    while reader.next() is not Token.END_ARRAY:
        _expect(reader, Token.START_OBJECT)
        tokens: list[str] = []
        weights = array("f")
        while reader.next() is not Token.END_OBJECT:
            tokens.append(reader.text)
            reader.next()
            weights.append(_number(reader))
        yield tokens, weights


def _number(reader: JsonReader) -> float:
    _expect(reader, Token.VALUE_NUMBER)
    text = reader.text
    return 0.0 if text == "-0" else float(text)  # to Java it is an int, which has no -0


def _expect(reader: JsonReader, expected: Token) -> None:
    if reader.token is not expected:
        raise _parsing_error(
            reader, f"expecting token of type [{expected}] but found [{_name(reader.token)}]"
        )


def _unexpected(reader: JsonReader) -> ParsingException:
    return _parsing_error(reader, f"unexpected token [{_name(reader.token)}] found")


def _parsing_error(reader: JsonReader, what: str) -> ParsingException:
    return ParsingException(
        reason=f"Failed to parse object: {what}",
        line=reader.place.line,
        column=reader.place.column,
    )


def _name(token: Token | None) -> str:
    return "null" if token is None else token


# -- the service ------------------------------------------------------------

TEXT_EMBEDDING = Task(
    settings=EmbeddingSettingsParser(),
    update=EmbeddingUpdateParser(),
    probe=PROBE,
    accept=accept_embedding,
    build=build_embedding,
    check=check_status,
    parse=parse_embeddings,
    character_limit=token_limit,
    measure=measure_embeddings,
    chunks=True,
)

SPARSE_EMBEDDING = Task(
    settings=SparseSettingsParser(),
    update=SparseUpdateParser(),
    probe=PROBE,
    accept=accept_embedding,
    build=build_embedding,
    check=check_status,
    parse=parse_sparse,
    character_limit=token_limit,
)

SERVICE = Service(
    name="hugging_face",
    label="Hugging Face",
    provider="Hugging Face",
    tasks={
        TaskType.TEXT_EMBEDDING: TEXT_EMBEDDING,
        TaskType.SPARSE_EMBEDDING: SPARSE_EMBEDDING,
    },
)
