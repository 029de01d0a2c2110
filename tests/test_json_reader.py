"""The reader against jackson-core 2.17, which gave every reason below unless a comment differs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer import json_decoder, json_reader
from esinfer.errors import (
    JsonEofError,
    JsonParseError,
    XContentEofError,
    XContentParseError,
)
from esinfer.json_reader import (
    NOTHING,
    JsonReader,
    Place,
    Token,
    WireFloat,
    locate,
    locate_end,
    read_first_value,
)

REDACTED = "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)"
WORDS = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


def source(line: int, column: int) -> str:
    return f"[Source: {REDACTED}; line: {line}, column: {column}]"


def read_with_reader(data: bytes) -> object:
    reader = JsonReader(data)
    return NOTHING if reader.next() is None else reader.read_value()


def steps(data: bytes) -> Iterator[tuple[str, object, tuple[int, int]]]:
    """Every token of the first value, with its value and place."""
    reader = JsonReader(data)
    depth = 0
    while reader.next():
        assert reader.token is not None
        yield reader.token, reader.value, (reader.place.line, reader.place.column)
        depth += reader.token.startswith("START")
        depth -= reader.token.startswith("END")
        if not depth:
            return


def refusal(data: bytes) -> XContentParseError:
    with pytest.raises(XContentParseError) as raised:
        read_first_value(data)
    return raised.value


# -- errors --

UNEXPECTED = [
    (b"{x", 1, 2, "('x' (code 120)): was expecting double-quote to start field name"),
    (b"{,", 1, 2, "(',' (code 44)): was expecting double-quote to start field name"),
    (b'{"a":1,}', 1, 8, "('}' (code 125)): was expecting double-quote to start field name"),
    (b"{'a':1}", 1, 2, "(''' (code 39)): was expecting double-quote to start field name"),
    (b"{\xc3\xa9", 1, 3, "('é' (code 233)): was expecting double-quote to start field name"),
    (
        b"{\xe2\x80\x9ca",
        1,
        4,
        "('“' (code 8220 / 0x201c)): was expecting double-quote to start field name",
    ),
    (b'{"a"x', 1, 5, "('x' (code 120)): was expecting a colon to separate field name and value"),
    (b'{"a" 1}', 1, 6, "('1' (code 49)): was expecting a colon to separate field name and value"),
    (
        b'{"a"\xe2\x80\x9c',
        1,
        5,
        "('â' (code 226)): was expecting a colon to separate field name and value",
    ),
    (b'{"a":}', 1, 6, "('}' (code 125)): expected a value"),
    (b'{"a":,}', 1, 6, "(',' (code 44)): expected a value"),
    (b'{"a":]}', 1, 6, f"(']' (code 93)): expected a valid value {WORDS}"),
    (b"[,", 1, 2, "(',' (code 44)): expected a value"),
    (b"[1,,", 1, 4, "(',' (code 44)): expected a value"),
    (b"[1,]", 1, 4, "(']' (code 93)): expected a value"),
    (b",", 1, 1, "(',' (code 44)): expected a value"),
    (b":", 1, 1, f"(':' (code 58)): expected a valid value {WORDS}"),
    (b"[\n 1,\n  @]", 3, 3, f"('@' (code 64)): expected a valid value {WORDS}"),
    (b"['a'", 1, 2, f"(''' (code 39)): expected a valid value {WORDS}"),
    (b"@Infinity", 1, 1, f"('@' (code 64)): expected a valid value {WORDS}"),
    (b"# x\n1", 1, 1, f"('#' (code 35)): expected a valid value {WORDS}"),
    (b"[\x7f", 1, 2, f"((CTRL-CHAR, code 127)): expected a valid value {WORDS}"),
    (b"[\x80", 1, 2, f"((CTRL-CHAR, code 128)): expected a valid value {WORDS}"),
    (b"[\xd7", 1, 2, f"('×' (code 215)): expected a valid value {WORDS}"),
    (b"[.5]", 1, 2, f"('.' (code 46)): expected a valid value {WORDS}"),
    (b"[-.5]", 1, 3, f"('.' (code 46)): expected a valid value {WORDS}"),
    (b"[1 2]", 1, 4, "('2' (code 50)): was expecting comma to separate Array entries"),
    (b'["a"\n"b"]', 2, 1, "('\"' (code 34)): was expecting comma to separate Array entries"),
    (b"[1\xc3\xa9", 1, 3, "('Ã' (code 195)): was expecting comma to separate Array entries"),
    (b'{"a":1 "b"', 1, 8, "('\"' (code 34)): was expecting comma to separate Object entries"),
    (b'{"a":true"b"', 1, 10, "('\"' (code 34)): was expecting comma to separate Object entries"),
    (b"[true$", 1, 6, "('$' (code 36)): was expecting comma to separate Array entries"),
    (b"[1.5.2]", 1, 5, "('.' (code 46)): was expecting comma to separate Array entries"),
    (b"[1e5e2]", 1, 5, "('e' (code 101)): was expecting comma to separate Array entries"),
    (b"1x", 1, 2, "('x' (code 120)): Expected space separating root-level values"),
    (b"1\x01", 1, 2, "((CTRL-CHAR, code 1)): Expected space separating root-level values"),
    (b"-0/", 1, 3, "('/' (code 47)): Expected space separating root-level values"),
    (b"/ x", 1, 2, "(' ' (code 32)): was expecting either '*' or '/' for a comment"),
    (b"[1/x", 1, 4, "('x' (code 120)): was expecting either '*' or '/' for a comment"),
    (
        b'["\\u12g4"',
        1,
        7,
        "('g' (code 103)): expected a hex-digit for character escape sequence",
    ),
    (
        b'{"\\u12"',
        1,
        7,
        "('\"' (code 34)): expected a hex-digit for character escape sequence",
    ),
    (
        b"[1.]",
        1,
        4,
        "(']' (code 93)) in numeric value: Decimal point not followed by a digit",
    ),
    (b"[1.", 1, 3, "('.' (code 46)) in numeric value: Decimal point not followed by a digit"),
    (
        b"[1.\n",
        1,
        4,
        "((CTRL-CHAR, code 10)) in numeric value: Decimal point not followed by a digit",
    ),
    (
        b"[1e]",
        1,
        4,
        "(']' (code 93)) in numeric value: Exponent indicator not followed by a digit",
    ),
    (
        b"[1.5E+x",
        1,
        7,
        "('x' (code 120)) in numeric value: Exponent indicator not followed by a digit",
    ),
    (
        b'{"a":-}',
        1,
        7,
        "('}' (code 125)) in numeric value:"
        " expected digit (0-9) to follow minus sign, for valid numeric value",
    ),
    (
        b"[-Ix",
        1,
        4,
        "('x' (code 120)) in numeric value:"
        " expected digit (0-9) to follow minus sign, for valid numeric value",
    ),
    (
        b"[+1]",
        1,
        3,
        "('+' (code 43)) in numeric value: JSON spec does not allow numbers to have plus signs:"
        " enable `JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow",
    ),
]

ALLOW_NAN = "enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"
ONLY_SPACE = r"only regular white space (\r, \n, \t) is allowed between tokens"
ESCAPED = "has to be escaped using backslash to be included in"
MARK = "Unexpected close marker"

OTHER_PROBLEMS = [
    (b"abc", 1, 4, f"Unrecognized token 'abc': was expecting {WORDS}"),
    (b"[abc]", 1, 6, f"Unrecognized token 'abc': was expecting {WORDS}"),
    (b"[abc\n]", 1, 6, f"Unrecognized token 'abc': was expecting {WORDS}"),
    (b"[trux", 1, 6, f"Unrecognized token 'trux': was expecting {WORDS}"),
    (b"[nul}", 1, 6, f"Unrecognized token 'nul': was expecting {WORDS}"),
    (b"[truex]", 1, 8, f"Unrecognized token 'truex': was expecting {WORDS}"),
    (b'{"a":\n\nfals3\n}', 3, 7, f"Unrecognized token 'fals3': was expecting {WORDS}"),
    (b"[nope.a]", 1, 7, f"Unrecognized token 'nope': was expecting {WORDS}"),
    (b"[$a_1]", 1, 7, f"Unrecognized token '$a_1': was expecting {WORDS}"),
    (b"[a\xc3\xa9\xe2\x82\xac]", 1, 9, f"Unrecognized token 'aé€': was expecting {WORDS}"),
    (b"[\xe9]", 1, 4, f"Unrecognized token 'é': was expecting {WORDS}"),
    (b"[a\x7f]", 1, 5, f"Unrecognized token 'a\x7f': was expecting {WORDS}"),
    (b"[NaNx]", 1, 7, f"Unrecognized token 'NaNx': was expecting {WORDS}"),
    (b"[-Inx", 1, 6, f"Unrecognized token '-Inx': was expecting {WORDS}"),
    (b"[-Infinityx]", 1, 13, f"Unrecognized token '-Infinityx': was expecting {WORDS}"),
    (
        b"[" + b"a" * 300 + b"]",
        1,
        258,
        f"Unrecognized token '{'a' * 256}...': was expecting {WORDS}",
    ),
    (b"[NaN]", 1, 5, f"Non-standard token 'NaN': {ALLOW_NAN}"),
    (b"[NaN$", 1, 5, f"Non-standard token 'NaN': {ALLOW_NAN}"),
    (b'{"a":Infinity}', 1, 14, f"Non-standard token 'Infinity': {ALLOW_NAN}"),
    (b"-Infinity", 1, 10, f"Non-standard token '-Infinity': {ALLOW_NAN}"),
    (b"[-INF]", 1, 6, f"Non-standard token '-INF': {ALLOW_NAN}"),
    (b"[+INF]", 1, 6, f"Non-standard token '+INF': {ALLOW_NAN}"),
    (b"[01]", 1, 3, "Invalid numeric value: Leading zeroes not allowed"),
    (b"-01", 1, 3, "Invalid numeric value: Leading zeroes not allowed"),
    (b"[\x01", 1, 3, f"Illegal character ((CTRL-CHAR, code 1)): {ONLY_SPACE}"),
    (b'{"a"\x00', 1, 6, f"Illegal character ((CTRL-CHAR, code 0)): {ONLY_SPACE}"),
    (b"[/* \x01", 1, 6, f"Illegal character ((CTRL-CHAR, code 1)): {ONLY_SPACE}"),
    (b'["\x1f', 1, 3, f"Illegal unquoted character ((CTRL-CHAR, code 31)): {ESCAPED} string value"),
    (b'"a\nb"', 1, 3, f"Illegal unquoted character ((CTRL-CHAR, code 10)): {ESCAPED} string value"),
    (b'{"a\tb"', 1, 4, f"Illegal unquoted character ((CTRL-CHAR, code 9)): {ESCAPED} name"),
    (b'["\\x"]', 1, 4, "Unrecognized character escape 'x' (code 120)"),
    (b'{"\\x":1}', 1, 4, "Unrecognized character escape 'x' (code 120)"),
    (b'["\\\xc3\xa9"]', 1, 5, "Unrecognized character escape 'é' (code 233)"),
    (b'["\\\n"]', 1, 4, "Unrecognized character escape (CTRL-CHAR, code 10)"),
    (b'{"a":1,"a":2}', 1, 11, "Duplicate field 'a'"),
    (b'{"a":1,"b":{"a":2},\n"\\u0061" :3}', 2, 9, "Duplicate field 'a'"),
    (b"}", 1, 1, f"{MARK} '}}': expected ']' (for root starting at [Source: {REDACTED}; line: 1])"),
    (b"]", 1, 1, f"{MARK} ']': expected '}}' (for root starting at [Source: {REDACTED}; line: 1])"),
    (b"[}", 1, 2, f"{MARK} '}}': expected ']' (for Array starting at {source(1, 1)})"),
    (b"\n {\n]", 3, 1, f"{MARK} ']': expected '}}' (for Object starting at {source(2, 2)})"),
    (b"[1,", 1, 4, "Unexpected end-of-input within/between Array entries"),
    (b'{"a":1, // x', 1, 13, "Unexpected end-of-input within/between Object entries"),
    (b'"\xff"', 1, 3, "Invalid UTF-8 start byte 0xff"),
    (b'"\x80"', 1, 3, "Invalid UTF-8 start byte 0x80"),
    (b'"\xe2\x28"', 1, 4, "Invalid UTF-8 middle byte 0x28"),
    (b'"\xf0\x9f\x98\x28"', 1, 6, "Invalid UTF-8 middle byte 0x28"),
    (b'"\xe2"', 1, 4, "Invalid UTF-8 middle byte 0x22"),
    (b"{\xff", 1, 3, "Invalid UTF-8 start byte 0xff"),
    (b"[\xe2\x80\x9ca]", 1, 4, "Invalid UTF-8 start byte 0x80"),
    (b"[/* \xff */1]", 1, 6, "Invalid UTF-8 start byte 0xff"),
    # Jackson's words; it gives no place for these.
    (
        b"[" * 1001,
        1,
        1001,
        "Document nesting depth (1001) exceeds the maximum allowed"
        " (1000, from `StreamReadConstraints.getMaxNestingDepth()`)",
    ),
    (
        b"[-" + b"1" * 1001,
        1,
        2,
        "Number value length (1001) exceeds the maximum allowed"
        " (1000, from `StreamReadConstraints.getMaxNumberLength()`)",
    ),
    (
        b"[1." + b"1" * 997 + b"e-123",
        1,
        2,
        "Number value length (1001) exceeds the maximum allowed"
        " (1000, from `StreamReadConstraints.getMaxNumberLength()`)",
    ),
    # Jackson calls the first an end of input, and decodes the others to something.
    (b'{"\xc3":1}', 1, 5, "Invalid UTF-8 middle byte 0x22"),
    (b'"\xc0\x80"', 1, 3, "Invalid UTF-8 start byte 0xc0"),
    (b'"\xed\xa0\x80"', 1, 4, "Invalid UTF-8 middle byte 0xa0"),
    (b'"\xf5\x80\x80\x80"', 1, 3, "Invalid UTF-8 start byte 0xf5"),
    # Jackson takes these.
    (b'["a\\ud800"]', 1, 2, "Unpaired surrogate in a JSON string"),
    (b'{"a":"\\udc00\\ud800"}', 1, 6, "Unpaired surrogate in a JSON string"),
    (b'{"\\uD800":1}', 1, 2, "Unpaired surrogate in a JSON string"),
]


@pytest.mark.parametrize(
    ("data", "line", "column", "problem"),
    [
        *((data, line, at, f"Unexpected character {text}") for data, line, at, text in UNEXPECTED),
        *OTHER_PROBLEMS,
    ],
)
def test_a_refused_body_is_worded_and_placed_as_by_jackson(
    data: bytes, line: int, column: int, problem: str
) -> None:
    error = refusal(data)
    text = f"{problem}\n at {source(line, column)}"
    assert type(error) is XContentParseError
    assert error.reason == f"[{line}:{column}] {text}"
    assert type(error.__cause__) is JsonParseError
    assert error.__cause__.reason == text


@pytest.mark.parametrize(
    ("data", "line", "column", "problem"),
    [
        (b"{", 1, 2, f": expected close marker for Object (start marker at {source(1, 1)})"),
        (b"\n [\n1", 3, 2, f": expected close marker for Array (start marker at {source(2, 2)})"),
        (
            b'[\n  {\n    "field": 0.1\n  }\n',
            5,
            1,
            f": expected close marker for Array (start marker at {source(1, 1)})",
        ),
        (b"[ // x", 1, 7, f": expected close marker for Array (start marker at {source(1, 1)})"),
        (b'{"a"', 1, 5, " within/between Object entries"),
        (b'{"input":', 1, 10, " within/between Object entries"),
        (b'{"a": // x', 1, 11, " within/between Object entries"),
        (b'{"', 1, 3, ": was expecting closing '\"' for name"),
        (b'{"a', 1, 4, " in field name"),
        (b'{"\xc3', 1, 4, " in field name"),
        (b'"', 1, 2, " in VALUE_STRING"),
        (b'["a', 1, 4, " in VALUE_STRING"),
        (b'["\xe2\x82', 1, 5, " in VALUE_STRING"),
        (b'["\\', 1, 4, " in character escape sequence"),
        (b'{"a\\', 1, 5, " in character escape sequence"),
        (b'["\\u12', 1, 7, " in character escape sequence"),
        (b"/", 1, 2, " in a comment"),
        (b"[/* *", 1, 6, " in a comment"),
        (b"/* \xe2", 1, 5, " in null"),
        (b"{\xe2", 1, 3, " in START_OBJECT"),
        (b"-", 1, 2, " in null"),
        (b"[-", 1, 3, " in START_ARRAY"),
        (b"[1,-", 1, 5, " in VALUE_NUMBER_INT"),
        (b"[1.5,2e", 1, 8, " in VALUE_NUMBER_FLOAT"),
        (b"[true,2E+", 1, 10, " in VALUE_TRUE"),
        (b"[false,-", 1, 9, " in VALUE_FALSE"),
        (b'{"a":-', 1, 7, " in FIELD_NAME"),
        (b"[+", 1, 3, " in a Number value"),
        (b"[-I", 1, 4, " in a Number value"),
    ],
)
def test_a_body_that_breaks_off_is_an_end_of_file(
    data: bytes, line: int, column: int, problem: str
) -> None:
    error = refusal(data)
    assert type(error) is XContentEofError
    assert error.reason == f"[{line}:{column}] Unexpected end of file"
    assert type(error.__cause__) is JsonEofError
    assert error.__cause__.reason == f"Unexpected end-of-input{problem}\n at {source(line, column)}"


def test_a_string_is_not_looked_into_before_it_is_asked_for_or_left() -> None:
    reader = JsonReader(b'{"a":"\\q"}')
    assert [reader.next(), reader.next(), reader.next()][-1] is Token.VALUE_STRING
    with pytest.raises(XContentParseError):
        reader.next()


def test_what_follows_a_field_name_is_refused_with_the_name() -> None:
    reader = JsonReader(b'{"a":nope}')
    reader.next()
    with pytest.raises(XContentParseError, match="Unrecognized token 'nope'"):
        reader.next()


# -- values --


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a":1}}', {"a": 1}),
        (b'{"a":1} x', {"a": 1}),
        (b'{"a":1}\xff', {"a": 1}),
        (b"[]{", []),
        (b'"a"x', "a"),
        (b"true{", True),
        (b"null,", None),
        (b"0\n", 0),
        (b" 12 x", 12),
        (b"-0", 0),
        (b'\xef\xbb\xbf{"a":[]}', {"a": []}),
        (b'\r\n\t {"a" : "\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"}', {"a": '"\\/\b\f\n\r\té'}),
        (b'["\\ud83d\\ude00", "\\\\ud800"]', ["😀", "\\ud800"]),
        (b'{"\xc3\xa9":"\xf0\x9f\x98\x80\x7f"}', {"é": "😀\x7f"}),
        (b"[" + b"1" * 1000 + b"]", [int("1" * 1000)]),
        (b"[1." + b"1" * 996 + b"e-123]", [float("1." + "1" * 996 + "e-123")]),
        (b"[1e400,-0.0]", [float("inf"), -0.0]),
        (
            b'/**/{/***/"a"//\r:/*\r\n*/[1,//"\n2]/* * / */,"b"/**/:{}}',
            {"a": [1, 2], "b": {}},
        ),
        (b'{"a":{"a":1},"b":[{"a":1},{"a":2}]}', {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}),
    ],
)
def test_the_first_value_is_read_and_the_rest_left_alone(data: bytes, value: object) -> None:
    assert read_first_value(data) == value
    assert read_with_reader(data) == value


@pytest.mark.parametrize("data", [b"", b" \r\n\t", b"/* x */ // y", b"\xef\xbb\xbf"])
def test_a_body_without_a_value_is_nothing(data: bytes) -> None:
    assert read_first_value(data) is NOTHING


@pytest.mark.parametrize("read", [read_first_value, read_with_reader])
def test_a_float_remembers_its_text(read: Callable[[bytes], object]) -> None:
    value = read(b"[1.50, 1E+2, 3]")
    assert value == [1.5, 100.0, 3]
    assert isinstance(value, list)
    assert [(type(n), getattr(n, "text", None)) for n in value] == [
        (WireFloat, "1.50"),
        (WireFloat, "1E+2"),
        (int, None),
    ]
    assert deepcopy(value[0]).text == "1.50"


@pytest.mark.parametrize("data", [b"[" * 1000 + b"]" * 1000, b'{"a":' * 1000 + b"1" + b"}" * 1000])
def test_a_thousand_levels_are_read(data: bytes) -> None:
    value, depth = read_first_value(data), 0
    while isinstance(value, list | dict):
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
        depth += 1
    assert depth == 1000


def test_many_shallow_values_are_not_deep() -> None:
    data = b"[" + b",".join([b'{"a":[]}'] * 2000) + b"]"
    assert read_first_value(data) == [{"a": []}] * 2000


@pytest.mark.parametrize("opener", [b"[", b'{"a":', b'[{"a":'])
def test_endless_nesting_is_refused_at_the_limit(opener: bytes) -> None:
    assert "Document nesting depth (1001)" in refusal(opener * 200_000).reason


def test_the_limit_of_nesting_is_not_that_of_pythons_stack() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 5000)
    try:
        assert "Document nesting depth (1001)" in refusal(b"[" * 1001 + b"]" * 1001).reason
    finally:
        sys.setrecursionlimit(limit)


def test_long_bodies_are_read_in_linear_time() -> None:
    """At a few seconds for each of these, one quadratic step would be minutes."""
    long = 2_000_000
    assert read_first_value(b'//\n["' + b"x" * long + b'"]') == ["x" * long]
    assert read_first_value(b'//\n["' + b"\\n" * long + b'"]') == ["\n" * long]
    assert "escape 'q'" in refusal(b'["' + b"\\n" * long + b'\\q"]').reason
    assert read_first_value(b"//\n[" + b"1," * 100_000 + b"1]") == [1] * 100_001
    assert "(2000000)" in refusal(b"[" + b"1" * long).reason
    assert read_first_value(b"/**/\n" * (long // 20)) is NOTHING
    assert refusal(b"[\n" + b"\r\n" * long + b"}").reason.startswith("[2000002:1]")


# -- tokens and places --


def test_tokens_carry_their_values_and_places() -> None:
    data = b'{\n  "\xc3\xa9" : [1, 2.50,\r\n "\xc3\xa9", true, false, null],\r"b":{}}'
    assert list(steps(data)) == [
        ("START_OBJECT", None, (1, 1)),
        ("FIELD_NAME", "é", (2, 3)),
        ("START_ARRAY", None, (2, 10)),
        ("VALUE_NUMBER", 1, (2, 11)),
        ("VALUE_NUMBER", 2.5, (2, 14)),
        ("VALUE_STRING", "é", (3, 2)),
        ("VALUE_BOOLEAN", True, (3, 8)),
        ("VALUE_BOOLEAN", False, (3, 14)),
        ("VALUE_NULL", None, (3, 21)),
        ("END_ARRAY", None, (3, 25)),
        ("FIELD_NAME", "b", (4, 1)),
        ("START_OBJECT", None, (4, 5)),
        ("END_OBJECT", None, (4, 6)),
        ("END_OBJECT", None, (4, 7)),
    ]


def test_the_text_of_a_token_is_as_it_stands_in_the_body() -> None:
    reader = JsonReader(b'{"a\\n":[1.50,-0,1E5,true,false,null,"b\\t"]}')
    texts = []
    while reader.next():
        texts.append(reader.text)
    assert texts == ["{", "a\n", "[", "1.50", "-0", "1E5", "true", "false", "null", "b\t", "]", "}"]


def test_reading_goes_on_to_the_end_of_the_input() -> None:
    reader = JsonReader(b'1 "a" {} // x\n')
    tokens = [reader.next() for _ in range(6)]
    assert tokens == ["VALUE_NUMBER", "VALUE_STRING", "START_OBJECT", "END_OBJECT", None, None]
    assert reader.token is None
    assert reader.place == Place(2, 1)


def test_a_value_is_read_from_the_middle_and_ends_on_its_last_token() -> None:
    reader = JsonReader(b'{"a":{"b":[1,{"c":null}]},"d":2}')
    tokens = [reader.next() for _ in range(3)]
    assert tokens[-1] is Token.START_OBJECT
    assert reader.read_value() == {"b": [1, {"c": None}]}
    assert reader.token is Token.END_OBJECT
    assert reader.next() is Token.FIELD_NAME
    assert reader.value == "d"
    reader.next()
    assert reader.read_value() == 2


LOCATED = b'\n{"a": [1, {"b" :\n "x"}],\n "c":2} trailing'


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), (2, 1), (2, 1)),
        (("a",), (2, 2), (2, 7)),
        (("a", 0), (2, 8), (2, 8)),
        (("a", 1), (2, 11), (2, 11)),
        (("a", 1, "b"), (2, 12), (3, 2)),
        (("c",), (4, 2), (4, 6)),
    ],
)
def test_a_value_is_located_by_its_path(
    path: tuple[str | int, ...], key: tuple[int, int], value: tuple[int, int]
) -> None:
    assert locate(LOCATED, path) == (Place(*key), Place(*value))


@pytest.mark.parametrize("path", [("x",), ("a", 2), ("c", 0), ("a", "b")])
def test_a_path_that_leads_nowhere_is_a_lookup_error(path: tuple[str | int, ...]) -> None:
    with pytest.raises(LookupError):
        locate(LOCATED, path)


@pytest.mark.parametrize(
    ("path", "end"),
    [((), (4, 7)), (("a",), (3, 6)), (("a", 0), (2, 8)), (("a", 1), (3, 5)), (("c",), (4, 6))],
)
def test_the_end_of_a_value_is_its_closing_bracket_or_itself(
    path: tuple[str | int, ...], end: tuple[int, int]
) -> None:
    assert locate_end(LOCATED, path) == Place(*end)


@pytest.mark.parametrize("element", ['"a"', "1.5", "null", '{"a":1}', '{"a":"]"}', "[1]", '"\\""'])
def test_elements_of_a_long_array_are_located(element: str) -> None:
    data = f"[{','.join([element] * 1200)},0]".encode()
    for index in (0, 1, 499, 500, 501, 502, 999, 1000, 1001, 1199, 1200):
        place = Place(1, 2 + index * (len(element) + 1))
        assert locate(data, (index,)) == (place, place)
    with pytest.raises(LookupError):
        locate(data, (1201,))


@pytest.fixture
def steps_of_readers(monkeypatch: pytest.MonkeyPatch) -> list[Token | None]:
    """Every token that any reader stops at."""
    tokens: list[Token | None] = []
    step = JsonReader.next

    def record(reader: JsonReader) -> Token | None:
        tokens.append(step(reader))
        return tokens[-1]

    monkeypatch.setattr(JsonReader, "next", record)
    return tokens


MANY = b",".join([b'"a"', b"1.5", b'{"a":[1,{"b":"]"}]}', b"[]", b"true"] * 10_000)


def test_what_stands_before_a_value_is_not_stepped_through_to_find_it(
    steps_of_readers: list[Token | None],
) -> None:
    data = b'// "\n{"a":[%b],"b":{"c":[%b]},"d":1}' % (MANY, MANY)
    assert locate(data, ("d",))[0].column > 2 * len(MANY)
    assert len(steps_of_readers) < 10


@pytest.mark.parametrize("element", [b'"a"', b"1.5", b"null", b'{"a":"]","b":1}'])
@pytest.mark.parametrize("last", [b"nope", b'"\\q"', b'{"a":1,"a":2}', b'"\\ud800"', b"\xff"])
def test_simple_elements_are_read_many_at_a_time(
    steps_of_readers: list[Token | None], element: bytes, last: bytes
) -> None:
    data = b"[%b,%b]" % (b",".join([element] * 20_000), last)
    assert refusal(data).reason.startswith("[1:")
    assert len(steps_of_readers) < 10_000


def test_runs_are_not_tried_again_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of its elements would have the rest of the run matched and decoded again."""
    refused = 0
    decode = json_decoder.decode

    def count(data: bytes) -> object:
        nonlocal refused
        try:
            return decode(data)
        except ValueError:
            refused += 1
            raise

    monkeypatch.setattr(json_reader, "decode", count)
    assert "escape 'q'" in refusal(b"[" + b'"a",' * 450 + b'"\\q",1]').reason
    assert refused == 2  # the body, and the run in it


