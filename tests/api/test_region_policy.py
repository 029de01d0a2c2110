"""The region policy, from PUT to DELETE, and what is refused (rest.md section 9)."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from esinfer.api.keys import NAMESPACES
from esinfer.app import make_app
from esinfer.config import load
from esinfer.region_policy import MemoryRegionPolicyStore, RegionPolicies, RegionPolicy
from tests.api.parse_errors import Link, body, illegal, parse, refused
from tests.conftest import Client, Reply, StartServer, envelope, run_app
from tests.security import credentials

PATH = "/_inference/_region_policy"
TOP = "put_region_policy_request"
POLICY = "region_policy"
REGION = "csp_region"

US = {"allowed_geos": ["us"]}
VIRGINIA = {"csp": "aws", "region": "us-east-1"}
IRELAND = {"csp": "aws", "region": "eu-west-1"}

FIRST = "2026-01-02T03:04:05.000Z"
SECOND = "2026-01-02T03:04:06.001Z"
THIRD = "2026-01-02T03:04:07.002Z"

NONE_CONFIGURED = envelope(
    "resource_not_found_exception", "No region policy is configured for this deployment", 404
)


@pytest.fixture
async def timed() -> AsyncIterator[Client]:
    """A server for whose region policy each look at the clock is 1.0014 seconds later."""
    start, step = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), timedelta(microseconds=1_001_400)
    moments = (start + n * step for n in count())
    app = make_app(load(None, {}, []))
    async with run_app(app) as url, aiohttp.ClientSession() as session:
        namespaces = app[NAMESPACES]
        policies = RegionPolicies(MemoryRegionPolicyStore(), lambda: next(moments))
        namespaces.default = replace(namespaces.default, region_policy=policies)
        yield Client(url, session)


async def put(client: Client, policy: object) -> Reply:
    return await client("PUT", PATH, {"region_policy": policy})


@pytest.mark.parametrize(
    "policy",
    [
        US,
        {"allowed_geos": ["us", "eu", "us", ""]},
        {"allowed_regions": [VIRGINIA]},
        {"allowed_regions": [VIRGINIA, IRELAND], "fallback_region": VIRGINIA},
        {"allowed_geos": ["eu"], "fallback_region": IRELAND},
        {"fallback_region": IRELAND},
        {},
    ],
    ids=str,
)
async def test_a_policy_is_kept_as_it_was_put(timed: Client, policy: dict[str, Any]) -> None:
    created, got = await put(timed, policy), await timed("GET", PATH)
    expected = {"region_policy": policy, "created_at": FIRST}
    assert (created.status, created.json) == (200, expected)
    assert (got.status, got.raw) == (200, created.raw)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"allowed_geos": "us"}, US),
        ({"allowed_geos": [1, True, "eu"]}, {"allowed_geos": ["1", "true", "eu"]}),
        ({"allowed_regions": VIRGINIA}, {"allowed_regions": [VIRGINIA]}),
    ],
    ids=str,
)
async def test_a_single_value_stands_for_its_list_and_a_scalar_for_its_text(
    timed: Client, sent: object, kept: object
) -> None:
    reply = await put(timed, sent)
    assert (reply.status, reply.json) == (200, {"region_policy": kept, "created_at": FIRST})


async def test_members_come_in_elasticsearchs_order(timed: Client) -> None:
    await put(timed, US)
    reversed_ = {"fallback_region": {"region": "r", "csp": "c"}, "allowed_geos": ["g"]}
    reply = await put(timed, reversed_)
    assert reply.text == (
        '{"region_policy":{"allowed_geos":["g"],"fallback_region":{"csp":"c","region":"r"}},'
        f'"created_at":"{FIRST}","updated_at":"{SECOND}"}}'
    )


async def test_a_put_replaces_the_policy_and_keeps_when_it_was_created(timed: Client) -> None:
    await put(timed, US)
    regions = {"allowed_regions": [{"csp": "azure", "region": "eastus"}]}
    for updated_at in (SECOND, THIRD):
        reply = await put(timed, regions)
        expected = {"region_policy": regions, "created_at": FIRST, "updated_at": updated_at}
        assert (reply.status, reply.json) == (200, expected)
        assert (await timed("GET", PATH)).raw == reply.raw


async def test_with_security_it_is_told_who_put_it(start: StartServer, tmp_path: Path) -> None:
    client = await start(f"security.credentials={credentials.write(tmp_path)}")
    manager, both = credentials.basic("manager"), credentials.basic("both")
    body = {"region_policy": US}

    created = await client("PUT", PATH, body, headers=manager)
    got = await client("GET", PATH, headers=credentials.basic("reader"))
    expected = {**body, "created_at": created.json["created_at"], "created_by": "manager"}
    assert (created.status, created.json, got.raw) == (200, expected, created.raw)

    updated = await client("PUT", PATH, body, headers=both)
    got = await client("GET", PATH, headers=manager)
    expected |= {"updated_at": updated.json["updated_at"], "updated_by": "both"}
    assert (updated.status, updated.json, got.raw) == (200, expected, updated.raw)
    assert list(updated.json) == [*body, "created_at", "created_by", "updated_at", "updated_by"]


async def test_a_refused_put_changes_nothing(timed: Client) -> None:
    created = await put(timed, US)
    assert (await put(timed, {"allowed_geos": []})).status == 400
    assert (await timed("GET", PATH)).raw == created.raw


async def test_a_deleted_policy_is_gone_and_the_next_one_is_new(timed: Client) -> None:
    await put(timed, US)
    deleted = await timed("DELETE", PATH)
    assert (deleted.status, deleted.raw) == (200, b'{"acknowledged":true}')
    for method in ("GET", "DELETE"):
        reply = await timed(method, PATH)
        assert (reply.status, reply.json) == (404, NONE_CONFIGURED)
    assert (await put(timed, US)).json == {"region_policy": US, "created_at": SECOND}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_without_a_policy_there_is_nothing_to_read_or_delete(
    client: Client, method: str
) -> None:
    reply = await client(method, PATH)
    assert (reply.status, reply.json) == (404, NONE_CONFIGURED)


async def test_of_many_first_puts_one_creates(timed: Client) -> None:
    replies = await asyncio.gather(*(put(timed, {"allowed_geos": [str(n)]}) for n in range(20)))
    bodies = sorted((reply.json for reply in replies), key=lambda each: each.get("updated_at", ""))
    assert {each["created_at"] for each in bodies} == {FIRST}
    assert ["updated_at" in each for each in bodies] == [False] + 19 * [True]
    assert (await timed("GET", PATH)).json == bodies[-1]


async def test_of_many_deletes_one_finds_the_policy(timed: Client) -> None:
    await put(timed, US)
    replies = await asyncio.gather(*(timed("DELETE", PATH) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [200] + 19 * [404]


async def test_without_a_clock_of_their_own_policies_have_the_time_of_day() -> None:
    before = datetime.now(UTC)
    stored = await RegionPolicies(MemoryRegionPolicyStore()).put(RegionPolicy())
    assert before <= stored.created_at <= datetime.now(UTC)


async def test_servers_share_no_policy(client: Client, mock: Client) -> None:
    await put(client, US)
    assert (await mock("GET", PATH)).status == 404


# -- what is refused ----------------------------------------------------------


def failed(mark: str, parser: str, field: str) -> Link:
    return parse(mark, parser, f"failed to parse field [{field}]")


def mismatch(mark: str, parser: str, field: str, token: str) -> Link:
    return parse(mark, parser, f"{field} doesn't support values of type: {token}")


def together(*names: str) -> Link:
    return illegal(f"The following fields are not allowed together: [{', '.join(names)}] ")


def of_policy(members: str) -> str:
    return '{"region_policy":{' + members + "}}"


REFUSED: list[tuple[str, list[Link]]] = [
    # the top level
    ("①[]", [parse("①", TOP, "Expected START_OBJECT but was: START_ARRAY")]),
    ("①null", [parse("①", TOP, "Expected START_OBJECT but was: VALUE_NULL")]),
    ("{}", [illegal("Required [region_policy]")]),
    ('{①"allowed_geos":["us"]}', [parse("①", TOP, "unknown field [allowed_geos]")]),
    (
        '{"region_policy":{},\n ①"region_policies":1}',
        [parse("①", TOP, "unknown field [region_policies] did you mean [region_policy]?")],
    ),
    ('{"region_policy":①null}', [mismatch("①", TOP, POLICY, "VALUE_NULL")]),
    ('{"region_policy":①"us"}', [mismatch("①", TOP, POLICY, "VALUE_STRING")]),
    ('{"region_policy":①["us"]}', [mismatch("①", TOP, POLICY, "START_ARRAY")]),
    # the policy
    (
        of_policy('①"allowed_area":②["us"]'),
        [
            failed("②", TOP, POLICY),
            parse(
                "①",
                POLICY,
                "unknown field [allowed_area] did you mean any of [allowed_geos, allowed_regions]?",
            ),
        ],
    ),
    *(
        (
            of_policy(f'"{field}":①{value}'),
            [failed("①", TOP, POLICY), mismatch("①", POLICY, field, token)],
        )
        for field, value, token in [
            ("allowed_geos", "null", "VALUE_NULL"),
            ("allowed_geos", "1", "VALUE_NUMBER"),
            ("allowed_geos", "true", "VALUE_BOOLEAN"),
            ("allowed_geos", "{}", "START_OBJECT"),
            ("allowed_regions", "null", "VALUE_NULL"),
            ("allowed_regions", '"us-east-1"', "VALUE_STRING"),
            ("fallback_region", "null", "VALUE_NULL"),
            ("fallback_region", '"us-east-1"', "VALUE_STRING"),
            ("fallback_region", "[]", "START_ARRAY"),
        ]
    ),
    (
        of_policy('"allowed_geos":["us"],"allowed_regions":[]①'),
        [failed("①", TOP, POLICY), together("allowed_geos", "allowed_regions")],
    ),
    (
        of_policy('"allowed_regions":{"csp":"a","region":"b"},"allowed_geos":"us"①'),
        [failed("①", TOP, POLICY), together("allowed_regions", "allowed_geos")],
    ),
    (
        of_policy('"allowed_geos":["us"],"allowed_regions":①1'),
        [failed("①", TOP, POLICY), mismatch("①", POLICY, "allowed_regions", "VALUE_NUMBER")],
    ),
    # a region
    (
        of_policy('"fallback_region":{①}'),
        [
            failed("①", TOP, POLICY),
            failed("①", POLICY, "fallback_region"),
            illegal("Required [csp, region]"),
        ],
    ),
    (
        of_policy('"fallback_region":{"csp":"aws","region":①1}'),
        [
            failed("①", TOP, POLICY),
            failed("①", POLICY, "fallback_region"),
            mismatch("①", REGION, "region", "VALUE_NUMBER"),
        ],
    ),
    (
        of_policy('"allowed_regions":[{"csp":"aws","region":"r"},{"csp":"aws"①}]'),
        [
            failed("①", TOP, POLICY),
            failed("①", POLICY, "allowed_regions"),
            illegal("Required [region]"),
        ],
    ),
    (
        of_policy('"allowed_regions":[{"csp":①null,"region":"r"}]'),
        [
            failed("①", TOP, POLICY),
            failed("①", POLICY, "allowed_regions"),
            mismatch("①", REGION, "csp", "VALUE_NULL"),
        ],
    ),
    (
        of_policy('"allowed_regions":[{"csp":"aws",①"regions":②"r"}]'),
        [
            failed("②", TOP, POLICY),
            failed("②", POLICY, "allowed_regions"),
            parse("①", REGION, "unknown field [regions] did you mean [region]?"),
        ],
    ),
    (
        of_policy('"allowed_regions":["us-east-1"①]'),
        [
            failed("①", TOP, POLICY),
            failed("①", POLICY, "allowed_regions"),
            parse("①", REGION, "Expected START_OBJECT but was: END_ARRAY"),
        ],
    ),
]


@pytest.mark.parametrize(("marked", "links"), REFUSED, ids=[marked for marked, _ in REFUSED])
async def test_a_body_of_another_form_is_refused_where_it_goes_wrong(
    client: Client, marked: str, links: list[Link]
) -> None:
    reply = await client("PUT", PATH, body(marked).text())
    assert (reply.status, reply.json) == (400, refused(marked, links))


async def test_a_list_within_a_list_is_refused(client: Client) -> None:
    reply = await put(client, {"allowed_geos": ["us", ["eu"]]})
    error = reply.json["error"]
    assert (reply.status, error["type"]) == (400, "x_content_parse_exception")
    assert error["reason"].endswith(
        "[put_region_policy_request] failed to parse field [region_policy]"
    )
    assert error["caused_by"]["reason"].endswith(
        "[region_policy] failed to parse field [allowed_geos]"
    )
    assert error["caused_by"]["caused_by"] == {
        "type": "illegal_state_exception",
        "reason": "expected value but got [START_ARRAY]",
    }


@pytest.mark.parametrize("field", ["allowed_geos", "allowed_regions"])
async def test_an_empty_list_is_refused(client: Client, field: str) -> None:
    reply = await put(client, {field: []})
    reason = f"Validation Failed: 1: [region_policy.{field}] must not be empty;"
    assert (reply.status, reply.json) == (
        400,
        envelope("action_request_validation_exception", reason),
    )


@pytest.mark.parametrize("sent", [None, b""])
async def test_a_body_is_required(client: Client, sent: bytes | None) -> None:
    reply = await client("PUT", PATH + "?force=x&unknown=1", sent)
    assert (reply.status, reply.json) == (400, envelope("parse_exception", "body is required"))


async def test_malformed_json_is_refused(client: Client) -> None:
    reply = await client("PUT", PATH, b'{"region_policy"')
    assert (reply.status, reply.json["error"]["type"]) == (400, "x_content_e_o_f_exception")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_reading_and_deleting_take_no_body(client: Client, method: str) -> None:
    reply = await client(method, PATH, {"region_policy": US})
    reason = f"request [{method} {PATH}] does not support having a body"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


# -- parameters, in the order of the checks -----------------------------------


@pytest.mark.parametrize("force", ["force", "force=", "force=true", "force=false"])
async def test_force_is_taken_and_changes_nothing(timed: Client, force: str) -> None:
    reply = await timed("PUT", f"{PATH}?{force}", {"region_policy": US})
    assert (reply.status, reply.json) == (200, {"region_policy": US, "created_at": FIRST})


async def test_force_is_a_boolean_and_read_before_the_body(client: Client) -> None:
    reply = await client("PUT", f"{PATH}?force=yes&unknown=1", {"x": 1})
    reason = "Failed to parse value [yes] as only [true] or [false] are allowed."
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


async def test_the_form_of_the_body_is_checked_before_unknown_parameters(client: Client) -> None:
    reply = await client("PUT", f"{PATH}?unknown=1", b"{}")
    expected = envelope("illegal_argument_exception", "Required [region_policy]")
    assert (reply.status, reply.json) == (400, expected)


@pytest.mark.parametrize(
    ("method", "query", "problem"),
    [
        ("PUT", "forse", "[forse] -> did you mean [force]?"),
        ("GET", "force", "[force]"),
        ("DELETE", "force", "[force]"),
    ],
)
async def test_unknown_parameters_are_refused_before_an_empty_list(
    client: Client, method: str, query: str, problem: str
) -> None:
    sent: object = {"region_policy": {"allowed_geos": []}} if method == "PUT" else None
    reply = await client(method, f"{PATH}?{query}", sent)
    reason = f"request [{PATH}] contains unrecognized parameter: {problem}"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


# -- routing, forms -----------------------------------------------------------


async def test_a_policy_is_no_inference_endpoint(client: Client) -> None:
    await put(client, US)
    assert (await client("GET", "/_inference")).json == {"endpoints": []}
    reply = await client("GET", "/_inference/any/_region_policy")
    reason = "Inference endpoint not found [_region_policy]"
    assert (reply.status, reply.json) == (
        404,
        envelope("resource_not_found_exception", reason, 404),
    )


async def test_post_falls_through_to_an_inference(client: Client) -> None:
    reply = await client("POST", PATH, {"input": "a"})
    reason = "Inference endpoint not found [_region_policy]"
    assert (reply.status, reply.json) == (
        404,
        envelope("resource_not_found_exception", reason, 404),
    )


async def test_a_trailing_slash_does_not_matter(timed: Client) -> None:
    created = await timed("PUT", PATH + "/", {"region_policy": US})
    assert (await timed("GET", PATH)).raw == created.raw


async def test_yaml_and_gzip_are_read_and_the_answer_is_filtered(timed: Client) -> None:
    text = b"region_policy:\n  allowed_geos: [us]\n"
    headers = {
        "Content-Type": "application/yaml",
        "Content-Encoding": "gzip",
        "Accept": "application/json",
    }
    reply = await timed(
        "PUT", f"{PATH}?filter_path=region_policy", gzip.compress(text), headers=headers
    )
    assert (reply.status, reply.json) == (200, {"region_policy": US})
