import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.twin import embed_request
from esinfer.twin.embed_request import EmbedRequest, load_embed_request, load_sparse_request
from esinfer.twin.serde import MalformedBody


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"inputs": "a"}', EmbedRequest(inputs=["a"])),
        (b'{"inputs": ["a", "b"]}', EmbedRequest(inputs=["a", "b"])),
        (b'{"inputs": [1, 2]}', EmbedRequest(inputs=[[1, 2]])),
        (b'{"inputs": [[1], "a", [2, 3]]}', EmbedRequest(inputs=[[1], "a", [2, 3]])),
        (b'{"inputs": []}', EmbedRequest(inputs=[[]])),
        (b'{"inputs": [[]]}', EmbedRequest(inputs=[[]])),
        (b'{"inputs": [4294967295]}', EmbedRequest(inputs=[[4294967295]])),
        (b'{"inputs": ["inputs"]}', EmbedRequest(inputs=["inputs"])),
        (b'{"inputs": "a", "top_n": 3, "x": {"y": [1, "\\u00e9"]}}', EmbedRequest(inputs=["a"])),
        (b'{"inputs": "a", "truncate": null}', EmbedRequest(inputs=["a"])),
        (
            b'{"dimensions": 2, "normalize": false, "prompt_name": "p", "truncate": true,'
            b' "truncation_direction": "Left", "inputs": "a"}',
            EmbedRequest(
                inputs=["a"],
                truncate=True,
                truncation_direction="Left",
                prompt_name="p",
                normalize=False,
                dimensions=2,
            ),
        ),
    ],
)
def test_bodies_that_are_read(body: bytes, expected: EmbedRequest) -> None:
    assert load_embed_request(body) == expected


@pytest.mark.parametrize("rest", [b"}", b" and more", b"{", b'"', b"\xff"])
def test_what_follows_the_first_value_is_ignored(rest: bytes) -> None:
    """As axum 0.7 ignores it, https://github.com/tokio-rs/axum/issues/3452."""
    body = b' {"inputs" :"a","truncate":false,"y":[{},[],{"b":-1.5e-3,"c":"\\ud83d\\ude00\\n"}]}'
    assert load_embed_request(body + rest) == EmbedRequest(inputs=["a"], truncate=False)


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": ["inputs"], "x": "inputs", "prompt_name": "normalize"}',
        b'{"inputs": [-0, 1], "dimensions": 18446744073709551615} ',
    ],
)
def test_the_value_of_a_field_may_be_named_as_a_field(body: bytes) -> None:
    assert load_embed_request(body) == load_embed_request(body + b"x")


@pytest.mark.parametrize(
    ("direction", "keeps_end"),
    [("left", True), ("Left", True), ("right", False), ("Right", False)],
)
def test_the_side_that_is_cut(direction: str, *, keeps_end: bool) -> None:
    body = b'{"inputs": "a", "truncation_direction": "%b"}' % direction.encode()
    assert load_embed_request(body).keeps_end is keeps_end


def test_a_sparse_request_has_neither_normalize_nor_dimensions() -> None:
    body = b'{"inputs": "a", "normalize": 1, "dimensions": [], "prompt_name": "p"}'
    expected = EmbedRequest(inputs=["a"], prompt_name="p")
    assert load_sparse_request(body) == load_sparse_request(body + b"x") == expected


def test_a_sparse_request_has_a_name_of_its_own() -> None:
    with pytest.raises(MalformedBody, match="null, expected struct EmbedSparseRequest at line 1"):
        load_sparse_request(b"null")


_SCALARS = st.none() | st.booleans() | st.integers(-2, 2**65) | st.floats() | st.text(max_size=5)
_VALUES = st.recursive(
    _SCALARS,
    lambda value: st.lists(value, max_size=3) | st.dictionaries(st.text(max_size=3), value),
    max_leaves=6,
)
_FIELDS = st.fixed_dictionaries(
    {"inputs": st.lists(st.text(max_size=9) | st.lists(st.integers(0, 2**32)))},
    optional={
        "truncate": st.none() | st.booleans(),
        "truncation_direction": st.sampled_from(["left", "Left", "right", "Right"]),
        "prompt_name": st.none() | st.text(max_size=5),
        "normalize": st.booleans(),
        "dimensions": st.none() | st.integers(-1, 2**64),
        "other": _VALUES,
    },
)


def _outcome(read: Callable[[bytes], EmbedRequest | None], body: bytes) -> object:
    try:
        return read(body)
    except MalformedBody as error:
        return error.status


@given(
    fields=_FIELDS,
    names=st.sampled_from([embed_request._DENSE, embed_request._SPARSE]),
    ascii_only=st.booleans(),
)
def test_both_readers_read_the_same(
    fields: dict[str, object], names: tuple[str, ...], *, ascii_only: bool
) -> None:
    body = json.dumps(fields, ensure_ascii=ascii_only).encode()
    quick = embed_request._read_quickly(body, names)
    if quick is not None:
        assert embed_request._read_slowly(body, "EmbedRequest", names) == quick


@given(_FIELDS, st.integers(0, 300), st.sampled_from(list(b'{}[],:"\\ 0-.eE+tfnu\n\0\xff\xc3a')))
def test_a_broken_body_is_read_or_refused(fields: dict[str, object], index: int, byte: int) -> None:
    body = bytearray(json.dumps(fields).encode())
    body[index % len(body)] = byte
    outcome = _outcome(load_embed_request, bytes(body))
    assert isinstance(outcome, EmbedRequest) or outcome in {400, 422}
    assert outcome == _outcome(load_embed_request, bytes(body) + b" ")
