"""The error of every malformed body, as serde_json behind axum words and places it."""

import pytest

from esinfer.twin.embed_request import load_embed_request
from esinfer.twin.serde import MalformedBody

SYNTAX = "Failed to parse the request body as JSON: "
SHAPE = "Failed to deserialize the JSON body into the target type: "
CONTROL = "control character (\\u0000-\\u001F) found while parsing a string"


def refusal(body: bytes) -> tuple[int, str]:
    with pytest.raises(MalformedBody) as caught:
        load_embed_request(body)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b" \n ", "EOF while parsing a value at line 2 column 1"),
        (b"{", "EOF while parsing an object at line 1 column 1"),
        (b"nope", "expected ident at line 1 column 2"),
        (b"tru", "EOF while parsing a value at line 1 column 3"),
        (b"?", "expected value at line 1 column 1"),
        (b"\xef\xbb\xbf{}", "expected value at line 1 column 1"),
        (b"NaN", "expected value at line 1 column 1"),
        (b"{inputs: 1}", "key must be a string at line 1 column 2"),
        (b'{"inputs" 1}', "expected `:` at line 1 column 11"),
        (b'{"inputs"', "EOF while parsing an object at line 1 column 9"),
        (b'{"inputs":', "inputs: EOF while parsing a value at line 1 column 10"),
        (b'{"inputs": "a"', "EOF while parsing an object at line 1 column 14"),
        (b'{"inputs": "a",', "EOF while parsing a value at line 1 column 15"),
        (b'{"inputs": "a",}', "trailing comma at line 1 column 16"),
        (b'{"inputs": "a" "b"}', "expected `,` or `}` at line 1 column 16"),
        (b'{"inputs": "a', "inputs: EOF while parsing a string at line 1 column 13"),
        (b'{"inputs": "a\\', "inputs: EOF while parsing a string at line 1 column 14"),
        (b'{"inputs": ["a"', "inputs: EOF while parsing a list at line 1 column 15"),
        (b'{"inputs": ["a",', "inputs: EOF while parsing a value at line 1 column 16"),
        (b'{"inputs": ["a",]}', "inputs: trailing comma at line 1 column 17"),
        (b'{"inputs": ["a" "b"]}', "inputs: expected `,` or `]` at line 1 column 17"),
        (b'{"inputs": ["a", nil]}', "inputs[1]: expected ident at line 1 column 19"),
        (b'{"inputs": [[1, ?]]}', "inputs[0][1]: expected value at line 1 column 17"),
        (b'{"inputs": {"a"', "inputs: EOF while parsing an object at line 1 column 15"),
        (b'{"inputs": {a', "inputs.?: key must be a string at line 1 column 13"),
        (b'{"inputs": {"a": ?', "inputs.a: expected value at line 1 column 18"),
        (b'{"inputs":\n "a",\n ?}', "key must be a string at line 3 column 2"),
        (b'{"inputs": "a\tb"}', f"inputs: {CONTROL} at line 1 column 14"),
        (b'{"inputs": "\\x"}', "inputs: invalid escape at line 1 column 14"),
        (b'{"inputs": "\\u12x4"}', "inputs: invalid escape at line 1 column 17"),
        (b'{"inputs": "\\u12', "inputs: EOF while parsing a string at line 1 column 16"),
        (b'{"inputs": "\\ud800"}', "inputs: unexpected end of hex escape at line 1 column 19"),
        (
            b'{"inputs": "\\udc00"}',
            "inputs: lone leading surrogate in hex escape at line 1 column 18",
        ),
        (
            b'{"inputs": "\\ud800\\u0041"}',
            "inputs: lone leading surrogate in hex escape at line 1 column 24",
        ),
        (b'{"inputs": "\xff"}', "inputs: invalid unicode code point at line 1 column 14"),
        (b'{"inputs": [01]}', "inputs[0]: invalid number at line 1 column 14"),
        (b'{"inputs": [-]}', "inputs[0]: invalid number at line 1 column 14"),
        (b'{"inputs": [-', "inputs[0]: EOF while parsing a value at line 1 column 13"),
        (b'{"inputs": [1.]}', "inputs[0]: invalid number at line 1 column 15"),
        (b'{"inputs": [1.', "inputs[0]: EOF while parsing a value at line 1 column 14"),
        (b'{"inputs": [1e+]}', "inputs[0]: invalid number at line 1 column 16"),
        (b'{"inputs": [1.5.2]}', "inputs: expected `,` or `]` at line 1 column 16"),
        (b'{"inputs": [1e999]}', "inputs[0]: number out of range at line 1 column 17"),
        (
            b'{"truncation_direction": null}',
            "truncation_direction: expected value at line 1 column 26",
        ),
        (
            b'{"truncation_direction":',
            "truncation_direction: EOF while parsing a value at line 1 column 24",
        ),
    ],
)  # fmt: skip
def test_a_body_that_is_not_json(body: bytes, reason: str) -> None:
    assert refusal(body) == (400, SYNTAX + reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"input":["hi"]}', "missing field `inputs` at line 1 column 16"),
        (b"{}", "missing field `inputs` at line 1 column 2"),
        (b"null", "invalid type: null, expected struct EmbedRequest at line 1 column 4"),
        (b'"a"', 'invalid type: string "a", expected struct EmbedRequest at line 1 column 3'),
        (b"1", "invalid type: integer `1`, expected struct EmbedRequest at line 1 column 1"),
        (b'["a"]', "invalid type: sequence, expected struct EmbedRequest at line 1 column 0"),
        (b'{"inputs": "a", "inputs": "b"}', "duplicate field `inputs` at line 1 column 24"),
        (
            b'{"inputs": "a", "normalize": true, "normalize": true}',
            "duplicate field `normalize` at line 1 column 46",
        ),
        (
            b'{"inputs": "a", "truncate": "yes"}',
            'truncate: invalid type: string "yes", expected a boolean at line 1 column 33',
        ),
        (
            b'{"inputs": "a", "normalize": null}',
            "normalize: invalid type: null, expected a boolean at line 1 column 33",
        ),
        (
            b'{"inputs": "a", "normalize": [1]}',
            "normalize: invalid type: sequence, expected a boolean at line 1 column 29",
        ),
        (
            b'{"inputs": "a", "normalize": {}}',
            "normalize: invalid type: map, expected a boolean at line 1 column 29",
        ),
        (
            b'{"inputs": "a", "prompt_name": true}',
            "prompt_name: invalid type: boolean `true`, expected a string at line 1 column 35",
        ),
        (
            b'{"inputs": "a", "dimensions": "8"}',
            'dimensions: invalid type: string "8", expected usize at line 1 column 33',
        ),
        (
            b'{"inputs": "a", "dimensions": 1.5}',
            "dimensions: invalid type: floating point `1.5`, expected usize at line 1 column 33",
        ),
        (
            b'{"inputs": "a", "dimensions": -1}',
            "dimensions: invalid value: integer `-1`, expected usize at line 1 column 32",
        ),
        (
            b'{"inputs": "a", "truncation_direction": "up"}',
            "truncation_direction: unknown variant `up`, expected one of "
            "`Left`, `left`, `Right`, `right` at line 1 column 44",
        ),
    ],
)
def test_a_body_of_the_wrong_shape(body: bytes, reason: str) -> None:
    assert refusal(body) == (422, SHAPE + reason)