@pytest.mark.parametrize(
    ("element", "last"),
    [
        (b'"b"', "VALUE_STRING"),
        (b"2", "VALUE_NUMBER_INT"),
        (b"2.0", "VALUE_NUMBER_FLOAT"),
        (b"false", "VALUE_FALSE"),
        (b"null", "VALUE_NULL"),
        (b'{"a":1}', "END_OBJECT"),
    ],
)
def test_the_last_of_a_run_is_known_to_errors(element: bytes, last: str) -> None:
    cause = refusal(b"[[]," + b"1," * 20 + element + b",-").__cause__
    assert isinstance(cause, JsonEofError)
    assert f"Unexpected end-of-input in {last}\n" in cause.reason


# -- properties --

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
SNIPPETS = st.sampled_from(
    [*"{}[],:\" \n\\/*'+-.0123eE", "//", "/*", "*/", '"a":', '"a"', "true", "nul", "NaN", "\\ud800"]
)
NEARLY_JSON = st.lists(SNIPPETS | TEXTS, max_size=12).map(lambda parts: "".join(parts).encode())


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_valid_bodies_are_read_as_json_loads_reads_them(
    value: object, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    expected = json.loads(text)
    for data in (text.encode(), f" /* x */ {text}".encode()):
        read = read_first_value(data)
        assert read == expected
        assert json.dumps(read) == json.dumps(expected)  # tells 1 from 1.0 and True


def outcome(read: Callable[[bytes], object], data: bytes) -> str:
    """The value, or the reason of its refusal: any other exception fails the test."""
    try:
        return repr(read(data))
    except XContentParseError as error:
        return error.reason if isinstance(error.__cause__, JsonParseError) else "no cause"


@given(st.binary())
def test_any_bytes_give_a_value_or_a_placed_error(data: bytes) -> None:
    assert outcome(read_first_value, data) != "no cause"


@given(NEARLY_JSON | NEARLY_JSON.map(lambda data: b"[%b]" % data))
def test_both_ways_of_reading_agree(data: bytes) -> None:
    assert outcome(read_first_value, data) == outcome(read_with_reader, data) != "no cause"


@pytest.fixture(scope="module")
def in_steps() -> Iterator[None]:
    """Every body is decoded as large ones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_decoder, "_IN_ONE_GO", 0)
        yield


@pytest.mark.usefixtures("in_steps")
class TestLarge:
    @given(VALUES, st.booleans(), st.sampled_from([None, 2]))
    def test_valid_bodies_are_read_the_same(
        self, value: object, ascii_only: bool, indent: int | None
    ) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
        read = read_first_value(text.encode())
        assert json.dumps(read) == json.dumps(json.loads(text))

    @given(NEARLY_JSON | NEARLY_JSON.map(lambda data: b"[%b]" % data))
    def test_any_body_is_read_the_same(self, data: bytes) -> None:
        assert outcome(read_first_value, data) == outcome(read_with_reader, data)

    @pytest.mark.parametrize("length", [0, 1, 8, 9, 500, 501, 502, 1001, 1002])
    @pytest.mark.parametrize("value", ["a,]", 1, 0.5, None, {"a": "}"}, [1], {"a": [2]}])
    def test_arrays_of_any_length_are_read(self, value: object, length: int) -> None:
        data = json.dumps({"a": [value] * length, "b": 1}).encode()
        assert read_first_value(data) == json.loads(data)

    def test_deep_bodies_are_read(self) -> None:
        value, depth = read_first_value(b"[" * 1000 + b"]" * 1000), 0
        while isinstance(value, list):
            value, depth = next(iter(value), None), depth + 1
        assert depth == 1000


@given(st.dictionaries(TEXTS, VALUES), st.data())
def test_no_body_ends_early(value: dict[str, object], data: st.DataObject) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    length = data.draw(st.integers(min_value=1, max_value=len(body) - 1))
    assert isinstance(refusal(body[:length]), XContentParseError)


def parts(value: object, *path: str | int) -> Iterator[tuple[tuple[str | int, ...], object]]:
    yield path, value
    if isinstance(value, list | dict):
        for step, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from parts(child, *path, step)


@given(VALUES, st.sampled_from(["\n", "\r", "\r\n"]))
def test_every_value_is_found_where_it_stands(value: object, newline: str) -> None:
    data = json.dumps(value, indent=1).replace("\n", newline).encode()
    lines = data.splitlines(keepends=True)
    for path, part in parts(value):
        place = locate(data, path)[1]
        rest = b"".join(lines[place.line - 1 :])[place.column - 1 :]
        reader = JsonReader(b"[" + rest)
        reader.next()
        reader.next()
        assert reader.read_value() == part
