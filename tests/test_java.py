"""Values as Java prints them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer import java
from esinfer.json_reader import read_first_value


def printed(*values: float) -> str:
    return java.float_array(np.array(values, dtype=np.float32)).decode()


def in_java_notation(value: np.float32) -> str:
    """Numpy's shortest digits of a float32 in the notation of ``Float.toString``."""
    if value == 0:
        return "-0.0" if np.signbit(value) else "0.0"
    mantissa, exponent = np.format_float_scientific(value, unique=True, trim="0").split("e")
    if -3 <= int(exponent) < 7:
        return np.format_float_positional(value, unique=True, trim="0")
    return f"{mantissa}E{int(exponent)}"


# -- float32 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-1.0, "-1.0"),
        (0.1, "0.1"),
        (0.014539449, "0.014539449"),
        (10.0005, "10.0005"),  # begins like a small number, within
        (100.00012, "100.00012"),
        (-0.015288644, "-0.015288644"),
        (0.001, "0.001"),
        (0.0009999999, "9.999999E-4"),
        (0.0005, "5.0E-4"),
        (-0.00012345, "-1.2345E-4"),
        (0.00001, "1.0E-5"),
        (1e-10, "1.0E-10"),
        (10.0001, "10.0001"),
        (100.0005, "100.0005"),
        (9999999.0, "9999999.0"),
        (10000000.0, "1.0E7"),
        (16777216.0, "1.6777216E7"),
        (40294967295.0, "4.0294965E10"),
        (1e10, "1.0E10"),
        (3.4028235e38, "3.4028235E38"),
        (1.17549435e-38, "1.1754944E-38"),
        (2.0e-3, "0.002"),
        (33554432.0, "3.3554432E7"),
        (2.0**-149, "1.4E-45"),
        (2.0**-148, "2.8E-45"),
        (3 * 2.0**-149, "4.2E-45"),
        (7 * 2.0**-149, "9.8E-45"),
        (71 * 2.0**-149, "9.9E-44"),
        (float("inf"), '"Infinity"'),
        (float("-inf"), '"-Infinity"'),
        (float("nan"), '"NaN"'),
    ],
)
def test_float_is_printed_as_java_prints_it(value: float, text: str) -> None:
    assert printed(value) == f"[{text}]"
    assert printed(0.5, value, -0.25) == f"[0.5,{text},-0.25]"


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)))
def test_floats_have_the_fewest_digits_that_give_them_back(values: list[float]) -> None:
    floats = np.array(values, dtype=np.float32)
    assert printed(*values) == f"[{','.join(map(in_java_notation, floats))}]"


@given(st.lists(st.floats(-1, 1, width=32, allow_subnormal=False), min_size=1))
def test_floats_of_embeddings_take_the_quick_way_to_the_same_text(values: list[float]) -> None:
    floats = np.array(values, dtype=np.float32)
    assert printed(*values) == f"[{','.join(map(in_java_notation, floats))}]"


@given(st.integers(1, 2**23 - 1))
def test_subnormal_is_printed_so_that_it_reads_back(bits: int) -> None:
    (value,) = struct.unpack("<f", struct.pack("<I", bits))
    text = printed(value)[1:-1]
    assert np.float32(text) == np.float32(value)
    assert len(text.partition("E")[0]) >= len("1.0")


def test_rows_stay_rows() -> None:
    rows = np.array([[0.0001, 1], [2, 3]], dtype=np.float32)
    assert java.float_array(rows) == b"[[1.0E-4,1.0],[2.0,3.0]]"
    assert java.float_array(rows * np.float32(1e7)) == b"[[1000.0,1.0E7],[2.0E7,3.0E7]]"
    assert java.float_array(rows[:0]) == b"[]"
    assert java.float_arrays(rows) == [b"[1.0E-4,1.0]", b"[2.0,3.0]"]
    assert java.float_arrays(rows * np.float32(1e7)) == [b"[1000.0,1.0E7]", b"[2.0E7,3.0E7]"]
    assert java.float_arrays([rows[0], rows[1][:1]]) == [b"[1.0E-4,1.0]", b"[2.0]"]
    assert printed() == "[]"


# -- text -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"null", "null"),
        (b"true", "true"),
        (b"false", "false"),
        (b"12", "12"),
        (b"-0", "0"),
        (b"1.50", "1.5"),
        (b"9.0", "9.0"),
        (b"1e7", "1.0E7"),
        (b"0.0001", "1.0E-4"),
        (b"12345678901234567890", "12345678901234567890"),
        (b'"a, b"', "a, b"),
        (b'["a",1,null,[true]]', "[a, 1, null, [true]]"),
        (b'{"k":"v","m":{"n":[1]}}', "{k=v, m={n=[1]}}"),
        (b"[]", "[]"),
        (b"{}", "{}"),
        (b'{"api_key":"hf_secret","a":{"api_key":["x"]}}', "{api_key=***, a={api_key=***}}"),
    ],
)
def test_value_is_printed_as_to_string_prints_it(body: bytes, text: str) -> None:
    assert java.text(read_first_value(body)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (9.0, "9.0"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (123456789.125, "1.23456789125E8"),
        (1e16, "1.0E16"),
        (1e-44, "1.0E-44"),
        (1e-50, "1.0E-50"),
        (5e-324, "4.9E-324"),
        (1e-323, "9.9E-324"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (2.2250738585072014e-308, "2.2250738585072014E-308"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
    ],
)
def test_double_is_printed_as_java_prints_it(value: float, text: str) -> None:
    assert java.double(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_double_reads_back(value: float) -> None:
    assert float(java.double(value)) == value


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"true", "java.lang.Boolean"),
        (b"1", "java.lang.Integer"),
        (b"2147483647", "java.lang.Integer"),
        (b"2147483648", "java.lang.Long"),
        (b"-2147483649", "java.lang.Long"),
        (b"9223372036854775808", "java.math.BigInteger"),
        (b"1.0", "java.lang.Double"),
        (b'"a"', "java.lang.String"),
        (b"{}", "java.util.HashMap"),
        (b"[]", "java.util.ArrayList"),
    ],
)
def test_class_is_the_one_that_jackson_reads(body: bytes, name: str) -> None:
    assert java.class_name(read_first_value(body)) == name


# -- hash maps --------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        (["a"], "a"),
        (["b", "a", "c"], "a b c"),
        (["foo", "bar"], "bar foo"),
        (["j", "fjd", "eq"], "eq fjd j"),  # three fit a copy of four buckets, from JDK 19 on
        (["dq", "idtth", "rv", "dra", "hj", "bigeh"], "dra hj idtth rv bigeh dq"),
        (
            [*"abcdefghijklmnop"],
            "a b c d e f g h i j k l m n o p",
        ),
        (["Aa", "BB"], "Aa BB"),  # the same hash: in the order of arrival
        (["BB", "Aa"], "BB Aa"),
        (["é", "😀", ""], None),
    ],
)
def test_keys_come_in_the_order_of_their_buckets(keys: list[str], order: str | None) -> None:
    found = java.hash_map_order(keys)
    assert sorted(found) == sorted(keys)
    if order is not None:
        assert found == order.split()
