"""What a debugger or a failed assertion prints of our values shows no key."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import esinfer
from esinfer.api.body import Body
from esinfer.endpoints import RateLimit, ServiceSettings
from esinfer.journal import Call
from esinfer.lifecycle import Configuration
from esinfer.tasks import TaskType
from esinfer.twin.answers import TwinRequest
from esinfer.twin.exchange_log import _Head
from esinfer.twin.received import Received
from esinfer.upstream import UpstreamRequest, UpstreamResponse

KEY = "hf_sEcReT0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}
URL = f"https://me:{KEY}@example.com/x?api_key={KEY}"
TWIN_REQUEST = TwinRequest(
    method="POST", path="/", headers=HEADERS, body=KEY.encode(), query=f"api_key={KEY}"
)
PUT = {"service_settings": {"api_key": KEY}}


@pytest.mark.parametrize(
    "value",
    [
        Call("GET", "/x", f"api_key={KEY}", HEADERS, None, None),
        TWIN_REQUEST,
        Received(request=TWIN_REQUEST, url=URL),
        _Head({"url": URL}, HEADERS),
        UpstreamRequest(
            url=URL, headers=HEADERS, body=b"", task_type=TaskType.COMPLETION, inference_id="x"
        ),
        UpstreamResponse(status=401, body=f"not {KEY}".encode()),
        ServiceSettings(url=URL, rate_limit=RateLimit(requests_per_minute=1)),
        Configuration(body=PUT, members=PUT, problems={}),
        Body(PUT, KEY.encode),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_holds_a_key_does_not_print_it(value: object) -> None:
    assert KEY not in repr(value)
    assert type(value).__name__ in repr(value)


_BEARING = re.compile(r"(headers|password|secret|secrets|secret_settings|api_key|url)$")
_SHOWN = {
    "ConnectionLimits.headers": "a number",
    "ServerConfig.max_headers": "a number",
    "Setting.secret": "whether it is one",
    "SecretSettings.api_key": "a Secret, which prints a mask",
    "_Table.secret": "the name of a setting",
    "TwinAnswer.headers": "what the twin answers",
    "UpstreamSettings.url": "a pattern",
    "Request.headers": "of the journal, which masks",
    "Request.answer_headers": "of the journal, which masks",
    "Attempt.headers": "of the journal, which masks",
    "Attempt.url": "of the journal, which masks",
}
"""Fields that are named as if they held a key, and why they may be printed."""


def values() -> Iterator[Any]:
    """All dataclasses of esinfer."""
    for module in pkgutil.walk_packages(esinfer.__path__, "esinfer."):
        if not module.name.endswith("__main__"):
            for member in vars(importlib.import_module(module.name)).values():
                if isinstance(member, type) and dataclasses.is_dataclass(member):
                    yield member


def test_no_field_that_may_hold_a_key_is_printed() -> None:
    printed = {
        f"{value.__name__}.{field.name}"
        for value in values()
        for field in dataclasses.fields(value)
        if field.repr and _BEARING.search(field.name)
    }
    assert printed == set(_SHOWN)
