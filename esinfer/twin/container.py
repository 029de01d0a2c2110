"""The web server of Hugging Face's Inference Toolkit, the "Default" container of endpoints.

It hands the ``inputs`` of a body to a pipeline. It is strict about media types,
knows no key and no limits, and answers whatever goes wrong with status 400 and
what Python says of it.

Known difference: of the media types that it lists it takes ``application/json``
and ``text/plain``, and writes JSON alone.
Source: huggingface-inference-toolkit 0.5.6 ``webservice_starlette.py``,
``serialization/base.py``; upstream.md section 1b.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

import orjson

from esinfer.twin.answers import JSON, TEXT, Failure, TwinAnswer, TwinRequest, json, text
from esinfer.twin.axum import lower
from esinfer.twin.effort import is_quick
from esinfer.twin.permits import Hold
from esinfer.twin.servers import UNLIMITED, Kind

_JSON_TYPES: Final = (JSON, "application/json; charset=UTF-8")
_PLAIN: Final = "text/plain"
_TYPES: Final = (
    *_JSON_TYPES,
    *("text/csv", _PLAIN),
    *("image/png", "image/jpeg", "image/jpg", "image/tiff", "image/bmp", "image/gif"),
    *("image/webp", "image/x-image"),
    *("audio/x-flac", "audio/flac", "audio/mpeg", "audio/x-mpeg-3", "audio/wave", "audio/wav"),
    *("audio/x-wav", "audio/ogg", "audio/x-audio", "audio/webm", "audio/webm;codecs=opus"),
    *("audio/AMR", "audio/amr", "audio/AMR-WB", "audio/AMR-WB+", "audio/m4a", "audio/x-m4a"),
)
_INDENT: Final = " " * 16


class PipelineError(Exception):
    """A pipeline has raised; ``str`` is what Python says."""


Pipeline = Callable[[Any, Any], bytes]
"""From ``inputs`` and ``parameters`` to the answer's body; raises PipelineError."""


@dataclass(frozen=True, slots=True)
class Container:
    """The server round ``pipeline``, which does what inference calls ``task_type``.

    It makes vectors of so many ``dimensions``: one a text, or ``by_token``.
    """

    has_cors: ClassVar[bool] = False
    pipeline: Pipeline
    task_type: str
    dimensions: int
    by_token: bool = False
    payload_limit: int = UNLIMITED

    def answer(self, request: TwinRequest) -> TwinAnswer:
        """Answer a request by its path and method."""
        methods = _ROUTES.get(request.path)
        if methods is None:
            return text(404, "Not Found")
        respond = methods.get(request.method)
        if respond is None:
            allow = {"allow": ", ".join(methods)}
            return TwinAnswer(
                status=405, content_type=TEXT, body=b"Method Not Allowed", headers=allow
            )
        return respond(self, request)

    def run(
        self,
        kind: Kind,
        headers: Mapping[str, str],
        body: bytes,
        *,
        path: str = "",
        hold: Hold | None = None,
    ) -> TwinAnswer:
        """Answer a body: there is one route for all kinds."""
        del kind, path, hold  # one route, and requests wait for their turn
        return self.predict(TwinRequest(method="POST", path="/", headers=headers, body=body))

    def task_of(self, method: str, path: str) -> str | None:
        """That of the pipeline, wherever it is called."""
        is_predicting = method == "POST" and "POST" in _ROUTES.get(path, ())
        return self.task_type if is_predicting else None

    def is_quick(self, path: str, body: bytes) -> bool:
        """By the number of the texts; of a vector for each token, by their length."""
        del path
        return is_quick(body, self.dimensions, by_token=self.by_token)

    def predict(self, request: TwinRequest) -> TwinAnswer:
        """``POST /``: what the pipeline makes of the inputs."""
        headers = {name: _latin_1(value) for name, value in lower(request.headers).items()}
        try:
            fields = _read(headers.get("content-type"), request.body)
            parameters = fields.get("parameters", _parameters(request.query))
            body = self.pipeline(fields["inputs"], {} if parameters is None else parameters)
            return TwinAnswer(status=200, content_type=_accepted(headers), body=body)
        except (PipelineError, orjson.JSONDecodeError, UnicodeDecodeError) as error:
            return json(400, {"error": str(error)})
        except Failure as error:  # of what stands before the embedder
            return json(400, {"error": error.error})

    def health(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /health``."""
        return text(200, "Ok")

    def metrics(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /metrics``: nothing ever waits here."""
        return text(200, "inf_batch_current_size 0\ninf_queue_size 0\n")


def _latin_1(value: str) -> str:
    """A header's value as Starlette reads it; aiohttp takes it for UTF-8."""
    return value.encode(errors="surrogateescape").decode("latin-1")


def _read(content_type: str | None, body: bytes) -> Mapping[str, Any]:
    if content_type == _PLAIN:
        return {"inputs": body.decode()}
    if content_type not in _JSON_TYPES:
        raise _unsupported("Content", "content", content_type or None)
    fields = orjson.loads(body)
    if not isinstance(fields, dict | list | str):
        raise PipelineError(f"argument of type '{type(fields).__name__}' is not iterable")
    if not isinstance(fields, dict) or "inputs" not in fields:
        received = orjson.dumps(fields)
        raise PipelineError(f"Body needs to provide a inputs key, received: {received!r}")
    return fields


def _parameters(query: str) -> Mapping[str, object]:
    """What stands behind the question mark; whole numbers and truth values are read as such."""
    return {name: _value(value) for name, value in parse_qsl(query)}


def _value(text: str) -> object:
    if text.isdecimal():
        try:
            return int(text)
        except ValueError as error:  # too many digits, for Python there too
            raise PipelineError(str(error)) from error
    return {"true": True, "false": False}.get(text.lower(), text)


def _accepted(headers: Mapping[str, str]) -> str:
    """The media type of the answer; looked at when it is there, as in the original."""
    accept = headers.get("accept") or "*/*"
    if accept == "*/*":
        return JSON
    if accept not in _JSON_TYPES:
        raise _unsupported("Accept", "accept", accept)
    return accept


def _unsupported(header: str, word: str, value: str | None) -> PipelineError:
    lines = (
        f'{header} type "{value}" not supported.',
        f"Supported {word} types are:",
        ", ".join(_TYPES),
    )
    return PipelineError("".join(f"\n{_INDENT}{line}" for line in lines) + "\n" + " " * 12)


_ROUTES: Final[Mapping[str, Mapping[str, Callable[[Container, TwinRequest], TwinAnswer]]]] = {
    "/": {"GET": Container.health, "HEAD": Container.health, "POST": Container.predict},
    "/health": {"GET": Container.health, "HEAD": Container.health},
    "/predict": {"POST": Container.predict},
    "/metrics": {"GET": Container.metrics, "HEAD": Container.metrics},
}
