"""Media types: which bodies are read, which form an answer takes.

``negotiate`` is a pure function of three texts and is cached, since clients
send the same ones with every call. Source: rest.md sections 7.3, 7.4 and 8,
clients.md section 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from esinfer.errors import (
    ElasticsearchError,
    IllegalArgument,
    MediaTypeHeaderError,
    RouterError,
    StatusException,
)

CURRENT_VERSION = 9
PRIOR_VERSION = 8


class Form(StrEnum):
    """The encodings of XContent."""

    JSON = "json"
    YAML = "yaml"
    CBOR = "cbor"
    SMILE = "smile"


IMPLEMENTED = frozenset({Form.JSON, Form.YAML})

_FORMS = {
    "application/json": Form.JSON,
    "application/*": Form.JSON,
    "application/x-ndjson": Form.JSON,
    "application/vnd.elasticsearch+json": Form.JSON,
    "application/vnd.elasticsearch+x-ndjson": Form.JSON,
    "application/yaml": Form.YAML,
    "application/vnd.elasticsearch+yaml": Form.YAML,
    "application/cbor": Form.CBOR,
    "application/vnd.elasticsearch+cbor": Form.CBOR,
    "application/smile": Form.SMILE,
    "application/vnd.elasticsearch+smile": Form.SMILE,
}
_VENDOR = "application/vnd.elasticsearch+"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A media type as sent: lower case, without its parameters, and the version it asks for."""

    name: str
    version: int | None
    sent: str

    @property
    def form(self) -> Form | None:
        return _FORMS.get(self.name)


def parse(header: str) -> MediaType | None:
    """Read one media type; None for ``*/*`` and nothing; IllegalArgument if it is none."""
    name, *parameters = header.lower().split(";")
    name = name.strip()
    if not name or name == "*/*":
        return None
    kind, slash, subtype = name.partition("/")
    if not (slash and _TOKEN.fullmatch(kind) and _TOKEN.fullmatch(subtype)):
        raise IllegalArgument(reason=f"invalid media-type [{header}]")
    version = None
    for parameter in filter(None, map(str.strip, parameters)):
        key, equals, value = parameter.partition("=")
        if not equals:
            raise IllegalArgument(reason=f"invalid parameters for header [{header}]")
        if key.strip() == "compatible-with" and name.startswith(_VENDOR):
            version = _version(value.strip())
    return MediaType(name=name, version=version, sent=header)


def _version(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 4 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """How to read the body and how to write the answer."""

    body: Form | None
    answer: Form
    content_type: str


@lru_cache(maxsize=512)
def negotiate(
    accept: str | None, content_type: str | None, form: str | None, *, has_body: bool
) -> Negotiated:
    """Settle the forms from the headers and the ``format`` parameter, which wins.

    Raises MediaTypeHeaderError for broken headers or versions that do not go
    together. An ``Accept`` that nobody knows is ignored.
    """
    sent = _content_type(content_type) if has_body or content_type else None
    wanted = _accepted(accept)
    _check_versions(wanted, sent if has_body else None)
    answer, vendor = _answer_form(form, wanted, sent if has_body else None)
    return Negotiated(
        body=sent.form if sent else None,
        answer=answer,
        content_type=_content_type_of(answer, vendor),
    )


def _content_type(header: str | None) -> MediaType | None:
    try:
        return parse(header) if header else None
    except IllegalArgument as error:
        raise MediaTypeHeaderError(headers="Content-Type") from error


def _accepted(header: str | None) -> MediaType | None:
    """The first type of the list that has a form here."""
    for item in (header or "").split(","):
        try:
            wanted = parse(item)
        except IllegalArgument:
            continue
        if wanted is not None and wanted.form is not None:
            return wanted
    return None


def _check_versions(accept: MediaType | None, content_type: MediaType | None) -> None:
    for header, media_type in (("Accept", accept), ("Content-Type", content_type)):
        version = media_type.version if media_type else None
        if media_type and version not in (None, CURRENT_VERSION, PRIOR_VERSION):
            raise _version_error(
                f"{header} version must be either version {CURRENT_VERSION} or {PRIOR_VERSION},"
                f" but found {version}. {header}={media_type.sent}"
            )
    if content_type is None:
        return
    if (accept.version if accept else None) != content_type.version:
        raise _version_error(
            "A compatible version is required on both Content-Type and Accept headers if either"
            f" one has requested a compatible version. Accept={accept.sent if accept else 'null'},"
            f" Content-Type={content_type.sent}"
        )


def _version_error(reason: str) -> ElasticsearchError:
    error = MediaTypeHeaderError(headers="Accept, Content-Type")
    error.__cause__ = StatusException(reason=reason)
    return error


def _answer_form(
    form: str | None, accept: MediaType | None, content_type: MediaType | None
) -> tuple[Form, MediaType | None]:
    if form is not None and form.lower() in set(Form):
        return Form(form.lower()), accept
    for media_type in (accept, content_type):
        if media_type is not None and media_type.form is not None:
            return media_type.form, accept
    return Form.JSON, None


def _content_type_of(form: Form, accept: MediaType | None) -> str:
    if accept is not None and accept.version is not None:
        return f"{_VENDOR}{form};compatible-with={accept.version}"
    return f"application/{form}"


def check_answer_form(form: Form) -> None:
    """Say so when an answer was asked for in a form that esinfer does not write."""
    if form not in IMPLEMENTED:
        raise RouterError(406, f"esinfer does not implement the response format [{form}]")


def check_body_form(form: Form | None, header: str | None) -> None:
    """Refuse a body without a media type, or with one that is not read."""
    if header is None:
        raise RouterError(406, "Content-Type header is missing")
    if form not in IMPLEMENTED:
        raise RouterError(406, f"Content-Type header [{header}] is not supported")
