"""Request bodies: packing, size, JSON and YAML (rest.md sections 2.1, 7.6 and 7.7)."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import AsyncIterator

import orjson
import pytest

from tests.api.sockets import exchange, split
from tests.conftest import Answer, Client, StartServer, Upstream, envelope

TYPED = "/_inference/text_embedding/x"
SOURCE = (
    "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled);"
    " line: {}, column: {}]"
)
BODY_REQUIRED = envelope("parse_exception", "request body is required")


def malformed(line: int, column: int, problem: str) -> dict[str, object]:
    text = f"{problem}\n at {SOURCE.format(line, column)}"
    cause = {"type": "json_parse_exception", "reason": text}
    reason = f"[{line}:{column}] {text}"
    return envelope("x_content_parse_exception", reason, caused_by=cause)


def unpackable(coding: str) -> dict[str, object]:
    return envelope("decompression_exception", f"Input is not in the {coding} format")


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)
async def test_packed_bodies_are_read(
    embedder: Client, upstream: Upstream, coding: str, pack: type[bytes]
) -> None:
    headers = {"Content-Encoding": coding}
    reply = await embedder("POST", "/_inference/id", pack(b'{"input":"a"}'), headers=headers)
    assert reply.status == 200
    assert upstream.bodies == [{"inputs": ["a"]}]


@pytest.mark.parametrize("data", [b"{}", b'{"input":"a"}', b"\x1f\x8b", b"\x00" * 30])
async def test_a_body_that_is_no_gzip_is_400(client: Client, data: bytes) -> None:
    reply = await client("POST", TYPED, data, headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.json) == (400, unpackable("GZIP"))


async def test_a_truncated_gzip_is_400(client: Client) -> None:
    data = gzip.compress(b'{"input":"a"}')
    for end in range(1, len(data)):
        reply = await client("POST", TYPED, data[:end], headers={"Content-Encoding": "gzip"})
        assert (reply.status, reply.json) == (400, unpackable("GZIP")), end


async def test_a_gzip_with_a_wrong_checksum_is_400(client: Client) -> None:
    data = bytearray(gzip.compress(b'{"input":"a"}'))
    data[-6] ^= 1
    reply = await client("POST", TYPED, bytes(data), headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.json) == (400, unpackable("GZIP"))


async def test_a_gzip_of_nothing_is_no_body(client: Client) -> None:
    headers = {"Content-Encoding": "gzip"}
    reply = await client("POST", TYPED, gzip.compress(b""), headers=headers)
    assert (reply.status, reply.json) == (400, BODY_REQUIRED)


def sized(size: int) -> bytes:
    return b'{"input":"' + b"a" * (size - 12) + b'"}'


async def test_a_body_of_exactly_the_limit_is_read(start: StartServer) -> None:
    client = await start("server.max_content_length=100b")
    for data, headers in (
        (sized(100), {}),
        (gzip.compress(sized(100)), {"Content-Encoding": "gzip"}),
    ):
        reply = await client("POST", "/_inference/x", data, headers=headers)
        assert reply.status == 404


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (sized(101), {}),
        (b"a" * 10**6, {}),
        (gzip.compress(sized(101)), {"Content-Encoding": "gzip"}),
        (gzip.compress(b"\x00" * 10**7), {"Content-Encoding": "gzip"}),
        (zlib.compress(b"\x00" * 10**7), {"Content-Encoding": "deflate"}),
    ],
    ids=["one more", "far more", "one more unpacked", "gzip bomb", "deflate bomb"],
)
async def test_a_body_over_the_limit_is_413_empty_and_closed(
    start: StartServer, data: bytes, headers: dict[str, str]
) -> None:
    client = await start("server.max_content_length=100b")
    reply = await client("POST", TYPED, data, headers=headers)
    assert (reply.status, reply.raw) == (413, b"")
    assert reply.headers["Connection"] == "close"
    assert reply.headers["X-elastic-product"] == "Elasticsearch"


async def in_chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def send_chunked(client: Client, *chunks: bytes) -> tuple[int, bytes]:

    async with client.session.post(
        client.url + TYPED, data=in_chunks(*chunks), headers={"Content-Type": "application/json"}
    ) as response:
        return response.status, await response.read()


async def test_chunked_bodies_are_read(client: Client) -> None:
    status, body = await send_chunked(client, b'{"inp', b'ut":"', b'a"}')
    expected = envelope("resource_not_found_exception", "Inference endpoint not found [x]", 404)
    assert (status, orjson.loads(body)) == (404, expected)


async def test_a_chunked_body_over_the_limit_is_413(start: StartServer) -> None:
    client = await start("server.max_content_length=100b")
    assert await send_chunked(client, *[b"a" * 10] * 11) == (413, b"")
    assert (await send_chunked(client, sized(60)[:30], sized(60)[30:]))[0] == 404


async def test_a_chunked_body_of_nothing_is_no_body(client: Client) -> None:
    status, body = await send_chunked(client)
    assert (status, orjson.loads(body)) == (400, BODY_REQUIRED)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/_inference", 200),
        ("GET", "/_inference/x", 404),
        ("DELETE", "/_inference/x", 404),
        ("DELETE", "/_inference/_region_policy", 404),
        ("PUT", "/_inference/x", 400),
        ("PUT", "/_inference/_region_policy", 400),
        ("POST", "/_inference/x", 400),
        ("GET", "/nowhere", 400),
    ],
)
async def test_chunks_of_nothing_need_no_content_type(
    client: Client, method: str, path: str, status: int
) -> None:
    """Elasticsearch asks for the type of a body only where there is one."""
    async with client.session.request(
        method, client.url + path, data=in_chunks(), skip_auto_headers=["Content-Type"]
    ) as response:
        assert response.request_info.headers["Transfer-Encoding"] == "chunked"
        assert response.status == status, await response.text()


async def test_the_end_of_chunks_is_waited_for_before_a_body_is_told_from_none(
    client: Client,
) -> None:
    request = b"\r\n".join(
        [
            b"GET /_inference HTTP/1.1",
            b"Host: a",
            b"Connection: close",
            b"Transfer-Encoding: chunked",
        ]
    )
    nothing, closed = await exchange(client.url, request + b"\r\n\r\n", b"0\r\n", b"\r\n")
    assert closed
    assert split(nothing)[2] == b'{"endpoints":[]}'
    some, _ = await exchange(client.url, request + b"\r\n\r\n", b"1\r\n{\r\n", b"0\r\n\r\n")
    assert split(some)[2] == b'{"error":"Content-Type header is missing","status":406}'


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_chunks_of_something_are_refused_where_no_body_is_read(
    client: Client, method: str
) -> None:
    async with client.session.request(
        method,
        client.url + TYPED,
        data=in_chunks(b"{}"),
        headers={"Content-Type": "application/json"},
    ) as response:
        reason = f"request [{method} {TYPED}] does not support having a body"
        assert (response.status, await response.json()) == (
            400,
            envelope("illegal_argument_exception", reason),
        )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_inference/x"),
        ("POST", TYPED),
        ("PUT", "/_inference/x"),
        ("PUT", TYPED),
        ("PUT", f"{TYPED}/_update"),
    ],
)
@pytest.mark.parametrize("body", [None, b""])
async def test_a_body_is_required(
    client: Client, method: str, path: str, body: bytes | None
) -> None:
    reply = await client(method, path, body)
    assert (reply.status, reply.json) == (400, BODY_REQUIRED)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"{x",
            malformed(
                1,
                2,
                "Unexpected character ('x' (code 120)):"
                " was expecting double-quote to start field name",
            ),
        ),
        (
            b'{"input":"a",\n "b" 1}',
            malformed(
                2,
                6,
                "Unexpected character ('1' (code 49)):"
                " was expecting a colon to separate field name and value",
            ),
        ),
        (
            b'{"input":"a"\n"b":1}',
            malformed(
                2,
                1,
                "Unexpected character ('\"' (code 34)):"
                " was expecting comma to separate Object entries",
            ),
        ),
        (b'{"input":1,"input":2}', malformed(1, 19, "Duplicate field 'input'")),
        (b'{"a":{"b":1,"b":2}}', malformed(1, 16, "Duplicate field 'b'")),
    ],
)
@pytest.mark.parametrize("path", [TYPED, "PUT " + TYPED])
async def test_malformed_json_is_400_with_its_place(
    client: Client, path: str, data: bytes, expected: object
) -> None:
    method, _, target = path.rpartition(" ")
    reply = await client(method or "POST", target, data)
    assert (reply.status, reply.json) == (400, expected)


@pytest.mark.parametrize(
    ("data", "line", "column"), [(b'{"input":', 1, 10), (b'{"input":"a"', 1, 13), (b"{\n", 2, 1)]
)
async def test_a_body_that_breaks_off_is_400(
    client: Client, data: bytes, line: int, column: int
) -> None:
    reply = await client("POST", TYPED, data)
    error = reply.json["error"]
    assert (reply.status, error["type"], error["reason"]) == (
        400,
        "x_content_e_o_f_exception",
        f"[{line}:{column}] Unexpected end of file",
    )
    assert error["caused_by"]["type"] == "json_e_o_f_exception"


async def test_a_lone_surrogate_is_400(client: Client) -> None:
    reply = await client("POST", TYPED, b'{"input":"\\ud83d"}')
    expected = malformed(1, 10, "Unpaired surrogate in a JSON string")
    assert (reply.status, reply.json) == (400, expected)


async def test_a_pair_of_surrogates_is_one_character(embedder: Client, upstream: Upstream) -> None:
    await embedder("POST", "/_inference/id", b'{"input":"\\ud83d\\ude00"}')
    assert upstream.bodies == [{"inputs": ["😀"]}]


@pytest.mark.parametrize("rest", [b" {", b"\n\n", b"}", b" nonsense", b'{"input":"b"}'])
async def test_what_follows_the_first_value_is_not_read(
    embedder: Client, upstream: Upstream, rest: bytes
) -> None:
    reply = await embedder("POST", "/_inference/id", b'{"input":"a"}' + rest)
    assert reply.status == 200
    assert upstream.bodies == [{"inputs": ["a"]}]


@pytest.mark.parametrize("data", [b'\xef\xbb\xbf{"input":"a"}', b'// c\n{"input":/* d */"a"}'])
async def test_byte_order_marks_and_comments_are_read(
    embedder: Client, upstream: Upstream, data: bytes
) -> None:
    reply = await embedder("POST", "/_inference/id", data)
    assert (reply.status, upstream.bodies) == (200, [{"inputs": ["a"]}])


@pytest.mark.parametrize("data", [b" ", b"\n \n", b"\xef\xbb\xbf", b"// a comment\n"])
async def test_a_body_without_a_value_is_null_and_no_null(client: Client, data: bytes) -> None:
    """Nothing was read, and Java prints null for that."""
    reply = await client("POST", TYPED, data)
    reason = "[cluster:internal/xpack/inference] Expected START_OBJECT but was: null"
    expected = envelope("x_content_parse_exception", f"[1:1] {reason}")
    assert (reply.status, reply.json) == (400, expected)
    reply = await client("POST", TYPED, b"null")
    assert reply.json["error"]["reason"].endswith("but was: VALUE_NULL")


@pytest.mark.parametrize(
    ("data", "token"), [(b" ", "null"), (b"# a comment", "null"), (b"null", "VALUE_NULL")]
)
async def test_yaml_without_a_document_is_null_and_no_null(
    client: Client, data: bytes, token: str
) -> None:
    headers = {"Content-Type": "application/yaml", "Accept": "application/json"}
    reply = await client("POST", TYPED, data, headers=headers)
    reason = f"[1:1] [cluster:internal/xpack/inference] Expected START_OBJECT but was: {token}"
    assert (reply.status, reply.json) == (400, envelope("x_content_parse_exception", reason))


@pytest.mark.parametrize("depth", [1001, 10**5])
async def test_json_nested_too_deep_is_400(client: Client, depth: int) -> None:
    reply = await client("POST", TYPED, b'{"input":' + b"[" * depth)
    error = reply.json["error"]
    assert (reply.status, error["type"]) == (400, "x_content_parse_exception")
    assert "Document nesting depth (1001) exceeds the maximum allowed" in error["reason"]


DEEP = b"[" * 990 + b"]" * 990


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (TYPED, b'{"service":"hugging_face","service_settings":{"foo":%b}}' % DEEP),
        (TYPED, b'{"service":%b}' % DEEP),
        (
            TYPED,
            b'{"service":"hugging_face","service_settings":{"url":"u","api_key":"k"},"foo":%b}'
            % DEEP,
        ),
        (f"{TYPED}/_update", b'{"foo":%b}' % DEEP),
    ],
)
async def test_settings_nested_deep_are_refused_quietly(
    client: Client, path: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await client("PUT", path, data)
    assert reply.json["error"]["type"] != "illegal_state_exception"
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


@pytest.mark.parametrize("value", [b"1.5", b"1e3", b"1" * 30, b"-0.0", b"[1.5]", b"{}"])
async def test_numbers_of_any_kind_in_settings_are_refused_with_a_place(
    client: Client, value: bytes
) -> None:
    settings = b'{"url":"u","api_key":"k","foo":%b}' % value
    data = b'{"service":"hugging_face","service_settings":%b}' % settings
    reply = await client("PUT", TYPED, data)
    expected = envelope(
        "x_content_parse_exception", "[1:26] [service_settings] unknown field [foo]"
    )
    assert (reply.status, reply.json) == (400, expected)


async def test_yaml_bodies_are_read(embedder: Client, upstream: Upstream) -> None:
    headers = {"Content-Type": "application/yaml", "Accept": "application/json"}
    data = "---\ninput:\n- a\n- 'b: ü'\n".encode()
    upstream.answers(Answer.json([[0.5], [0.25]]))
    reply = await embedder("POST", "/_inference/id", data, headers=headers)
    expected = {"text_embedding": [{"embedding": [0.5]}, {"embedding": [0.25]}]}
    assert (reply.status, reply.json) == (200, expected)
    assert upstream.bodies == [{"inputs": ["a", "b: ü"]}]


async def test_yaml_creates_an_endpoint(client: Client, upstream: Upstream) -> None:
    data = (
        "service: hugging_face\nservice_settings:\n"
        f"  url: {upstream.url}\n  api_key: secret\n  rate_limit: {{requests_per_minute: 7}}\n"
    )
    headers = {"Content-Type": "application/yaml", "Accept": "application/json"}
    reply = await client("PUT", TYPED, data.encode(), headers=headers)
    assert reply.status == 200
    assert reply.json["service_settings"]["rate_limit"] == {"requests_per_minute": 7}


UNREADABLE_YAML = (
    b"input: 0b_",
    b"input: 2024-13-45",
    b"input: !!bool x",
    b"input: !!timestamp x",
    b"input: !!int x",
    b'input: !!float ""',
    b"input: " + b"1" * 5000,
)
"""What PyYAML fails at with exceptions that are not its own."""


@pytest.mark.parametrize("text", ["1:20", "-1:20.5", ":".join(["1"] * 9_000)])
async def test_yaml_numbers_to_the_base_of_60_are_texts(
    embedder: Client, upstream: Upstream, text: str
) -> None:
    headers = {"Content-Type": "application/yaml"}
    await embedder("POST", "/_inference/id", f"input: {text}".encode(), headers=headers)
    assert upstream.bodies == [{"inputs": [text]}]


async def test_yaml_dates_are_texts(embedder: Client, upstream: Upstream) -> None:
    headers = {"Content-Type": "application/yaml"}
    await embedder("POST", "/_inference/id", b"input: 2020-01-01", headers=headers)
    assert upstream.bodies == [{"inputs": ["2020-01-01"]}]


@pytest.mark.parametrize(
    "data",
    [
        b"input: [a",
        b"input: 'a",
        b"\xff",
        b"input: &x a\nb: *x\n",
        b"? [a]\n: b\n",
        b"input: !!python/object:os.system x",
        b"1: a",
        b"\t- a",
        b"[" * 2000,
        b'input: "\\ud800"',
        *UNREADABLE_YAML,
    ],
    ids=lambda data: data[:30],
)
async def test_bad_yaml_is_400(
    client: Client, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/yaml", "Accept": "application/json"}
    reply = await client("POST", TYPED, data, headers=headers)
    assert (reply.status, reply.json["error"]["type"]) == (400, "x_content_parse_exception")
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


async def test_yaml_aliases_do_not_multiply(client: Client) -> None:
    levels = [b"a0: &a0 [x]"]
    levels += [b"a%d: &a%d [%b]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 20)]
    headers = {"Content-Type": "application/yaml", "Accept": "application/json"}
    reply = await client("POST", TYPED, b"\n".join(levels), headers=headers)
    expected = envelope("x_content_parse_exception", "[1:1] The body is no YAML that JSON can hold")
    assert (reply.status, reply.json) == (400, expected)
