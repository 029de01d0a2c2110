"""Every error that a caller can see, as Elasticsearch names and words it.

An error knows its HTTP status, its wire ``type`` and its ``reason``; only
``api/responses.py`` turns it into a body. Raise with the fields of the
reason's template: ``raise UnknownTaskType(task_type="foo")``. A wrapped error
is chained with ``raise … from``, and becomes ``caused_by``.

The tree (type on the wire, default status):

ElasticsearchError                       exception 500
├── StatusException                      status_exception, status set by class or by raiser
│   ├── (one class for each reason, see below)
│   ├── UpstreamStatusError              the upstream answered with an error status
│   └── ChatErrorEvent                   the upstream sent an error in its stream
├── ParseException                       parse_exception 400
├── ParsingException                     parsing_exception 400, with line and col
├── ResourceNotFound                     resource_not_found_exception 404
├── EndpointAlreadyExists                resource_already_exists_exception 400
├── RequestTimedOut                      timeout_exception 429
├── HttpClientFailed                     exception 500
├── StubbedError                         all as a stub says
├── SecurityException                    security_exception
│   ├── Unauthenticated                  401, with what may be sent in its place
│   └── Unauthorized                     403
└── JavaException                        errors that are no ElasticsearchException in Java
    ├── IllegalArgument                  illegal_argument_exception 400
    │   ├── NumberFormat                 number_format_exception 400
    │   ├── PatternSyntax                pattern_syntax_exception 400
    │   │   └── UnsupportedPattern       Java reads it, esinfer does not
    │   └── RegexReadLimit               a separator that ran away
    ├── ValidationFailed                 validation_exception 400
    │   └── ActionRequestValidation      action_request_validation_exception 400
    ├── XContentParseError               x_content_parse_exception 400
    │   └── XContentEofError             x_content_e_o_f_exception 400
    ├── JsonParseError, JsonEofError     json_parse_exception, json_e_o_f_exception 400
    ├── MediaTypeHeaderError             media_type_header_exception 400
    ├── BadParameter                     bad_parameter_exception 400
    ├── TooLongHttpLine, TooLongHttpHeader, DecompressionError
    ├── IllegalState, ClassCast, NullPointer    500
    ├── RejectedExecution                es_rejected_execution_exception 429
    └── IoError                          i_o_exception 500
        ├── ConnectError, ConnectTimeout, ConnectionClosed, TlsError
        └── ResponseTooLarge
RouterError                              {"error": "text"}: no type, no root cause
PayloadTooLarge                          413 and no body at all

Of a drawn class the subclasses that only word a reason are left out.

Source of the names and statuses: rest.md section 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from multidict import MultiDict

_STATUS_NAMES = {
    300: "multiple_choices",
    301: "moved_permanently",
    302: "found",
    303: "see_other",
    304: "not_modified",
    305: "use_proxy",
    307: "temporary_redirect",
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    407: "proxy_authentication",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    411: "length_required",
    412: "precondition_failed",
    413: "request_entity_too_large",
    414: "request_uri_too_long",
    415: "unsupported_media_type",
    416: "requested_range_not_satisfied",
    417: "expectation_failed",
    421: "misdirected_request",
    422: "unprocessable_entity",
    423: "locked",
    424: "failed_dependency",
    429: "too_many_requests",
    500: "internal_server_error",
    501: "not_implemented",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}


def status_name(status: int) -> str:
    """Elasticsearch's name of an error status in lower case; ``bad_request`` if it has none."""
    return _STATUS_NAMES.get(status, "bad_request")


class Retry(Enum):
    """Whether, and how, a failed upstream call is tried again."""

    NO = "no"
    AGAIN = "again"
    SHORTER = "shorter"


_SHORTEST_SECRET = 8
_MASK = "***"


def mask(text: str, secret: str) -> str:
    """The text without the secret; one so short that it may stand there by chance stays."""
    return text if len(secret) < _SHORTEST_SECRET else text.replace(secret, _MASK)


