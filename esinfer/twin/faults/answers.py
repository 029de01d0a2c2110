"""Answers in place of the server's own, in the words of whoever would give them.

Source: upstream.md sections 1a to 1f. What the contract marks as unknown is
the proxy's body at a cold start and the body of a rate limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson

from esinfer.twin.answers import JSON, TwinAnswer
from esinfer.twin.delivery import Call, Delivery, Effect
from esinfer.twin.dialects import Dialect

_HTML: Final = "text/html"
_TEXT: Final = "text/plain; charset=utf-8"
_ESTIMATED_TIME: Final = 20.0


def json_answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> TwinAnswer:
    """An answer with a JSON body."""
    return TwinAnswer(
        status=status, content_type=JSON, body=orjson.dumps(value), headers=headers or {}
    )


def loading(call: Call) -> Delivery:
    """503: the model is not there yet, as a dedicated endpoint's proxy or the router says it."""
    body: dict[str, object] = {"error": "503 Service Unavailable"}
    if call.dialect is Dialect.SERVERLESS:
        error = f"Model {call.model} is currently loading"
        body = {"error": error, "estimated_time": _ESTIMATED_TIME}
    return Delivery(answer=json_answer(503, body))


def paused(_call: Call) -> Delivery:
    """400: the endpoint is paused, or failed to start."""
    return Delivery(answer=json_answer(400, {"error": "Bad Request: Invalid state"}))


_REFUSALS: Final = {
    "endpoint": "A valid user token is required",
    "router": "Invalid credentials in Authorization header",
}
REFUSING: Final = ("container", *_REFUSALS)
"""Who may refuse a key; a container has no word for it."""
_USUALLY_REFUSING: Final = {Dialect.TOOLKIT: "endpoint", Dialect.SERVERLESS: "router"}


def unauthorized(*, by: str | None = None) -> Effect:
    """401, in the words of one of ``REFUSING``."""

    def effect(call: Call) -> Delivery:
        error = _REFUSALS.get(by or _USUALLY_REFUSING.get(call.dialect, "container"))
        answer = TwinAnswer(status=401) if error is None else json_answer(401, {"error": error})
        return Delivery(answer=answer)

    return effect


def overloaded(call: Call) -> Delivery:
    """429: no permit of the server's is left."""
    words = {Dialect.TGI: "overloaded", Dialect.VLLM: HTTPStatus.TOO_MANY_REQUESTS.phrase}
    error_type = words.get(call.dialect, "Overloaded")
    return Delivery(answer=_failed(call, 429, "Model is overloaded", error_type))


def rate_limited(*, retry_after: int | None = None, rate_limit_headers: bool = False) -> Effect:
    """429 of the Hub; ``retry_after`` in seconds."""
    headers = {}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if rate_limit_headers:
        headers["ratelimit"] = '"api";r=0;t=55'
        headers["ratelimit-policy"] = '"fixed window";"api";q=500;w=300'
    answer = json_answer(429, {"error": "Rate limit reached"}, headers)
    return lambda _call: Delivery(answer=answer)


def backend(*, message: str = "CUDA error: out of memory") -> Effect:
    """The model itself fails."""

    def effect(call: Call) -> Delivery:
        if call.dialect is Dialect.TOOLKIT:
            return Delivery(answer=json_answer(400, {"error": message}))
        if call.dialect is Dialect.VLLM:
            return Delivery(answer=_failed(call, 500, message, "InternalServerError"))
        error, error_type = f"Backend error: {message}", "Backend"
        if call.dialect is Dialect.TGI:
            error, error_type = f"Request failed during generation: {message}", "generation"
        return Delivery(answer=_failed(call, 424, error, error_type))

    return effect


def _failed(call: Call, status: int, message: str, error_type: str) -> TwinAnswer:
    """What the server itself answers, in its form."""
    if call.dialect is Dialect.VLLM:
        return json_answer(status, {"error": vllm_error(message, status, error_type)})
    if call.dialect is Dialect.OPENAI:
        return json_answer(status, {"message": message, "code": status, "type": error_type})
    return json_answer(status, {"error": message, "error_type": error_type})


def vllm_error(
    message: str, code: int = 500, error_type: str = "InternalServerError"
) -> dict[str, object]:
    """An error as vLLM words it."""
    return {"message": message, "type": error_type, "param": None, "code": code}


def gateway(*, status: int = 502) -> Effect:
    """An error page of what stands before the server."""
    title = f"{status} {HTTPStatus(status).phrase}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    answer = TwinAnswer(status=status, content_type=_HTML, body=page.encode())
    return lambda _call: Delivery(answer=answer)


def error(*, status: int = 422, form: str = "text", message: str = "it went wrong") -> Effect:
    """``{"error": …}`` with the message as a text, in a list, or in an object."""
    forms: Mapping[str, object] = {
        "text": message,
        "list": [message],
        "object": vllm_error(message, status),
    }
    answer = json_answer(status, {"error": forms[form]})
    return lambda _call: Delivery(answer=answer)


def redirect(*, status: int = 307, location: str = "https://example.com/") -> Effect:
    """Go and ask elsewhere."""
    answer = TwinAnswer(status=status, headers={"location": location})
    return lambda _call: Delivery(answer=answer)


def html(_call: Call) -> Delivery:
    """200, but a page instead of an answer."""
    page = b"<!DOCTYPE html>\n<html><body>Sign in to continue</body></html>\n"
    return Delivery(answer=TwinAnswer(status=200, content_type=_HTML, body=page))


def empty(_call: Call) -> Delivery:
    """200, but no body."""
    return Delivery(answer=TwinAnswer(status=200))


def respond(
    *, status: int = 200, body: object = None, headers: Mapping[str, str] | None = None
) -> Effect:
    """Any answer: a text goes out as it is, another value as JSON, None is no body."""
    named = {name.lower(): value for name, value in (headers or {}).items()}
    content_type = named.pop("content-type", _TEXT if isinstance(body, str) else JSON)
    data = body.encode() if isinstance(body, str) else orjson.dumps(body)
    answer = TwinAnswer(
        status=status,
        content_type=content_type if body is not None else None,
        body=data if body is not None else b"",
        headers=named,
    )
    return lambda _call: Delivery(answer=answer)
