"""The ``hugging_face`` service: any Hugging Face endpoint, at exactly its ``url``.

The upstream is a text-embeddings-inference server, an Inference Toolkit
container or a custom handler; API addresses are the endpoints' own, see
https://huggingface.co/docs/inference-endpoints. Contract: hugging_face.md
sections 1-3, 5 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

from esinfer.chat import ChatRequest
from esinfer.endpoints import InferenceEndpoint, RateLimit, ServiceSettings
from esinfer.errors import (
    IllegalArgument,
    MoreThanOneInput,
    ReasoningNotSupported,
    TextOnlyRerank,
    UnknownEmbeddingSize,
    ValidationFailed,
)
from esinfer.json_schema import Json
from esinfer.map_fields import Boolean, PositiveInteger
from esinfer.object_parser import TextField
from esinfer.rerank import RerankRequest, RerankResult
from esinfer.services.base import Chunking, Service, Streaming, Task
from esinfer.services.hugging_face_answers import parse_embeddings, parse_rerank, parse_sparse
from esinfer.services.hugging_face_statuses import (
    check_chat_status,
    check_completion_status,
    check_status,
)
from esinfer.services.openai_chat import (
    ChatReader,
    ChatResult,
    CompletionReader,
    chat_body,
    completion_body,
    dump,
    parse_chat,
    parse_completion,
)
from esinfer.services.settings import (
    PositiveIntegerField,
    ServiceSettingsParser,
    TaskSettingsSchema,
    UpdateParser,
)
from esinfer.tasks import (
    INTERNAL_INPUT_TYPES,
    CompletionRequest,
    CompletionResult,
    DenseEmbeddings,
    EmbeddingRequest,
    InputType,
    Result,
    SparseEmbeddings,
    TaskType,
)
from esinfer.upstream import UpstreamRequest, UpstreamResponse

T = TypeVar("T")

PROVIDER = "Hugging Face"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings(ServiceSettings):
    """Of ``completion`` and ``chat_completion``."""

    model_id: str | None = None

    def wire_order(self) -> Sequence[str]:
        return ("model_id", "url", "rate_limit")


_MAX_INPUT_TOKENS = {"description": "Inputs are cut to three characters for each of these."}


class SimilarityField(TextField):
    def read(self, value: str) -> str:
        name = value.strip().lower()
        if name not in SIMILARITIES:
            raise IllegalArgument(
                reason=f"Invalid value [{value}]; expected one of [{', '.join(SIMILARITIES)}]"
            )
        return name

    def json_schema(self) -> Json:
        return {"enum": list(SIMILARITIES)}


class EmbeddingSettingsParser(ServiceSettingsParser):
    make = EmbeddingSettings
    default_rate_limit = DEFAULT_RATE_LIMIT
    similarity = SimilarityField(metadata={"description": "How vectors are compared."})
    dimensions = PositiveIntegerField(
        metadata={"description": "Measured; what is given counts not."}
    )
    max_input_tokens = PositiveIntegerField(metadata=_MAX_INPUT_TOKENS)


class EmbeddingUpdateParser(UpdateParser):
    default_rate_limit = DEFAULT_RATE_LIMIT
    max_input_tokens = PositiveIntegerField(metadata=_MAX_INPUT_TOKENS)


class SparseSettingsParser(ServiceSettingsParser):
    make = SparseSettings
    default_rate_limit = DEFAULT_RATE_LIMIT
    names_url_field = False


class ChatSettingsParser(ServiceSettingsParser):
    make = ChatSettings
    default_rate_limit = DEFAULT_RATE_LIMIT
    model_id = TextField()


class RerankSettingsParser(ServiceSettingsParser):
    make = ServiceSettings
    default_rate_limit = DEFAULT_RATE_LIMIT


class RateLimitUpdateParser(UpdateParser):
    default_rate_limit = DEFAULT_RATE_LIMIT


class RerankTaskSettings(TaskSettingsSchema):
    top_n = PositiveInteger()
    return_documents = Boolean()


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

_PROBE_TEXT = "how big"
EMBEDDING_PROBE = EmbeddingRequest(inputs=(_PROBE_TEXT,), input_type=InputType.INTERNAL_INGEST)
COMPLETION_PROBE = CompletionRequest(inputs=(_PROBE_TEXT,), input_type=InputType.INTERNAL_INGEST)
CHAT_PROBE = ChatRequest(messages=({"content": _PROBE_TEXT, "role": "user"},))
RERANK_PROBE = RerankRequest(inputs=(_PROBE_TEXT,), query="test query")

_ACCEPTED_INPUT_TYPES = INTERNAL_INPUT_TYPES | {None, InputType.UNSPECIFIED}


def accept_embedding(
    _endpoint: InferenceEndpoint, request: EmbeddingRequest | CompletionRequest
) -> None:
    """Refuse an input type: Hugging Face has no use for one."""
    if request.input_type not in _ACCEPTED_INPUT_TYPES:
        raise ValidationFailed(
            [
                f"Invalid input_type [{request.input_type}]."
                " The input_type option is not supported by this service"
            ]
        )


def accept_completion(endpoint: InferenceEndpoint, request: CompletionRequest) -> None:
    """Refuse an input type, and more than one input."""
    accept_embedding(endpoint, request)
    if len(request.inputs) > 1:
        raise MoreThanOneInput(provider=PROVIDER)


def accept_rerank(endpoint: InferenceEndpoint, request: RerankRequest) -> None:
    """Refuse images: Hugging Face's rerankers read text."""
    if request.has_images:
        raise TextOnlyRerank(service=endpoint.service)


