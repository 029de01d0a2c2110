"""Content-Type, Accept and the version that both ask for (rest.md sections 7.3 and 7.4)."""

from __future__ import annotations

import pytest

from esinfer.api import media
from esinfer.api.media import Form
from tests.conftest import Client, Upstream, create, envelope

VENDOR = "application/vnd.elasticsearch+json"
NEEDS_BOTH = (
    "A compatible version is required on both Content-Type and Accept headers if either one"
    " has requested a compatible version. Accept={}, Content-Type={}"
)


def version_error(reason: str) -> dict[str, object]:
    cause = {"type": "status_exception", "reason": reason}
    kind = "media_type_header_exception"
    text = "Invalid media-type value on headers [Accept, Content-Type]"
    return envelope(kind, text, caused_by=cause, root={"type": kind, "reason": text})


def not_supported(content_type: str) -> dict[str, object]:
    return {"error": f"Content-Type header [{content_type}] is not supported", "status": 406}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (f"{VENDOR}; compatible-with=9", f"{VENDOR}; compatible-with=9"),
        (f"{VENDOR};compatible-with=9", f"{VENDOR};compatible-with=9"),
        (f"{VENDOR};compatible-with=9", f"{VENDOR}; compatible-with=9"),
        (f"{VENDOR}; compatible-with=9,text/plain", f"{VENDOR}; compatible-with=9"),
        (f"text/plain,{VENDOR}; compatible-with=9", f"{VENDOR}; compatible-with=9"),
        (f"{VENDOR.upper()}; COMPATIBLE-WITH=9", f"{VENDOR.upper()}; Compatible-With=9"),
        (f"{VENDOR};compatible-with=9", "application/vnd.elasticsearch+x-ndjson;compatible-with=9"),
    ],
)
async def test_a_versioned_request_is_answered_in_kind(
    embedder: Client, accept: str, content_type: str
) -> None:
    headers = {"Accept": accept, "Content-Type": content_type}
    reply = await embedder("POST", "/_inference/id", {"input": "a"}, headers=headers)
    assert (reply.status, reply.headers["Content-Type"]) == (200, f"{VENDOR};compatible-with=9")


async def test_the_prior_version_is_mirrored(embedder: Client) -> None:
    headers = dict.fromkeys(("Accept", "Content-Type"), f"{VENDOR}; compatible-with=8")
    reply = await embedder("POST", "/_inference/id", {"input": "a"}, headers=headers)
    assert (reply.status, reply.headers["Content-Type"]) == (200, f"{VENDOR};compatible-with=8")


async def test_errors_mirror_the_version_too(client: Client) -> None:
    headers = {"Accept": f"{VENDOR}; compatible-with=9"}
    reply = await client("GET", "/_inference/x", headers=headers)
    assert (reply.status, reply.headers["Content-Type"]) == (404, f"{VENDOR};compatible-with=9")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/*",
        "application/json; charset=utf-8",
        "text/plain",
        "text/html, image/png",
        "nonsense",
        "a/b/c",
        ";;,,",
    ],
)
async def test_any_other_accept_gives_plain_json(client: Client, accept: str) -> None:
    reply = await client("GET", "/_inference", headers={"Accept": accept})
    assert (reply.status, reply.raw) == (200, b'{"endpoints":[]}')
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        "application/json;charset=utf-8",
        "APPLICATION/JSON",
        "application/x-ndjson",
    ],
)
async def test_plain_json_types_are_read(embedder: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    reply = await embedder("POST", "/_inference/id", {"input": "a"}, headers=headers)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")


async def test_a_body_without_a_content_type_is_406(client: Client) -> None:
    reply = await client("POST", "/_inference/x", {"input": "a"}, headers={"Content-Type": ""})
    expected = {"error": "Content-Type header is missing", "status": 406}
    assert (reply.status, reply.json) == (406, expected)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "text/event-stream",
        "application/octet-stream",
        "*/*",
    ],
)
async def test_other_content_types_are_406(client: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    reply = await client("POST", "/_inference/x", {"input": "a"}, headers=headers)
    assert (reply.status, reply.json) == (406, not_supported(content_type))


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", f"{VENDOR};x=1"])
async def test_a_content_type_without_a_body_is_ignored(client: Client, content_type: str) -> None:
    reply = await client("GET", "/_inference", headers={"Content-Type": content_type})
    assert (reply.status, reply.json) == (200, {"endpoints": []})


async def test_a_versioned_content_type_without_a_body_needs_no_accept(client: Client) -> None:
    headers = {"Content-Type": f"{VENDOR}; compatible-with=9"}
    reply = await client("GET", "/_inference", headers=headers)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")


async def test_a_versioned_accept_without_a_body_needs_no_content_type(client: Client) -> None:
    headers = {"Accept": f"{VENDOR}; compatible-with=9"}
    reply = await client("GET", "/_inference", headers=headers)
    assert (reply.status, reply.json) == (200, {"endpoints": []})


@pytest.mark.parametrize("content_type", ["json", "application/", "/json", "a b/json"])
async def test_a_content_type_that_is_none_is_400(client: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    reply = await client("POST", "/_inference/x", {"input": "a"}, headers=headers)
    cause = {"type": "illegal_argument_exception", "reason": f"invalid media-type [{content_type}]"}
    kind = "media_type_header_exception"
    reason = "Invalid media-type value on headers [Content-Type]"
    assert (reply.status, reply.json) == (400, envelope(kind, reason, caused_by=cause))


@pytest.mark.parametrize("version", [7, 10, 0])
async def test_other_versions_are_refused(client: Client, version: int) -> None:
    accept = f"{VENDOR}; compatible-with={version}"
    reply = await client("GET", "/_inference", headers={"Accept": accept})
    reason = f"Accept version must be either version 9 or 8, but found {version}. Accept={accept}"
    assert (reply.status, reply.json) == (400, version_error(reason))
    assert reply.headers["Content-Type"] == "application/json"


async def test_other_versions_of_the_body_are_refused(client: Client) -> None:
    accept, content_type = (f"{VENDOR};compatible-with={version}" for version in (9, 7))
    headers = {"Accept": accept, "Content-Type": content_type}
    reply = await client("POST", "/_inference/x", {"input": "a"}, headers=headers)
    reason = (
        f"Content-Type version must be either version 9 or 8, but found 7."
        f" Content-Type={content_type}"
    )
    assert (reply.status, reply.json) == (400, version_error(reason))


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (f"{VENDOR};compatible-with=9", "application/json"),
        ("application/json", f"{VENDOR};compatible-with=9"),
        (f"{VENDOR};compatible-with=8", f"{VENDOR};compatible-with=9"),
    ],
)
async def test_versions_have_to_agree(client: Client, accept: str, content_type: str) -> None:
    headers = {"Accept": accept, "Content-Type": content_type}
    reply = await client("POST", "/_inference/x", {"input": "a"}, headers=headers)
    expected = version_error(NEEDS_BOTH.format(accept, content_type))
    assert (reply.status, reply.json) == (400, expected)