@pytest.mark.parametrize(
    "inputs",
    [
        b"42", b"null", b"true", b"{}", b'{"a": ["b"]}', b'["a", null]', b'["a", 1]', b'[1, "a"]',
        b"[-1]", b"[4294967296]", b"[1.0]", b"[[1.5]]", b"[true]", b'[["a"]]', b"[[[1]]]",
        b"[18446744073709551616]", b"[%b]" % (b"1" * 300),
    ],
)  # fmt: skip
def test_inputs_that_are_no_input(inputs: bytes) -> None:
    reason = "inputs: data did not match any variant of untagged enum Input at line 1 column "
    body = b'{"inputs":%b}' % inputs
    assert refusal(body) == (422, f"{SHAPE}{reason}{len(body)}")
    body = b'{"inputs":%b ,"truncate":true}' % inputs
    assert refusal(body) == (422, f"{SHAPE}{reason}{len(inputs) + 11}")


def test_a_number_of_any_length_is_read() -> None:
    body = b'{"inputs": [%b]}' % (b"9" * 5000)
    assert refusal(body) == (400, f"{SYNTAX}inputs[0]: number out of range at line 1 column 5012")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_too_deep_a_body_is_not_json(opening: bytes) -> None:
    status, text = refusal(b'{"inputs":' + opening * 2000)
    assert status == 400
    column = 10 + 126 * len(opening) + 1
    assert text.endswith(f": recursion limit exceeded at line 1 column {column}")
