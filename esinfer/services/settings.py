"""Settings that services share, each declared once.

A declaration validates the PUT body and, through its metadata, describes
itself in ``GET /_inference/_services``. Source: hugging_face.md section 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from marshmallow import EXCLUDE, ValidationError, post_load

from esinfer.endpoints import RateLimit, Secret, SecretSettings, ServiceSettings
from esinfer.errors import ElasticsearchError, IllegalArgument, ValidationFailed
from esinfer.json_schema import Json, any_of
from esinfer.map_fields import MapSchema
from esinfer.object_parser import (
    IntegerField,
    LongField,
    NestedField,
    ObjectParser,
    TextField,
)
from esinfer.services.uri import syntax_error


def describe(label: str, description: str, **flags: object) -> dict[str, object]:
    """Metadata of a setting for the service catalogue."""
    return {"label": label, "description": description, **flags}


class PositiveIntegerField(IntegerField):
    """An int above 0; ``name`` of the field is part of the error."""

    def read(self, value: float | str) -> int:
        number = super().read(value)
        if number <= 0:
            raise IllegalArgument(
                reason=f"[service_settings] Invalid value [{number}]."
                f" [{self.name}] must be a positive integer"
            )
        return number

    @property
    def bounds(self) -> tuple[int, int]:
        return 1, super().bounds[1]


class _RateLimitParser(ObjectParser):
    parser_name = "rate_limit"
    requests_per_minute = LongField(metadata={"minimum": 1})


class RateLimitField(NestedField[RateLimit | None]):
    """``{"requests_per_minute": n}``; an empty object reads as None."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_RateLimitParser(), **kwargs)

    def read(self, value: dict[str, object]) -> RateLimit | None:
        loaded = self.parser.load(value)
        if not loaded:
            return None
        if loaded["requests_per_minute"] <= 0:
            raise IllegalArgument(reason="requests per minute must be positive")
        return RateLimit(requests_per_minute=loaded["requests_per_minute"])


_API_KEY = describe("API Key", "API Key for the provider you're connecting to.")
_URL = describe("URL", "The URL endpoint to use for the requests.")
_RATE_LIMIT = describe("Rate Limit", "Minimize the number of rate limit errors.")