def accept_chat(endpoint: InferenceEndpoint, request: ChatRequest) -> None:
    """Refuse what asks for reasoning, which chat servers of Hugging Face's do not take."""
    if request.has_reasoning:
        raise ReasoningNotSupported(service=endpoint.service)


def build_embedding(endpoint: InferenceEndpoint, request: EmbeddingRequest) -> UpstreamRequest:
    """``{"inputs": […]}``, always an array."""
    return _post(endpoint, {"inputs": request.inputs})


def build_rerank(endpoint: InferenceEndpoint, request: RerankRequest) -> UpstreamRequest:
    """text-embeddings-inference's rerank body; what the request says wins over the settings."""
    body: dict[str, object] = {"texts": request.inputs, "query": request.query}
    options = {
        "return_text": _option(endpoint, "return_documents", request.return_documents),
        "top_n": _option(endpoint, "top_n", request.top_n),
    }
    set_options = {name: value for name, value in options.items() if value is not None}
    return _post(endpoint, body | set_options)


def _option(endpoint: InferenceEndpoint, name: str, requested: T | None) -> T | None:
    """The request's value, else the stored task setting's."""
    if requested is not None:
        return requested
    return cast("T | None", endpoint.task_settings.get(name))


def build_completion(
    endpoint: InferenceEndpoint, request: CompletionRequest, *, stream: bool = False
) -> UpstreamRequest:
    return _post(endpoint, completion_body(request, _model(endpoint), stream=stream))


def build_chat(
    endpoint: InferenceEndpoint, request: ChatRequest, *, stream: bool = False
) -> UpstreamRequest:
    return _post(endpoint, chat_body(request, _model(endpoint), stream=stream))


def _model(endpoint: InferenceEndpoint) -> str | None:
    settings = endpoint.service_settings
    return settings.model_id if isinstance(settings, ChatSettings) else None


def _post(endpoint: InferenceEndpoint, body: object) -> UpstreamRequest:
    return UpstreamRequest(
        url=endpoint.service_settings.url,
        headers={
            "Content-Type": "application/json",  # the toolkit refuses any charset but UTF-8
            "Authorization": f"Bearer {endpoint.secret_settings.api_key.reveal()}",
        },
        body=dump(body),
        task_type=endpoint.task_type,
        inference_id=endpoint.inference_id,
        service=endpoint.service,
    )


# -- answers ----------------------------------------------------------------


def read_embeddings(
    _endpoint: InferenceEndpoint, _request: EmbeddingRequest, response: UpstreamResponse
) -> DenseEmbeddings:
    return parse_embeddings(response.body)


def read_sparse(
    _endpoint: InferenceEndpoint, request: EmbeddingRequest, response: UpstreamResponse
) -> SparseEmbeddings:
    return parse_sparse(response.body, request.truncated)


def read_rerank(
    endpoint: InferenceEndpoint, request: RerankRequest, response: UpstreamResponse
) -> RerankResult:
    return parse_rerank(response.body, _option(endpoint, "top_n", request.top_n))


def read_completion(
    _endpoint: InferenceEndpoint, _request: CompletionRequest, response: UpstreamResponse
) -> CompletionResult:
    return parse_completion(response.body)


def read_chat(
    _endpoint: InferenceEndpoint, _request: ChatRequest, response: UpstreamResponse
) -> ChatResult:
    return parse_chat(response.body)


# -- the service ------------------------------------------------------------

CHUNKING = Chunking(batch_size=20)

TEXT_EMBEDDING = Task(
    settings=EmbeddingSettingsParser(),
    update=EmbeddingUpdateParser(),
    probe=EMBEDDING_PROBE,
    accept=accept_embedding,
    build=build_embedding,
    check=check_status,
    parse=read_embeddings,
    character_limit=token_limit,
    measure=measure_embeddings,
    chunking=CHUNKING,
    has_chunking_settings=True,
)

SPARSE_EMBEDDING = Task(
    settings=SparseSettingsParser(),
    update=RateLimitUpdateParser(),
    probe=EMBEDDING_PROBE,
    accept=accept_embedding,
    build=build_embedding,
    check=check_status,
    parse=read_sparse,
    character_limit=token_limit,
    chunking=CHUNKING,
)

RERANK = Task(
    settings=RerankSettingsParser(),
    update=RateLimitUpdateParser(),
    task_settings=RerankTaskSettings(),
    probe=RERANK_PROBE,
    accept=accept_rerank,
    build=build_rerank,
    check=check_status,
    parse=read_rerank,
)

COMPLETION = Task(
    settings=ChatSettingsParser(),
    update=RateLimitUpdateParser(),
    probe=COMPLETION_PROBE,
    accept=accept_completion,
    build=build_completion,
    check=check_completion_status,
    parse=read_completion,
    streaming=Streaming(
        build=partial(build_completion, stream=True),
        reader=lambda _endpoint: CompletionReader(),
    ),
)

CHAT_COMPLETION = Task(
    settings=ChatSettingsParser(),
    update=RateLimitUpdateParser(),
    probe=CHAT_PROBE,
    accept=accept_chat,
    build=build_chat,
    check=check_chat_status,
    parse=read_chat,
    streaming=Streaming(
        build=partial(build_chat, stream=True),
        reader=lambda endpoint: ChatReader(endpoint.inference_id),
    ),
    probe_streams=True,
)

SERVICE = Service(
    name="hugging_face",
    label="Hugging Face",
    provider=PROVIDER,
    tasks={
        TaskType.TEXT_EMBEDDING: TEXT_EMBEDDING,
        TaskType.SPARSE_EMBEDDING: SPARSE_EMBEDDING,
        TaskType.RERANK: RERANK,
        TaskType.COMPLETION: COMPLETION,
        TaskType.CHAT_COMPLETION: CHAT_COMPLETION,
    },
)