class ElasticsearchError(Exception):
    """An error that the REST layer can render.

    ``is_elasticsearch`` tells whether Java's class extends
    ElasticsearchException, which decides ``root_cause`` and whether a failed
    inference is wrapped. ``retry`` tells what to do when an upstream attempt
    failed so: what a parser raises is tried again.
    """

    status: int = 500
    type: str = "exception"
    template: ClassVar[str] = "{reason}"
    is_elasticsearch: ClassVar[bool] = True
    retry: Retry = Retry.AGAIN
    chat: ChatDetail | None = None

    def __init__(self, **fields: object) -> None:
        self.reason = self.template.format(**fields)
        super().__init__(self.reason)

    def hide(self, secret: str) -> None:
        """Take a secret out of the reasons of this error and of its causes.

        An upstream may quote the key it refuses.
        """
        self.reason = mask(self.reason, secret)
        if isinstance(self.__cause__, ElasticsearchError):
            self.__cause__.hide(secret)

    @property
    def metadata(self) -> Mapping[str, object]:
        """Further members of the error object, after ``reason``."""
        return {}

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers that belong to the error."""
        return {}


# -- status_exception -------------------------------------------------------


class StatusException(ElasticsearchError):
    type = "status_exception"
    status = 400


class UnknownTaskType(StatusException):
    template = "Unknown task_type [{task_type}]"


class InvalidTaskType(StatusException):
    template = "task_type [{task_type}] is not valid type for inference"


class MissingTaskType(StatusException):
    template = "model is missing required setting [task_type]"


class ConflictingTaskTypes(StatusException):
    template = (
        "Cannot resolve conflicting task_type parameter in the request URL [{url}]"
        " and the request body [{body}]"
    )


class MissingService(StatusException):
    template = "Inference endpoint configuration is missing the [service] setting"


class UnknownService(StatusException):
    template = "Unknown service [{service}]"


class UnsupportedTask(StatusException):
    template = "The [{service}] service does not support task type [{task_type}]"


class MissingServiceSettings(StatusException):
    template = "Missing required field [service_settings]"


class UnknownSettings(StatusException):
    template = "Configuration contains settings [{settings}] unknown to the [{service}] service"


class TaskTypeMismatch(StatusException):
    """GET or DELETE named another task type than the endpoint's."""

    template = (
        "Requested task type [{requested}] does not match the inference endpoint's"
        " task type [{stored}]"
    )


class IncompatibleTaskType(StatusException):
    """An inference named another task type than the endpoint's."""

    template = (
        "Incompatible task_type, the requested type [{requested}] does not match"
        " the model type [{stored}]"
    )


class TaskTypeMustMatch(StatusException):
    template = "Task type must match the task type of the existing endpoint"


class EmptyUpdate(StatusException):
    template = "Request body is empty"


class UnparsableTaskType(StatusException):
    template = "Failed to parse [task_type] in update request [{request}]"


class UnparsableSection(StatusException):
    template = "Unable to parse [{section}] in the request [{request}]"


class FieldsNotUpdatable(StatusException):
    template = (
        "Request contained fields which cannot be updated, remove these fields"
        " and try again [{fields}]"
    )


class UpdateInProgress(StatusException):
    """Our wording: Elasticsearch's text could not be determined (rest.md section 11)."""

    status = 409
    template = "Inference endpoint [{inference_id}] is already being updated"


class DeleteDuringUpdate(StatusException):
    status = 409
    template = (
        "Model is currently being updated, you may delete the model once the update completes"
    )


class ValidationCallFailed(StatusException):
    template = (
        "Could not complete inference endpoint creation as validation call to service"
        " threw an exception."
    )


class UnknownEmbeddingSize(StatusException):
    template = "Could not determine embedding size"


class StreamingNotAllowed(StatusException):
    status = 405
    template = (
        "Streaming is not allowed for service [{service}] and task [{task_type}]."
        " Supported tasks: [{supported}]"
    )


class ServiceDoesNotStream(StatusException):
    status = 405
    template = "Streaming is not allowed for service [{service}]."


class InvalidHost(StatusException):
    retry = Retry.NO
    template = "Invalid host [{url}], please check that the URL is correct."


class UpstreamNotAllowed(StatusException):
    """Our wording: Elasticsearch has no such list. The addresses of the host are not told."""

    retry = Retry.NO
    template = "Host [{host}] must not be called, see the settings [upstream] of esinfer."


class SendFailed(StatusException):
    """The wrapper of every failure that is no ElasticsearchException in Java."""

    status = 500
    template = (
        "Failed to send {provider} {task_type} request from inference entity id"
        " [{inference_id}]. Cause: {cause}"
    )


class NotImplementedHere(StatusException):
    """Elasticsearch has it, esinfer does not; the answer says so."""

    status = 501
    template = "esinfer does not implement [{method} {path}]"


class NoTwin(StatusException):
    template = (
        "esinfer serve calls real upstreams and has none to set: start esinfer mock,"
        " or set those of esinfer twin under /__twin/upstreams on its own port"
    )