class ServiceSettingsParser(ObjectParser):
    """Reads ``service_settings`` of a PUT into the provider's settings value."""

    parser_name = "service_settings"
    make: ClassVar[type[ServiceSettings]]
    default_rate_limit: ClassVar[RateLimit]
    names_url_field: ClassVar[bool] = True

    url = TextField(required=True, metadata=_URL | {"type": "str", "minLength": 1})
    # Only its JSON type is looked at here; load_secrets reads it.
    api_key = TextField(
        metadata=_API_KEY
        | {"type": "str", "required": True, "sensitive": True, "updatable": True, "minLength": 1}
    )
    rate_limit = RateLimitField(
        metadata=_RATE_LIMIT | {"type": "int", "name": "rate_limit.requests_per_minute"}
    )

    def missing(self, names: Sequence[str]) -> ElasticsearchError:
        return IllegalArgument(
            reason=f"[service_settings] does not contain the required setting [{names[0]}]"
        )

    @post_load
    def _make(self, loaded: dict[str, Any], **_: object) -> ServiceSettings:
        loaded.pop("api_key", None)
        loaded["rate_limit"] = loaded.get("rate_limit") or self.default_rate_limit
        self._check_url(loaded["url"])
        return self.make(**loaded)

    def _check_url(self, url: str) -> None:
        if not url:
            raise IllegalArgument(
                reason="[service_settings] Invalid value empty string."
                " [url] must be a non-empty string"
            )
        problem = syntax_error(url)
        if problem is None:
            return
        unparsable = f"unable to parse url [{url}]. Reason: {problem}"
        if self.names_url_field:
            unparsable = (
                f"[service_settings] Invalid url [{url}] received for field [url]."
                f" Error: {unparsable}"
            )
        raise IllegalArgument(reason=unparsable)

    def configurations(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Name and description of each setting that has a label."""
        for name, declared in self.fields.items():
            about = declared.metadata
            if "label" in about:
                yield (
                    str(about.get("name", name)),
                    {
                        "description": about["description"],
                        "label": about["label"],
                        "required": bool(declared.required or about.get("required")),
                        "sensitive": bool(about.get("sensitive")),
                        "updatable": bool(about.get("updatable")),
                        "type": about["type"],
                    },
                )


class ResettableRateLimitField(RateLimitField):
    """In an update: null resets to the default, ``{}`` says nothing.

    What ``{}`` does in Elasticsearch is undetermined (hugging_face.md section
    1.1); here it leaves the limit alone.
    """

    def deserialize(
        self,
        value: object,
        attr: str | None = None,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if value is None:
            return RESET
        return super().deserialize(value, attr, data, **kwargs)

    def json_schema(self) -> Json:
        return any_of(self.parser, {"type": "null"})


RESET = object()
"""Loaded by an update for a setting that goes back to its default."""


class UpdateParser(ObjectParser):
    """Reads ``service_settings`` of an ``_update`` into the members that change."""

    parser_name = "service_settings"
    default_rate_limit: ClassVar[RateLimit]

    api_key = TextField(metadata={"sensitive": True, "minLength": 1})
    rate_limit = ResettableRateLimitField()

    @post_load
    def _changes(self, loaded: dict[str, Any], **_: object) -> dict[str, Any]:
        loaded.pop("api_key", None)
        if loaded.get("rate_limit") is RESET:
            loaded["rate_limit"] = self.default_rate_limit
        return {name: value for name, value in loaded.items() if value is not None}


def load_secrets(service_settings: Mapping[str, object]) -> SecretSettings:
    """The secret settings of a PUT; ``api_key`` is known to be a string if present."""
    api_key = service_settings.get("api_key")
    if api_key is None:
        raise ValidationFailed(
            ["[secret_settings] does not contain the required setting [api_key]"]
        )
    return SecretSettings(api_key=_api_key(api_key))


def update_secrets(
    stored: SecretSettings, service_settings: Mapping[str, object]
) -> SecretSettings:
    """The secret settings after an ``_update``; an absent key keeps the stored one."""
    api_key = service_settings.get("api_key")
    return stored if api_key is None else SecretSettings(api_key=_api_key(api_key))


def _api_key(value: object) -> Secret:
    if not isinstance(value, str) or not value:
        raise ValidationFailed(
            ["[secret_settings] Invalid value empty string. [api_key] must be a non-empty string"]
        )
    return Secret(value)


class TaskSettingsSchema(MapSchema):
    """Reads ``task_settings``: all problems together, unknown keys left to the caller."""

    scope = "task_settings"

    class Meta:
        unknown = EXCLUDE

    def read(self, section: Mapping[str, object]) -> dict[str, object]:
        """The known settings that are given, in the order of their declaration."""
        try:
            loaded: dict[str, object] = self.load(section)
        except ValidationError as error:
            problems = error.messages_dict
            raise ValidationFailed(
                [text for name in self.fields for text in problems.get(name, [])]
            ) from None
        return {name: loaded[name] for name in self.fields if name in loaded}

    def merge(
        self, stored: Mapping[str, object], section: Mapping[str, object]
    ) -> dict[str, object]:
        """The stored settings with those of ``section`` in their place."""
        merged = {**stored, **self.read(section)}
        return {name: merged[name] for name in self.fields if name in merged}

    def unknown_in(self, section: Mapping[str, object]) -> dict[str, object]:
        """The settings that nobody reads."""
        return {name: value for name, value in section.items() if name not in self.fields}

    def json_schema(self) -> Json:
        """What is accepted; the caller refuses what is unknown."""
        return {**super().json_schema(), "additionalProperties": False}


NO_TASK_SETTINGS = TaskSettingsSchema()
"""Of tasks that have none: everything is unknown."""
