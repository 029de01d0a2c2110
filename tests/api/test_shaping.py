"""Forms of an answer: pretty, filtered, YAML (rest.md section 8)."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.api import shaping
from tests.conftest import Answer, Client, Upstream, envelope

NOT_FOUND = envelope("resource_not_found_exception", "Inference endpoint not found [x]", 404)

PRETTY_ENDPOINT = """\
{
  "endpoints" : [
    {
      "inference_id" : "id",
      "task_type" : "text_embedding",
      "service" : "hugging_face",
      "service_settings" : {
        "url" : "URL",
        "similarity" : "cosine",
        "dimensions" : 2,
        "rate_limit" : {
          "requests_per_minute" : 3000
        }
      },
      "chunking_settings" : {
        "strategy" : "sentence",
        "max_chunk_size" : 250,
        "sentence_overlap" : 1
      }
    }
  ]
}
"""

PRETTY_ERROR = """\
{
  "error" : {
    "root_cause" : [
      {
        "type" : "resource_not_found_exception",
        "reason" : "Inference endpoint not found [x]"
      }
    ],
    "type" : "resource_not_found_exception",
    "reason" : "Inference endpoint not found [x]"
  },
  "status" : 404
}
"""

YAML_ERROR = """\
---
error:
  root_cause:
  - type: "resource_not_found_exception"
    reason: "Inference endpoint not found [x]"
  type: "resource_not_found_exception"
  reason: "Inference endpoint not found [x]"