class MockOnly(StatusException):
    template = (
        "[{path}] is for esinfer mock: esinfer serve calls real upstreams, answers are theirs"
    )


class NoNamespaces(StatusException):
    template = "esinfer serve has no namespaces and cannot be reset: start esinfer mock"


class EndpointNotStored(StatusException):
    status = 500
    template = "Failed to store inference endpoint [{inference_id}]"


class EndpointUnreadable(StatusException):
    """What is stored under an id is no endpoint that this esinfer can read."""

    status = 500
    template = (
        "Failed to read stored inference endpoint [{inference_id}]; DELETE it with force=true,"
        " or put it back from a backup"
    )


class EndpointSealed(EndpointUnreadable):
    template = (
        "Stored inference endpoint [{inference_id}] was encrypted with a key that this server"
        " does not have; start it again with that key"
    )


class StoreSealed(StatusException):
    """What this server would write, those who have the key could not read any more."""

    status = 500
    template = (
        "The store of inference endpoints was encrypted with a key that this server does not"
        " have; start it again with that key"
    )


class RegionPolicyUnreadable(StatusException):
    status = 500
    template = "Failed to read the stored region policy; PUT replaces it, DELETE removes it"


class StoreUnavailable(StatusException):
    """The store cannot be read or written now; whoever asks again later may be lucky."""

    status = 503
    template = "The store of inference endpoints is not available"


class ServerStopping(StatusException):
    """Said to those who ask whether to send requests here, and to nobody else."""

    status = 503
    template = "The server is stopping"


class NotRecorded(StatusException):
    """A request that only a recording may answer, which does not have it."""

    status = 501
    retry = Retry.NO
    template = (
        "No answer is recorded in [{path}] for the request from inference entity id"
        " [{inference_id}]: {nearest}"
    )


class RecordingEnds(StatusException):
    """Whoever recorded a stream read it no further."""

    status = 501
    retry = Retry.NO
    template = "The recorded stream ends here: it was left before its end when it was recorded"


class RecordingFailed(StatusException):
    """The upstream answered, but the answer could not be written down."""

    status = 500
    retry = Retry.NO
    template = "The exchange cannot be recorded: {problem}"


class RecordingUnreadable(StatusException):
    """What is recorded under the name of a namespace cannot be read."""

    status = 500
    template = "{problem}"


class MoreThanOneInput(StatusException):
    template = "{provider} completions only accepts 1 input"


class TextOnlyRerank(StatusException):
    template = "The {service} service does not support rerank with non-text inputs or queries"


class ReasoningNotSupported(StatusException):
    """Our wording: Elasticsearch's could not be determined."""

    template = "The {service} service does not support reasoning"


class ChunkedInferenceNotSupported(StatusException):
    """Our wording: in Elasticsearch nothing asks such a task for chunks."""

    template = "Chunked inference is not supported for task type [{task_type}]"


class EmbeddingCountMismatch(StatusException):
    """Chunked inference needs one embedding a chunk; the plain one does not look."""

    status = 500
    template = (
        "Error the number of embedding responses [{found}] does not equal"
        " the number of requests [{sent}]"
    )


