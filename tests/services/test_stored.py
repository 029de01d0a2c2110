"""Every endpoint of every service is the same after it was stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from esinfer.chunking import settings as chunking
from esinfer.endpoints import InferenceEndpoint, RateLimit, Secret, SecretSettings, ServiceSettings
from esinfer.services import stored
from esinfer.services.hugging_face import ChatSettings
from esinfer.services.registry import SERVICES, ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.rows import Record
from esinfer.tasks import TaskType

CODEC = EndpointCodec(ServiceRegistry())
TASKS = [(service, task_type) for service in SERVICES.values() for task_type in service.tasks]

TEXTS = st.text(st.characters(exclude_categories=()))
JSON_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TASK_SETTINGS = st.dictionaries(TEXTS, st.none() | st.booleans() | JSON_NUMBERS | TEXTS)
CHUNKING_SETTINGS: Sequence[Mapping[str, object]] = [
    {},
    {"strategy": "none"},
    {"strategy": "word", "max_chunk_size": 20, "overlap": 7},
    {"strategy": "sentence", "max_chunk_size": 33, "sentence_overlap": 0},
    {"strategy": "recursive", "max_chunk_size": 10, "separator_group": "markdown"},
    {"strategy": "recursive", "max_chunk_size": 10, "separators": ["\n\ud800", "(?<!x)"]},
]


def settings_of(kind: type[ServiceSettings]) -> st.SearchStrategy[ServiceSettings]:
    """Any settings of a service, each member as it is declared."""
    return st.builds(kind, **{member.name: ... for member in fields(kind)})


@st.composite
def endpoints(draw: st.DrawFn) -> InferenceEndpoint:
    """Any endpoint of any service, whatever its settings declare."""
    service, task_type = draw(st.sampled_from(TASKS))
    task = service.tasks[task_type]
    return InferenceEndpoint(
        inference_id="id",
        task_type=task_type,
        service=service.name,
        service_settings=draw(settings_of(task.settings.make)),
        secret_settings=SecretSettings(api_key=Secret(draw(TEXTS))),
        task_settings=draw(TASK_SETTINGS),
        chunking_settings=draw(
            st.none() | st.sampled_from(CHUNKING_SETTINGS).map(chunking.load),
        ),
    )


def chat(model_id: str | None = None, api_key: str = "k") -> InferenceEndpoint:
    return InferenceEndpoint(
        inference_id="id",
        task_type=TaskType.COMPLETION,
        service="hugging_face",
        service_settings=ChatSettings(
            url="http://h", rate_limit=RateLimit(requests_per_minute=2**63 - 1), model_id=model_id
        ),
        secret_settings=SecretSettings(api_key=Secret(api_key)),
    )


@given(endpoints())
@example(chat())
@example(chat(model_id="\ud800\0", api_key="\udfff\0"))
def test_an_endpoint_is_the_same_after_it_was_stored(endpoint: InferenceEndpoint) -> None:
    record = CODEC.dump(endpoint)
    assert CODEC.load(record) == endpoint
    assert list(CODEC.load(record).task_settings) == list(endpoint.task_settings)
    assert (record.configuration + record.secrets).isascii()


@pytest.mark.parametrize(
    ("service", "task_type"), [(service.name, task_type) for service, task_type in TASKS]
)
def test_endpoints_of_each_task_are_made(service: str, task_type: TaskType) -> None:
    """The property above leaves out none, whatever providers are added."""
    kind = SERVICES[service].tasks[task_type].settings.make
    settings = kind(url="http://h", rate_limit=RateLimit(requests_per_minute=1))
    endpoint = replace(chat(), task_type=task_type, service=service, service_settings=settings)
    assert CODEC.load(CODEC.dump(endpoint)) == endpoint


def test_secrets_are_apart_and_in_no_repr() -> None:
    record = CODEC.dump(chat(api_key="hf_secret"))
    assert "hf_secret" not in record.configuration
    assert "hf_secret" not in repr(record)
    assert json.loads(record.secrets) == {"api_key": "hf_secret"}


def test_what_was_written_before_a_setting_came_takes_its_default() -> None:
    record = CODEC.dump(chat())
    written = json.loads(record.configuration)
    del written["service_settings"]["model_id"]
    assert CODEC.load(replace(record, configuration=json.dumps(written))) == chat()


def changed(section: str | None, **members: object) -> Record:
    """A stored endpoint with something else in it."""
    record = CODEC.dump(chat())
    written = json.loads(record.configuration)
    (written if section is None else written[section]).update(members)
    return replace(record, configuration=json.dumps(written))


@pytest.mark.parametrize(
    "record",
    [
        changed("service_settings", setting_of_tomorrow=1),
        changed("service_settings", url=None),
        changed("service_settings", model_id=1),
        changed("service_settings", rate_limit={"requests_per_minute": True}),
        changed("service_settings", rate_limit=7),
        changed(None, service="service_of_tomorrow"),
        changed(None, task_type="embedding"),
        changed(None, task_type="nonsense"),
        changed(None, task_settings=[]),
        changed(None, chunking_settings={"strategy": "of tomorrow"}),
        replace(CODEC.dump(chat()), configuration="no JSON"),
        replace(CODEC.dump(chat()), configuration="[]"),
        replace(CODEC.dump(chat()), secrets="{}"),
        replace(CODEC.dump(chat()), secrets='{"api_key":1}'),
    ],
)
def test_what_this_esinfer_does_not_know_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match=r"^(not the text of an endpoint|Expecting|'nonsense')"):
        CODEC.load(record)


def test_settings_that_could_not_be_read_back_are_not_written() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class MoreSecrets(SecretSettings):
        other: Secret

    plain = ServiceSettings(url="http://h", rate_limit=RateLimit(requests_per_minute=1))
    with pytest.raises(TypeError, match="must be ChatSettings"):
        CODEC.dump(replace(chat(), service_settings=plain))
    more = MoreSecrets(api_key=Secret("a"), other=Secret("b"))
    with pytest.raises(TypeError, match="other secret settings"):
        CODEC.dump(replace(chat(), secret_settings=more))
    with pytest.raises(TypeError, match="no setting may be set"):
        CODEC.dump(replace(chat(), task_settings={"a": {1}}))


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    names: tuple[str, ...] = ()
    colour: Colour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What settings of providers to come may declare."""

    inner: Inner
    more: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner | None]
    ratio: float = 0.5


@pytest.mark.parametrize(
    "value",
    [
        Declared(inner=Inner(), by_name={}),
        Declared(
            inner=Inner(names=("a", "b"), colour=Colour.RED),
            more=(Inner(), Inner(colour=Colour.RED)),
            by_name={"x": None, "y": Inner(names=("c",))},
            ratio=1.0,
        ),
    ],
)
def test_what_settings_may_declare_is_read_as_declared(value: Any) -> None:
    assert stored._load(Declared, json.loads(json.dumps(stored._dump(value)))) == value
