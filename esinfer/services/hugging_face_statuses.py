"""What Hugging Face's statuses mean: retried or not, which words, which status to answer with.

Two tables, since Elasticsearch reads embeddings and rerank with one handler
and chat with another. Contract: hugging_face.md sections 4.4 and 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import ChatDetail, Retry, UpstreamStatusError, status_name
from esinfer.services.openai_chat import (
    UNKNOWN_ERROR,
    error_of,
    openai_message,
    read_object,
    with_message,
)
from esinfer.upstream import UpstreamResponse

_REST_STATUSES = frozenset(
    {*range(200, 208), *range(300, 306), 307, *range(400, 418), 421, 422, 423, 424, 429}
)
"""The statuses below 500 that Elasticsearch has a name for, but for 100 and 101: whoever is
answered with these waits for more. A 304 is passed on like every 3xx; HTTP gives it no body."""

Row = tuple[str, Retry]

_AUTHENTICATION: Row = ("Received an authentication error status code", Retry.NO)
_TOO_LARGE: Row = ("Received a content too large status code", Retry.SHORTER)
_RATE_LIMIT = "Received a rate limit status code"
_REDIRECTION: Row = ("Unhandled redirection", Retry.NO)
_UNSUCCESSFUL: Row = ("Received an unsuccessful status code", Retry.NO)
_SERVER_ERROR: Row = ("Received a server error status code", Retry.NO)

STATUSES: Mapping[int, Row] = {
    401: _AUTHENTICATION,
    413: _TOO_LARGE,
    429: (_RATE_LIMIT, Retry.AGAIN),
    502: (_RATE_LIMIT, Retry.AGAIN),
    503: (_RATE_LIMIT, Retry.AGAIN),
}
"""Of embeddings and rerank; the rest goes by the class of the status."""

CHAT_STATUSES: Mapping[int, Row] = {
    400: ("Received a bad request status code", Retry.NO),
    401: _AUTHENTICATION,
    404: ("Resource not found at [{url}]", Retry.NO),
    413: _TOO_LARGE,
    422: ("Received an input validation error response", Retry.NO),
    429: (_RATE_LIMIT, Retry.NO),
    500: (_SERVER_ERROR[0], Retry.AGAIN),
    503: ("Received a server busy error status code", Retry.AGAIN),
}
"""Of completion and chat_completion."""

_PROMPT_TOO_LONG = "Please reduce your prompt; or completion length."


def check_status(endpoint: InferenceEndpoint, response: UpstreamResponse) -> None:
    """Raise for any status but 2xx, with the upstream's own words if it gave them."""
    if not _is_good(response.status):
        raise _status_error(endpoint, response, STATUSES, _error_message(response.body))


def check_completion_status(endpoint: InferenceEndpoint, response: UpstreamResponse) -> None:
    """The same for completion, which knows OpenAI's form of an error alone."""
    if not _is_good(response.status):
        raise _status_error(endpoint, response, CHAT_STATUSES, openai_message(response.body))


def check_chat_status(endpoint: InferenceEndpoint, response: UpstreamResponse) -> None:
    """The same for chat_completion, whose errors have a form of their own."""
    if _is_good(response.status):
        return
    error = error_of(response.body)
    if error is not None:
        raise _status_error(endpoint, response, CHAT_STATUSES, error.message, error.detail)
    detail = ChatDetail(code=status_name(_answered_status(response.status)), type=UNKNOWN_ERROR)
    raise _status_error(endpoint, response, CHAT_STATUSES, None, detail)


def _is_good(status: int) -> bool:
    return 200 <= status < 300


def _status_error(
    endpoint: InferenceEndpoint,
    response: UpstreamResponse,
    statuses: Mapping[int, Row],
    message: str | None,
    detail: ChatDetail | None = None,
) -> UpstreamStatusError:
    status = response.status
    prefix, retry = statuses.get(status) or _by_class(status)
    if status == HTTPStatus.BAD_REQUEST and statuses is CHAT_STATUSES:
        too_long = message is not None and _PROMPT_TOO_LONG in message
        prefix, retry = _TOO_LARGE if too_long else (prefix, retry)
    reason = (
        f"{prefix.format(url=endpoint.service_settings.url)}"
        f" for request from inference entity id [{endpoint.inference_id}] status [{status}]"
    )
    return UpstreamStatusError(
        reason=with_message(reason, message),
        status=_answered_status(status),
        retry=retry,
        chat=detail,
    )


def _by_class(status: int) -> Row:
    if 300 <= status < 400:
        return _REDIRECTION
    return _SERVER_ERROR if status >= 500 else _UNSUCCESSFUL


def _answered_status(status: int) -> int:
    return status if status in _REST_STATUSES else HTTPStatus.BAD_REQUEST


def _error_message(body: bytes) -> str | None:
    """The text under ``error``; an object there, or no JSON, is no message."""
    message = read_object(body).get("error")
    return message if isinstance(message, str) else None
