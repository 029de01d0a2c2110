"""Values as Java prints them, for reasons and numbers on the wire.

``text`` is ``String.valueOf``: maps ``{k=v}``, lists ``[a, b]``, null
``null``. ``float_array`` prints float32 the way ``Float.toString`` does.
Source: rest.md sections 0 and 6.5.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import ceil, isfinite
from typing import TYPE_CHECKING, cast

import orjson

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

SECRET_SETTINGS = frozenset({"api_key"})
"""Names whose values are masked wherever a request is printed back."""

MASK = "***"


_WORDS = {None: "null", True: "true", False: "false"}


def text(value: object) -> str:
    """Print a JSON value as Java's ``toString`` would, secrets masked."""
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, float):
        return double(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_member(key, item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(text(item) for item in value) + "]"
    return str(value)


def _member(key: object, value: object) -> str:
    return MASK if key in SECRET_SETTINGS else text(value)


def double(value: float) -> str:
    """Print a float64 as ``Double.toString`` does: ``9.0``, ``1.0E7``."""
    return _notation(repr(value), _SMALLEST_DOUBLE)


def class_name(value: object) -> str:
    """Name the Java class that Jackson reads a JSON value into."""
    if type(value) is int:
        if -(2**31) <= value < 2**31:
            return "java.lang.Integer"
        return "java.lang.Long" if -(2**63) <= value < 2**63 else "java.math.BigInteger"
    kinds = (kind for kind in _CLASS_NAMES if isinstance(value, kind))
    return _CLASS_NAMES[next(kinds)]


_CLASS_NAMES: Mapping[type, str] = {
    bool: "java.lang.Boolean",
    float: "java.lang.Double",
    str: "java.lang.String",
    dict: "java.util.HashMap",
    list: "java.util.ArrayList",
}


_EXPONENT = re.compile(rb"[0-9.]+e-[0-9]+")
_PLAIN_LIMIT = 1e7


def float_array(values: NDArray[float32]) -> bytes:
    """Print float32 values as a JSON array, each as ``Float.toString`` prints it.

    Shortest digits that give the same float32; an exponent below 1e-3 and from
    1e7 on (``5.0E-4``); Jackson quotes what is not finite. One or two
    dimensions, nested as they are.
    """
    if not _is_plain(values):
        return _print_each(values)
    return _print(values)


def float_arrays(rows: Iterable[NDArray[float32]]) -> list[bytes]:
    """The same for each of several arrays; of a matrix, for each row."""
    if getattr(rows, "ndim", 0) == 2 and _is_plain(cast("NDArray[float32]", rows)):
        return [_print(row) for row in rows]
    return [float_array(row) for row in rows]


def _is_plain(values: NDArray[float32]) -> bool:
    """Whether no value needs an exponent for its size, or quotes."""
    return not values.size or float(abs(values).max()) < _PLAIN_LIMIT


def _print(values: NDArray[float32]) -> bytes:
    numbers = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    if _BELOW_A_THOUSANDTH in numbers:
        numbers = _with_exponents(numbers)
    if b"e" in numbers:
        numbers = _EXPONENT.sub(_rewrite, numbers)
    return numbers


_BELOW_A_THOUSANDTH = b"0.000"


def _with_exponents(numbers: bytes) -> bytes:
    """``0.00012`` as ``1.2E-4``, wherever a number begins so."""
    first, *others = numbers.split(_BELOW_A_THOUSANDTH)
    written = [first]
    before = first
    for rest in others:
        if before[-1:].isdigit():  # within a number, as in 10.0001
            written += (_BELOW_A_THOUSANDTH, rest)
        else:
            fraction = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
            digits = fraction.lstrip(b"0")
            exponent = 4 + len(fraction) - len(digits)
            written.append(b"%c.%bE-%d" % (digits[0], digits[1:] or b"0", exponent))
            written.append(rest[len(fraction) :])
        before = rest
    return b"".join(written)


def _print_each(values: NDArray[float32]) -> bytes:
    if values.ndim > 1:
        return b"[" + b",".join(_print_each(row) for row in values) + b"]"
    return b"[" + ",".join(_float(value) for value in values).encode("ascii") + b"]"


def _float(value: float32) -> str:
    printed = _notation(str(value), _SMALLEST_FLOAT)
    return printed if isfinite(value) else f'"{printed}"'


def _rewrite(match: re.Match[bytes]) -> bytes:
    return _notation(match[0].decode("ascii"), _SMALLEST_FLOAT).encode("ascii")


_SMALLEST_FLOAT = 2.0**-149
_SMALLEST_DOUBLE = 2.0**-1074


def _notation(shortest: str, smallest: float) -> str:
    """Put shortest round-trip digits into Java's notation.

    Where one digit would do, Java takes the nearest two that read back the same; they
    differ for the first hundred multiples of the type's ``smallest`` number only.
    """
    if shortest in ("inf", "-inf", "nan"):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[shortest]
    sign = "-" if shortest.startswith("-") else ""
    mantissa, _, exponent = shortest.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0.0"
    leading = len(whole + fraction) - len(digits)
    power = int(exponent or 0) + len(whole) - leading - 1
    digits = digits.rstrip("0")
    steps = float(shortest.lstrip("-")) / smallest
    if len(digits) == 1 and steps < 100:
        return sign + f"{round(steps) * smallest:.1e}".upper()
    if -3 <= power < 7:
        return sign + _plain(digits, power)
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{power}"


def _plain(digits: str, power: int) -> str:
    if power < 0:
        return "0." + "0" * (-power - 1) + digits
    whole, fraction = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return f"{whole}.{fraction or '0'}"


def hash_map_order(keys: Collection[str]) -> list[str]:
    """Order keys as a HashMap copied from a parsed HashMap iterates (JDK 19 and later).

    By bucket of the copy; within one, by bucket of the parsed map, which has 16 at least.
    """
    copied = (1 << (ceil(len(keys) / 0.75) - 1).bit_length()) - 1
    parsed = max(copied, 15)
    hashes = {key: _spread_hash(key) for key in keys}
    return sorted(keys, key=lambda key: (hashes[key] & copied, hashes[key] & parsed))


def _spread_hash(key: str) -> int:
    code = 0
    for unit in memoryview(key.encode("utf-16-le", "surrogatepass")).cast("H"):
        code = (31 * code + unit) & 0xFFFFFFFF
    return code ^ (code >> 16)