async def test_versions_are_checked_before_the_route(client: Client) -> None:
    headers = {"Accept": f"{VENDOR};compatible-with=7"}
    reply = await client("GET", "/nowhere", headers=headers)
    assert (reply.status, reply.json["error"]["type"]) == (400, "media_type_header_exception")


async def test_the_route_is_checked_before_the_content_type_is_supported(client: Client) -> None:
    headers = {"Content-Type": "text/plain"}
    reply = await client("POST", "/nowhere", b"a", headers=headers)
    assert reply.json == {"error": "no handler found for uri [/nowhere] and method [POST]"}


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "text/vnd.elasticsearch+event-stream; compatible-with=9",
        "*/*",
        "",
        f"{VENDOR}; compatible-with=9",
        f"{VENDOR}; compatible-with=7",
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", f"{VENDOR};compatible-with=9"])
async def test_no_stream_is_refused_for_its_accept(
    embedder: Client, accept: str, content_type: str
) -> None:
    headers = {"Accept": accept, "Content-Type": content_type}
    reply = await embedder(
        "POST", "/_inference/text_embedding/id/_stream", {"input": "a"}, headers=headers
    )
    assert (reply.status, reply.headers["Content-Type"]) == (405, "text/event-stream")


async def test_an_answer_follows_the_form_of_the_body(client: Client, upstream: Upstream) -> None:
    await create(client, upstream)
    headers = {"Accept": "", "Content-Type": "application/yaml"}
    reply = await client("POST", "/_inference/id", b"input: a", headers=headers)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/yaml")


@pytest.mark.parametrize("form", ["cbor", "smile"])
async def test_binary_forms_are_refused_clearly(client: Client, form: str) -> None:
    reply = await client("GET", f"/_inference?format={form}")
    expected = {"error": f"esinfer does not implement the response format [{form}]", "status": 406}
    assert (reply.status, reply.json) == (406, expected)
    headers = {"Content-Type": f"application/{form}"}
    body = await client("POST", "/_inference/x", b"\x00", headers=headers)
    assert (body.status, body.json) == (406, not_supported(f"application/{form}"))


@pytest.mark.parametrize(
    ("header", "name", "version"),
    [
        ("application/json", "application/json", None),
        (f"{VENDOR};compatible-with=9", VENDOR, 9),
        (f"{VENDOR}; compatible-with = 9 ", VENDOR, 9),
        (f"{VENDOR};compatible-with=x", VENDOR, None),
        (f"{VENDOR};compatible-with=99999", VENDOR, None),
        ("application/json;compatible-with=9", "application/json", None),
    ],
)
def test_media_types_are_parsed(header: str, name: str, version: int | None) -> None:
    parsed = media.parse(header)
    assert parsed is not None
    assert (parsed.name, parsed.version) == (name, version)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("application/json", Form.JSON),
        ("application/yaml", Form.YAML),
        ("application/vnd.elasticsearch+yaml", Form.YAML),
        ("application/vnd.elasticsearch+cbor", Form.CBOR),
        ("application/smile", Form.SMILE),
        ("text/csv", None),
    ],
)
def test_media_types_have_forms(name: str, form: Form | None) -> None:
    parsed = media.parse(name)
    assert parsed is not None
    assert parsed.form is form