class ChatOnlyStreams(StatusException):
    template = (
        "The [chat_completion] task type only supports streaming,"
        " please try again with the _stream API"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDetail:
    """What only the chat form of an error shows; a ``code`` of None is left out."""

    code: str | None
    type: str


class UpstreamStatusError(StatusException):
    """The upstream's status, as the provider's table maps it.

    ``status`` is the status to answer with, ``retry`` what the table says of
    trying again. ``chat`` is how the chat form names the error.
    """

    def __init__(
        self, *, reason: str, status: int, retry: Retry, chat: ChatDetail | None = None
    ) -> None:
        super().__init__(reason=reason)
        self.status = status
        self.retry = retry
        self.chat = chat


class ChatErrorEvent(StatusException):
    """An error that the upstream sent as an event of a stream that had begun well."""

    def __init__(self, *, reason: str, chat: ChatDetail) -> None:
        super().__init__(reason=reason)
        self.chat = chat


# -- other ElasticsearchExceptions ------------------------------------------


class ParseException(ElasticsearchError):
    type = "parse_exception"
    status = 400


class BodyRequired(ParseException):
    template = "request body is required"


class ParsingException(ElasticsearchError):
    """An unexpected token in an upstream answer; ``line`` and ``col`` count from 1."""

    type = "parsing_exception"
    status = 400

    def __init__(self, *, reason: str, line: int, column: int) -> None:
        super().__init__(reason=reason)
        self._place = {"line": line, "col": column}

    @property
    def metadata(self) -> Mapping[str, object]:
        return self._place


class ResourceNotFound(ElasticsearchError):
    type = "resource_not_found_exception"
    status = 404


class EndpointNotFound(ResourceNotFound):
    template = "Inference endpoint not found [{inference_id}]"


class EndpointToUpdateNotFound(ResourceNotFound):
    template = "The inference endpoint [{inference_id}] does not exist and cannot be updated"


class EndpointAlreadyExists(ElasticsearchError):
    type = "resource_already_exists_exception"
    status = 400
    template = "Inference endpoint [{inference_id}] already exists"


class RequestTimedOut(ElasticsearchError):
    """The request's time ran out, in the queue or on the wire.

    ``timed_out`` and ``X-Timed-Out`` are marked as from memory in rest.md
    section 6.6; they stand here and nowhere else.
    """

    type = "timeout_exception"
    status = 429
    template = "Request timed out after [{timeout}] for inference id [{inference_id}]"

    @property
    def metadata(self) -> Mapping[str, object]:
        return {"timed_out": True}

    @property
    def headers(self) -> Mapping[str, str]:
        return {"X-Timed-Out": "?1"}


class HttpClientFailed(ElasticsearchError):
    """A request that could not even be made, such as one to a relative URL."""

    retry = Retry.NO
    template = "Http client failed to send request from inference entity id [{inference_id}]"


class StubbedError(ElasticsearchError):
    """An error that somebody who tests wants to see: neither wrapped nor tried again."""

    retry = Retry.NO

    def __init__(self, *, type: str, reason: str, status: int) -> None:  # noqa: A002
        super().__init__(reason=reason)
        self.type = type
        self.status = status


# -- security ----------------------------------------------------------------


class SecurityException(ElasticsearchError):
    type = "security_exception"
    retry = Retry.NO


_CHALLENGES = ('Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', "ApiKey")


class Unauthenticated(SecurityException):
    """Who calls is not known; the headers stand in the body too, as in Elasticsearch."""

    status = 401

    @property
    def metadata(self) -> Mapping[str, object]:
        return {"header": {"WWW-Authenticate": list(_CHALLENGES)}}

    @property
    def headers(self) -> Mapping[str, str]:
        return MultiDict(("WWW-Authenticate", challenge) for challenge in _CHALLENGES)


class MissingCredentials(Unauthenticated):
    template = "missing authentication credentials for REST request [{uri}]"


class WrongPassword(Unauthenticated):
    template = "unable to authenticate user [{user}] for REST request [{uri}]"


class UnreadableCredentials(Unauthenticated):
    """Credentials that are not in the form of their scheme."""


class RefusedCredentials(Unauthenticated):
    """An API key or token that is not known; ``detail`` quotes nothing but a key's id."""

    template = (
        "unable to authenticate with provided credentials and anonymous access is not"
        " allowed for this request"
    )

    def __init__(self, *, detail: str) -> None:
        super().__init__()
        self._detail = detail

    @property
    def metadata(self) -> Mapping[str, object]:
        return {"additional_unsuccessful_credentials": self._detail, **super().metadata}


class Unauthorized(SecurityException):
    status = 403
    template = "action [{action}] is unauthorized for {caller}{advice}"


# -- exceptions that are plain Java -----------------------------------------


class JavaException(ElasticsearchError):
    """An exception of Java's own or of a library's, no ElasticsearchException."""

    is_elasticsearch = False


class IllegalArgument(JavaException):
    type = "illegal_argument_exception"
    status = 400


class TooManyInputs(IllegalArgument):
    """Our wording: Elasticsearch has no such limit."""

    template = (
        "Field [input] has [{count}] entries, more than the [{limit}] that the setting"
        " [server] max_inputs of esinfer allows"
    )


class NumberFormat(IllegalArgument):
    type = "number_format_exception"
    template = 'For input string: "{text}"'


class PatternSyntax(IllegalArgument):
    """A regex that Java refuses, in the words of java.util.regex."""

    type = "pattern_syntax_exception"


class UnsupportedPattern(PatternSyntax):
    """A regex that Java accepts and esinfer cannot translate."""


class RegexReadLimit(IllegalArgument):
    """A separator that would take more time than its text allows; Java counts characters read."""

    template = "Chunk separator regex [{regex}] has exceeded the character read limit"


class BadBoolean(IllegalArgument):
    template = "Failed to parse value [{value}] as only [true] or [false] are allowed."


class BadTimeValue(IllegalArgument):
    template = "failed to parse setting [{name}] with value [{value}] as a time value: {problem}"


class UnrecognizedParameters(IllegalArgument):
    template = "request [{path}] contains unrecognized {parameters}"


class BodyNotSupported(IllegalArgument):
    template = "request [{method} {path}] does not support having a body"


class ValidationFailed(JavaException):
    """A numbered list of problems, in the order given."""

    type = "validation_exception"
    status = 400

    def __init__(self, problems: Sequence[str]) -> None:
        numbered = "".join(f"{n}: {text};" for n, text in enumerate(problems, 1))
        super().__init__(reason=f"Validation Failed: {numbered}")


class ActionRequestValidation(ValidationFailed):
    type = "action_request_validation_exception"


class XContentParseError(JavaException):
    """A body that is JSON but not of the right form; places count from 1."""

    type = "x_content_parse_exception"
    status = 400
    template = "[{line}:{column}] {problem}"


class XContentEofError(XContentParseError):
    type = "x_content_e_o_f_exception"
    template = "[{line}:{column}] Unexpected end of file"


class JsonParseError(JavaException):
    """Jackson's own exception, the cause of an XContentParseError."""

    type = "json_parse_exception"
    status = 400


class JsonEofError(JsonParseError):
    type = "json_e_o_f_exception"


class MediaTypeHeaderError(JavaException):
    type = "media_type_header_exception"
    status = 400
    template = "Invalid media-type value on headers [{headers}]"


class BadParameter(JavaException):
    type = "bad_parameter_exception"
    status = 400
    template = "java.lang.IllegalArgumentException: {problem}"


class TooLongHttpLine(JavaException):
    type = "too_long_http_line_exception"
    status = 400
    template = "An HTTP line is larger than {limit} bytes."


class TooLongHttpHeader(JavaException):
    type = "too_long_http_header_exception"
    status = 400
    template = "HTTP header is larger than {limit} bytes."


class MalformedHttp(IllegalArgument):
    """Bytes that are no HTTP request."""

    template = "invalid HTTP request: {problem}"


class SlowRequest(MalformedHttp):
    """Our wording: Elasticsearch waits for ever."""

    status = 408
    template = "the request did not come within the time that a client has to send one"


class DecompressionError(JavaException):
    type = "decompression_exception"
    status = 400
    template = "Input is not in the {coding} format"


class IllegalState(JavaException):
    type = "illegal_state_exception"


class ClassCast(JavaException):
    type = "class_cast_exception"
    template = (
        "class {found} cannot be cast to class {expected} ({found} and {expected}"
        " are in module java.base of loader 'bootstrap')"
    )


class NullPointer(JavaException):
    type = "null_pointer_exception"


class RejectedExecution(JavaException):
    type = "es_rejected_execution_exception"
    status = 429


class QueueFull(RejectedExecution):
    template = (
        "Failed to execute task for inference id [{inference_id}] because the request"
        " service [{group}] queue is full"
    )


class NoConnectionLeft(RejectedExecution):
    """Our wording: Elasticsearch leaves it to the operating system."""

    template = "there are too many connections, see the setting [server] max_connections of esinfer"


class TooManyLogins(RejectedExecution):
    """Our wording: Elasticsearch queues them with everything else."""

    template = "there are too many passwords to verify, try again"


class EmptyResponse(IllegalState):
    retry = Retry.NO
    template = "Response body was empty for request from inference entity id [{inference_id}]"


class IoError(JavaException):
    """The connection to the upstream failed; tried again unless a subclass says no."""

    type = "i_o_exception"


class ConnectError(IoError):
    type = "connect_exception"


class ConnectTimeout(IoError):
    type = "connect_timeout_exception"


class ConnectionClosed(IoError):
    type = "connection_closed_exception"


class TlsError(IoError):
    type = "s_s_l_exception"


class ResponseTooLarge(IoError):
    template = "Maximum limit of [{limit}] bytes reached"
    retry = Retry.NO


# -- the router's own -------------------------------------------------------


class RouterError(Exception):
    """An error whose body holds a bare text: ``{"error": text, "status": n}``."""

    def __init__(
        self,
        status: int,
        text: str,
        *,
        headers: Mapping[str, str] | None = None,
        shows_status: bool = True,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}
        self.shows_status = shows_status


class PayloadTooLarge(Exception):
    """A body over ``max_content_length``: 413, an empty body, the connection closed."""