status: 404
"""


@pytest.mark.parametrize("query", ["pretty", "pretty=", "pretty=true"])
async def test_pretty_indents_by_two(embedder: Client, upstream: Upstream, query: str) -> None:
    reply = await embedder("GET", f"/_inference/id?{query}")
    assert (reply.status, reply.text) == (200, PRETTY_ENDPOINT.replace("URL", upstream.url))
    assert reply.headers["Content-Type"] == "application/json"


async def test_pretty_false_is_compact(client: Client) -> None:
    reply = await client("GET", "/_inference?pretty=false")
    assert reply.raw == b'{"endpoints":[]}'


async def test_pretty_prints_empty_lists_with_a_blank(client: Client) -> None:
    reply = await client("GET", "/_inference?pretty")
    assert reply.text == '{\n  "endpoints" : [ ]\n}\n'


async def test_errors_are_pretty_too(client: Client) -> None:
    reply = await client("GET", "/_inference/x?pretty")
    assert (reply.status, reply.text) == (404, PRETTY_ERROR)


async def test_bare_errors_are_pretty_too(client: Client) -> None:
    reply = await client("DELETE", "/_inference?pretty")
    text = "Incorrect HTTP method for uri [/_inference?pretty] and method [DELETE], allowed: [GET]"
    assert reply.text == f'{{\n  "error" : "{text}",\n  "status" : 405\n}}\n'


async def test_pretty_prints_every_number_on_its_line(embedder: Client, upstream: Upstream) -> None:
    upstream.answers(Answer.json([[0.5, 5.614787e-4, 12345678.0, -0.0]]))
    reply = await embedder("POST", "/_inference/id?pretty", {"input": "a"})
    assert reply.text == (
        '{\n  "text_embedding" : [\n    {\n      "embedding" : [\n        0.5,\n'
        "        5.614787E-4,\n        1.2345678E7,\n        -0.0\n      ]\n    }\n  ]\n}\n"
    )


async def test_the_form_of_numbers_survives_filtering(embedder: Client, upstream: Upstream) -> None:
    upstream.answers(Answer.json([[1, 5.614787e-4]]))
    reply = await embedder(
        "POST", "/_inference/id?filter_path=text_embedding.embedding", {"input": "a"}
    )
    assert reply.raw == b'{"text_embedding":[{"embedding":[1.0,5.614787E-4]}]}'


DOCUMENT = {
    "a": {"b": {"c": 1, "d": 2}, "e": [{"f": 1, "g": 2}, {"g": 3}], "h": None},
    "ab": {"c": True},
    "x.y": {"z": 1},
    "empty": {},
    "nothing": [],
}


@pytest.mark.parametrize(
    ("filter_path", "expected"),
    [
        ("a.b.c", {"a": {"b": {"c": 1}}}),
        ("a.b", {"a": {"b": {"c": 1, "d": 2}}}),
        ("a.h", {"a": {"h": None}}),
        ("a.b.c.nope", {}),
        ("nope", {}),
        ("a.e.f", {"a": {"e": [{"f": 1}]}}),
        ("a.e.g", {"a": {"e": [{"g": 2}, {"g": 3}]}}),
        ("*.c", {"ab": {"c": True}}),
        ("a*.*", {"a": DOCUMENT["a"], "ab": {"c": True}}),
        ("a.b*", {"a": {"b": {"c": 1, "d": 2}}}),
        ("**.c", {"a": {"b": {"c": 1}}, "ab": {"c": True}}),
        ("**.g", {"a": {"e": [{"g": 2}, {"g": 3}]}}),
        ("a.**.d", {"a": {"b": {"d": 2}}}),
        ("**", DOCUMENT),
        ("*", DOCUMENT),
        ("empty", {"empty": {}}),
        ("nothing", {"nothing": []}),
        ("a.b.c,ab", {"a": {"b": {"c": 1}}, "ab": {"c": True}}),
        (" a.b.c , ab ", {"a": {"b": {"c": 1}}, "ab": {"c": True}}),
        ("a.b,-a.b.c", {"a": {"b": {"d": 2}}}),
        ("a.b,-**.c", {"a": {"b": {"d": 2}}}),
        ("-a,-ab,-empty,-nothing", {"x.y": {"z": 1}}),
        ("-*", {}),
        ("x\\.y.z", {"x.y": {"z": 1}}),
        ("x.y.z", {}),
        ("[a]", {}),
        ("?b", {}),
    ],
)
def test_filter_path(filter_path: str, expected: object) -> None:
    document = shaping.read(orjson.dumps(DOCUMENT))
    assert orjson.loads(shaping.write(shaping.filter_paths(document, filter_path))) == expected


@pytest.mark.parametrize("filter_path", ["**.**.c", "**.**.**.c", "a.**.**.d", "**.**", "-**.**.c"])
def test_any_depth_twice_is_any_depth(filter_path: str) -> None:
    document = shaping.read(orjson.dumps(DOCUMENT))
    once = filter_path.replace("**.**.**", "**").replace("**.**", "**")
    assert shaping.filter_paths(document, filter_path) == shaping.filter_paths(document, once)


def nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {"b": 1}
    for _ in range(depth):
        document = {"a": document, "b": 2}
    return document


@pytest.mark.parametrize("pattern", ["**.a." * 50 + "b", "**.a*." * 50 + "b", "-" + "**.*." * 50])
@pytest.mark.parametrize("depth", [10, 20, 40])
def test_filtering_takes_steps_for_each_level_of_the_pattern_at_most_once_a_member(
    monkeypatch: pytest.MonkeyPatch, pattern: str, depth: int
) -> None:
    steps = 0
    match = shaping.matches

    def count(name: str, glob: str) -> bool:
        nonlocal steps
        steps += 1
        return match(name, glob)

    monkeypatch.setattr(shaping, "matches", count)
    shaping.filter_paths(nested(depth), pattern)
    members, levels = 2 * depth + 1, pattern.count(".") + 1
    assert steps <= members * levels


def test_many_levels_of_any_depth_are_filtered() -> None:
    """Each once meant itself and all that follow, so that this took for ever."""
    assert shaping.filter_paths(nested(40), "**." * 300 + "x") == {}
    assert shaping.filter_paths(nested(2), "**." * 300 + "b") == nested(2)


GLOBS = st.text("ab*", max_size=8)


@given(st.text("ab", max_size=10), GLOBS)
def test_a_star_stands_for_any_text(name: str, glob: str) -> None:
    expected = re.fullmatch(glob.replace("*", ".*"), name) is not None
    assert shaping.matches(name, glob) == expected


def test_many_stars_are_matched_without_going_back() -> None:
    name = "a" * 100_000
    assert not shaping.matches(name, "*a" * 500 + "*b*")
    assert not shaping.matches(name, "*a" * 500 + "b")
    assert shaping.matches(name, "*a" * 500 + "*")


async def test_filter_path_takes_what_it_names(embedder: Client) -> None:
    reply = await embedder(
        "GET", "/_inference?filter_path=endpoints.inference_id,endpoints.service_settings.rate*.*"
    )
    rate_limit = {"rate_limit": {"requests_per_minute": 3000}}
    expected = {"endpoints": [{"inference_id": "id", "service_settings": rate_limit}]}
    assert (reply.status, reply.json) == (200, expected)


async def test_filter_path_drops_what_has_a_minus(embedder: Client) -> None:
    query = "filter_path=-**.service_settings,-**.chunking_settings"
    reply = await embedder("GET", f"/_inference?{query}")
    endpoint = {"inference_id": "id", "task_type": "text_embedding", "service": "hugging_face"}
    assert (reply.status, reply.json) == (200, {"endpoints": [endpoint]})


async def test_a_filter_that_leaves_nothing_gives_an_empty_object(embedder: Client) -> None:
    reply = await embedder("GET", "/_inference?filter_path=nope")
    assert (reply.status, reply.raw) == (200, b"{}")


async def test_an_empty_filter_filters_nothing(client: Client) -> None:
    reply = await client("GET", "/_inference?filter_path=")
    assert reply.raw == b'{"endpoints":[]}'


async def test_filter_and_pretty_go_together(embedder: Client) -> None:
    reply = await embedder("GET", "/_inference?pretty&filter_path=**.service")
    assert reply.text == (
        '{\n  "endpoints" : [\n    {\n      "service" : "hugging_face"\n    }\n  ]\n}\n'
    )


@pytest.mark.parametrize("filter_path", ["nope", "-*", "status", "-error.root_cause"])
async def test_errors_are_never_filtered(client: Client, filter_path: str) -> None:
    reply = await client("GET", f"/_inference/x?filter_path={filter_path}")
    assert (reply.status, reply.json) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("?format=yaml", "", "application/yaml"),
        ("?format=YAML", "application/json", "application/yaml"),
        ("", "application/yaml", "application/yaml"),
        ("?pretty", "application/yaml", "application/yaml"),
        (
            "",
            "application/vnd.elasticsearch+yaml;compatible-with=9",
            "application/vnd.elasticsearch+yaml;compatible-with=9",
        ),
    ],
)
async def test_yaml_on_request(client: Client, query: str, accept: str, content_type: str) -> None:
    reply = await client("GET", f"/_inference/x{query}", headers={"Accept": accept})
    assert (reply.status, reply.text) == (404, YAML_ERROR)
    assert reply.headers["Content-Type"] == content_type


async def test_yaml_of_an_endpoint(embedder: Client, upstream: Upstream) -> None:
    reply = await embedder("GET", "/_inference/id?format=yaml")
    assert (reply.status, reply.text) == (
        200,
        '---\nendpoints:\n- inference_id: "id"\n  task_type: "text_embedding"\n'
        f'  service: "hugging_face"\n  service_settings:\n    url: "{upstream.url}"\n'
        '    similarity: "cosine"\n    dimensions: 2\n'
        "    rate_limit:\n      requests_per_minute: 3000\n"
        '  chunking_settings:\n    strategy: "sentence"\n    max_chunk_size: 250\n'
        "    sentence_overlap: 1\n",
    )


async def test_yaml_of_nothing(client: Client) -> None:
    reply = await client("GET", "/_inference?format=yaml")
    assert (reply.status, reply.text) == (200, "---\nendpoints: []\n")


async def test_format_json_wins_over_accept(client: Client) -> None:
    headers = {"Accept": "application/yaml"}
    reply = await client("GET", "/_inference?format=json", headers=headers)
    assert (reply.raw, reply.headers["Content-Type"]) == (
        b'{"endpoints":[]}',
        "application/json",
    )


@pytest.mark.parametrize("form", ["", "xml", "txt", "yml"])
async def test_an_unknown_format_is_json(client: Client, form: str) -> None:
    reply = await client("GET", f"/_inference?format={form}")
    assert (reply.status, reply.raw) == (200, b'{"endpoints":[]}')


def test_yaml_quotes_strings_and_nothing_else() -> None:
    document = shaping.read(
        b'{"a":"x: y","b":"\\u00fc\\n","c":1.0E7,"d":true,"e":null,"f":{},"g":[1,[2]]}'
    )
    assert shaping.to_yaml(document).decode() == (
        '---\na: "x: y"\nb: "ü\\n"\nc: 1.0E7\nd: true\ne: null\nf: {}\ng:\n- 1\n- - 2\n'
    )


@pytest.mark.parametrize("query", ["human", "human=true", "human=false"])
async def test_human_changes_nothing(client: Client, query: str) -> None:
    reply = await client("GET", f"/_inference?{query}")
    assert reply.raw == b'{"endpoints":[]}'


async def test_error_trace_adds_a_stack_trace_to_cause_and_error(client: Client) -> None:
    reply = await client("GET", "/_inference/x?error_trace=true")
    error = reply.json["error"]
    (root,) = error["root_cause"]
    assert list(error) == ["root_cause", "type", "reason", "stack_trace"]
    assert list(root) == ["type", "reason", "stack_trace"]
    assert root["stack_trace"] == error["stack_trace"]
    assert error["stack_trace"].startswith(
        "EndpointNotFound[Inference endpoint not found [x]]\n\tat "
    )


@pytest.mark.parametrize("query", ["", "?error_trace=false"])
async def test_without_error_trace_there_is_none(client: Client, query: str) -> None:
    reply = await client("GET", f"/_inference/x{query}")
    assert reply.json == NOT_FOUND


async def test_error_trace_leaves_successes_alone(client: Client) -> None:
    reply = await client("GET", "/_inference?error_trace")
    assert reply.raw == b'{"endpoints":[]}'
