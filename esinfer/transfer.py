"""Inference endpoints outside of a server: as JSON or as a shell script, and back.

Each is what a PUT of it would send, with its id and task type. What a server
tells of an endpoint lacks the key; a placeholder stands in its place. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import quote

PLACEHOLDER = "<api_key>"
"""In place of a key that is not known, and a name for what is asked of whoever imports."""
VARIABLE = "UPSTREAM_API_KEY"
"""Environment variable with the key for endpoints whose own is a placeholder."""
_PARTS = ("service", "service_settings", "task_settings", "chunking_settings")
_MERGED = ("service_settings", "task_settings")
_ONLY_TOLD = {
    (service, "sparse_embedding"): ("max_input_tokens",)
    for service in ("hugging_face", "hugging_face_elser")
}
"""Settings that a GET shows and a PUT refuses, by service and task type."""
_WITHOUT_KEY = frozenset(
    {
        *("elasticsearch", "elser", "elastic", "custom"),
        *("amazonbedrock", "amazon_sagemaker", "sagemaker", "googlevertexai"),
    }
)
"""Services of Elasticsearch that need no ``api_key``: within it, or with credentials of others."""

_CHANGEABLE = frozenset({"api_key", "rate_limit", "max_input_tokens"})
"""Service settings that an ``_update`` takes; of task settings it takes all (rest.md 5.2)."""


class TransferError(Exception):
    """Endpoints cannot be exported or imported; the text is one line that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portable:
    """One endpoint; ``body`` is that of its PUT and may hold a key."""

    inference_id: str
    task_type: str
    body: Mapping[str, Any] = field(repr=False)

    @property
    def path(self) -> str:
        return f"/_inference/{quote(self.task_type, safe='')}/{quote(self.inference_id, safe='')}"

    @property
    def has_key(self) -> bool:
        return cast("bool", self.body["service_settings"].get("api_key") != PLACEHOLDER)

    def with_key(self, api_key: str) -> Portable:
        settings = {**self.body["service_settings"], "api_key": api_key}
        return replace(self, body={**self.body, "service_settings": settings})

    def with_placeholder(self) -> Portable:
        """As an export has it that does not know the key, if there is one."""
        return self if self.body["service"] in _WITHOUT_KEY else self.with_key(PLACEHOLDER)

    def to_json(self) -> dict[str, Any]:
        return {"inference_id": self.inference_id, "task_type": self.task_type, **self.body}


def from_wire(endpoint: object) -> Portable:
    """An endpoint as a GET or an export has it."""
    if not isinstance(endpoint, dict):
        raise TransferError("an endpoint must be an object")
    name = endpoint.get("inference_id")
    for key in ("inference_id", "task_type", "service"):
        if not isinstance(endpoint.get(key), str) or not endpoint[key]:
            where = f"endpoint [{name}]" if isinstance(name, str) else "an endpoint"
            raise TransferError(f"{where} has no {key}")
        if not _is_text(endpoint[key]):
            raise TransferError(f"{key} of an endpoint has half a character in it")
    body = {part: endpoint[part] for part in _PARTS if part in endpoint}
    settings = body.setdefault("service_settings", {})
    if not isinstance(settings, dict):
        raise TransferError(f"endpoint [{name}]: service_settings must be an object")
    told = _ONLY_TOLD.get((endpoint["service"], endpoint["task_type"]), ())
    body["service_settings"] = {key: settings[key] for key in settings if key not in told}
    return Portable(
        inference_id=endpoint["inference_id"], task_type=endpoint["task_type"], body=body
    )


def change(stored: Portable, wanted: Portable) -> dict[str, Any] | None:
    """The body of an ``_update`` that makes one of the other; None if none can, empty if none need.

    An update merges: what the wanted one leaves out would stay.
    """
    if (stored.task_type, stored.body["service"]) != (wanted.task_type, wanted.body["service"]):
        return None
    sections = {name: _changed(stored, wanted, name) for name in _MERGED}
    service_settings = sections["service_settings"]
    if None in sections.values() or not _CHANGEABLE.issuperset(service_settings or ()):
        return None
    chunking = wanted.body.get("chunking_settings")
    if chunking != stored.body.get("chunking_settings"):
        if not chunking:
            return None
        sections["chunking_settings"] = chunking
    return {name: section for name, section in sections.items() if section}


def _changed(stored: Portable, wanted: Portable, section: str) -> dict[str, Any] | None:
    """The members of a section that differ; None if one would have to go."""
    old, new = stored.body.get(section) or {}, wanted.body.get(section) or {}
    if old.keys() - new.keys():
        return None
    return {key: value for key, value in new.items() if key not in old or old[key] != value}


def read(text: str, name: str) -> list[Portable]:
    """The endpoints of an export in JSON, which ``name`` is the file of."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise TransferError(f"{name} is not JSON: line {error.lineno}") from error
    except RecursionError as error:
        raise TransferError(f"{name} is not JSON") from error
    except ValueError as error:  # of int()
        raise TransferError(f"{name} is not JSON: a number has too many digits") from error
    endpoints = document.get("endpoints") if isinstance(document, dict) else None
    if not isinstance(endpoints, list):
        raise TransferError(f'{name} is no export: it must be an object with a list "endpoints"')
    return [from_wire(endpoint) for endpoint in endpoints]


def to_json(endpoints: Iterable[Portable]) -> str:
    return _dump({"endpoints": [endpoint.to_json() for endpoint in endpoints]}) + "\n"


def _dump(document: Mapping[str, Any]) -> str:
    """JSON for people; half a character of a surrogate pair, which no file can hold, is escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text if _is_text(text) else json.dumps(document, indent=2)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_SCRIPT = """\
#!/bin/sh
# Creates inference endpoints; CURL_OPTIONS such as "-u elastic:password" are passed on.
set -eu
: "${ELASTICSEARCH_URL:=http://localhost:9200}"
"""
_KEY = f"""\
: "${{{VARIABLE}:?is the key of the upstreams, which the export does not have}}"
api_key=$(printf %s "${VARIABLE}" | sed 's/[\\\\"]/\\\\&/g')
"""
"""Insists on the key; as a JSON string has it, with quotes and backslashes escaped."""


def to_curl(endpoints: Iterable[Portable]) -> str:
    """A POSIX shell script that creates them; keys that are missing it takes from ``VARIABLE``."""
    listed = list(endpoints)
    key = "" if all(endpoint.has_key for endpoint in listed) else _KEY
    return _SCRIPT + key + "".join(map(_curl, listed))


def _curl(endpoint: Portable) -> str:
    """A here-document in which the shell reads nothing but the variable of the key."""
    body = _dump(endpoint.body)
    for special in "\\$`":
        body = body.replace(special, f"\\{special}")
    if not endpoint.has_key:
        body = body.replace(f'"api_key": "{PLACEHOLDER}"', '"api_key": "$api_key"', 1)
    return (
        "\ncurl -sS --fail-with-body -w '\\n' ${CURL_OPTIONS:-} \\\n"
        f'  -X PUT "$ELASTICSEARCH_URL{endpoint.path}" \\\n'
        f"  -H 'Content-Type: application/json' --data-binary @- <<JSON\n{body}\nJSON\n"
    )
