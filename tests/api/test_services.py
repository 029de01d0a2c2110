"""``GET /_inference/_services`` (rest.md section 3.3)."""

from __future__ import annotations

import pytest

from tests.conftest import Client, envelope

TASKS = ["text_embedding", "sparse_embedding", "rerank", "completion", "chat_completion"]


def setting(label: str, description: str, kind: str, **flags: bool) -> dict[str, object]:
    return {
        "description": description,
        "label": label,
        "required": False,
        "sensitive": False,
        "updatable": False,
        **flags,
        "type": kind,
    }


API_KEY = setting(
    "API Key",
    "API Key for the provider you're connecting to.",
    "str",
    required=True,
    sensitive=True,
    updatable=True,
)
RATE_LIMIT = setting("Rate Limit", "Minimize the number of rate limit errors.", "int")
URL = setting("URL", "The URL endpoint to use for the requests.", "str", required=True)


SETTINGS = {"api_key": API_KEY, "rate_limit.requests_per_minute": RATE_LIMIT, "url": URL}
CATALOGUE = [
    {
        "service": "hugging_face",
        "name": "Hugging Face",
        "task_types": TASKS,
        "configurations": {
            name: about | {"supported_task_types": TASKS} for name, about in SETTINGS.items()
        },
    }
]


@pytest.mark.parametrize(
    "path", ["_services", "_services/any", *(f"_services/{name}" for name in TASKS)]
)
async def test_the_catalogue(client: Client, path: str) -> None:
    reply = await client("GET", f"/_inference/{path}")
    assert (reply.status, reply.json) == (200, CATALOGUE)


async def test_the_order_of_the_catalogue(client: Client) -> None:
    (service,) = (await client("GET", "/_inference/_services")).json
    assert list(service) == ["service", "name", "task_types", "configurations"]
    assert list(service["configurations"]) == [
        "api_key",
        "rate_limit.requests_per_minute",
        "url",
    ]
    for described in service["configurations"].values():
        assert list(described) == [
            "description",
            "label",
            "required",
            "sensitive",
            "updatable",
            "type",
            "supported_task_types",
        ]


async def test_a_task_type_that_no_service_has_gives_an_empty_list(client: Client) -> None:
    reply = await client("GET", "/_inference/_services/embedding")
    assert (reply.status, reply.raw) == (200, b"[]")


async def test_an_unknown_task_type_is_400(client: Client) -> None:
    reply = await client("GET", "/_inference/_services/nope")
    expected = envelope("status_exception", "Unknown task_type [nope]")
    assert (reply.status, reply.json) == (400, expected)


async def test_an_escaped_dot_filters_a_name_with_a_dot(client: Client) -> None:
    name = "rate_limit.requests_per_minute"
    query = "filter_path=configurations.rate_limit%5C.requests_per_minute.type"
    reply = await client("GET", f"/_inference/_services?{query}")
    assert reply.json == [{"configurations": {name: {"type": "int"}}}]
