r"""The names after ``\p`` in a Java regex, as sets.

General categories, POSIX classes, ``java…`` methods, binary properties, scripts and
blocks: each name as java.util.regex.CharPredicates knows it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from esinfer.chunking.java_chars import Flag, Set

_CATEGORIES = frozenset(
    f"{group}{kind}"
    for group, kinds in {
        "L": "ultmo",
        "M": "nec",
        "N": "dlo",
        "Z": "slp",
        "C": "cfosn",
        "P": "dsecoif",
        "S": "mcko",
    }.items()
    for kind in ("", *kinds)
)
_CASED = r"\p{Lu}\p{Ll}\p{Lt}"
_ANY_CASE = r"\p{Lowercase}\p{Uppercase}\p{Lt}"
_IGNORABLE = r"\x00-\x08\x0e-\x1b\x7f-\x9f\p{Cf}"
_START = r"\p{L}\p{Nl}\p{Sc}\p{Pc}"

_SETS = {
    "LC": _CASED,
    "LD": r"\p{L}\p{Nd}",
    "L1": r"\x00-\xff",
    "all": r"\x00-\U0010ffff",
    "ASCII": r"\x00-\x7f",
    "Alnum": "0-9A-Za-z",
    "Alpha": "A-Za-z",
    "Blank": r"\t\x20",
    "Cntrl": r"\x00-\x1f\x7f",
    "Digit": "0-9",
    "Graph": r"\x21-\x7e",
    "Lower": "a-z",
    "Print": r"\x20-\x7e",
    "Punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "Space": r"\t-\r\x20",
    "Upper": "A-Z",
    "XDigit": "0-9A-Fa-f",
    "javaLowerCase": r"\p{Lowercase}",
    "javaUpperCase": r"\p{Uppercase}",
    "javaAlphabetic": r"\p{Alphabetic}",
    "javaIdeographic": r"\p{Ideographic}",
    "javaTitleCase": r"\p{Lt}",
    "javaDigit": r"\p{Nd}",
    "javaDefined": r"\P{Cn}",
    "javaLetter": r"\p{L}",
    "javaLetterOrDigit": r"\p{L}\p{Nd}",
    "javaJavaIdentifierStart": _START,
    "javaJavaIdentifierPart": rf"{_START}\p{{Nd}}\p{{Mn}}\p{{Mc}}{_IGNORABLE}",
    "javaUnicodeIdentifierStart": r"\p{ID_Start}\u2e2f",
    "javaUnicodeIdentifierPart": rf"\p{{ID_Continue}}\u2e2f{_IGNORABLE}",
    "javaIdentifierIgnorable": _IGNORABLE,
    "javaSpaceChar": r"\p{Z}",
    "javaWhitespace": r"[\p{Z}&&[^\xa0\u2007\u202f]]\t-\r\x1c-\x1f",
    "javaISOControl": r"\x00-\x1f\x7f-\x9f",
    "javaMirrored": r"\p{Bidi_Mirrored}",
}
_SETS_IN_ANY_CASE = {
    "Lu": _CASED,
    "Ll": _CASED,
    "Lt": _CASED,
    "Lower": "A-Za-z",
    "Upper": "A-Za-z",
    "javaLowerCase": _ANY_CASE,
    "javaUpperCase": _ANY_CASE,
    "javaTitleCase": _ANY_CASE,
}
_GRAPH = r"[^\p{Z}\p{Cc}\p{Cs}\p{Cn}]"
_UNICODE_SETS = {
    "ALPHA": r"\p{Alphabetic}",
    "LOWER": r"\p{Lowercase}",
    "UPPER": r"\p{Uppercase}",
    "SPACE": r"\p{Z}\t-\r\x85",
    "PUNCT": r"\p{P}",
    "XDIGIT": r"\p{Nd}A-Fa-f\uff10-\uff19\uff21-\uff26\uff41-\uff46",
    "ALNUM": r"\p{Alphabetic}\p{Nd}",
    "CNTRL": r"\p{Cc}",
    "DIGIT": r"\p{Nd}",
    "BLANK": r"\p{Zs}\t",
    "GRAPH": _GRAPH,
    "PRINT": rf"[[{_GRAPH}\p{{Zs}}]&&[^\p{{Cc}}]]",
}
_BINARY_SETS = {
    "ALPHABETIC": r"\p{Alphabetic}",
    "ASSIGNED": r"\P{Cn}",
    "CONTROL": r"\p{Cc}",
    "EMOJI": r"\p{Emoji}",
    "EMOJI_PRESENTATION": r"\p{Emoji_Presentation}",
    "EMOJI_MODIFIER": r"\p{Emoji_Modifier}",
    "EMOJI_MODIFIER_BASE": r"\p{Emoji_Modifier_Base}",
    "EMOJI_COMPONENT": r"\p{Emoji_Component}",
    "EXTENDED_PICTOGRAPHIC": r"\p{Extended_Pictographic}",
    "HEXDIGIT": _UNICODE_SETS["XDIGIT"],
    "HEX_DIGIT": _UNICODE_SETS["XDIGIT"],
    "IDEOGRAPHIC": r"\p{Ideographic}",
    "JOINCONTROL": r"\u200c\u200d",
    "JOIN_CONTROL": r"\u200c\u200d",
    "LETTER": r"\p{L}",
    "LOWERCASE": r"\p{Lowercase}",
    "NONCHARACTERCODEPOINT": r"\p{Noncharacter_Code_Point}",
    "NONCHARACTER_CODE_POINT": r"\p{Noncharacter_Code_Point}",
    "TITLECASE": r"\p{Lt}",
    "PUNCTUATION": r"\p{P}",
    "UPPERCASE": r"\p{Uppercase}",
    "WHITESPACE": r"\p{Z}\t-\r\x85",
    "WHITE_SPACE": r"\p{Z}\t-\r\x85",
    "WORD": r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d",
}
_VALUES = {"sc": r"[A-Za-z]+(?:_[A-Za-z]+)*", "blk": r"[A-Za-z][A-Za-z0-9_-]*(?: [A-Za-z0-9_-]+)*"}
_IN_ANY_CASE = frozenset({"LOWER", "UPPER", "LOWERCASE", "UPPERCASE", "TITLECASE"})


def named_set(name: str, flags: Flag) -> Set | None:
    r"""The set of ``\p{name}``; None if Java knows no such name."""
    if name.startswith("In"):
        return _value_set("blk", name[2:])
    if name.startswith("Is"):
        short = name[2:]
        found = _unicode_set(short, _BINARY_SETS | _UNICODE_SETS, flags)
        return found or _property(short, flags) or _value_set("sc", short)
    if Flag.UNICODE_CLASS in flags:
        return _unicode_set(name, _UNICODE_SETS, flags) or _property(name, flags)
    return _property(name, flags)


def valued_set(key: str, value: str, flags: Flag) -> Set | None:
    r"""The set of ``\p{key=value}``; None if Java knows no such key or value."""
    if key in ("gc", "general_category"):
        return _property(value, flags)
    if key in ("sc", "script"):
        return _value_set("sc", value)
    return _value_set("blk", value) if key in ("blk", "block") else None


def _property(name: str, flags: Flag) -> Set | None:
    if Flag.IGNORE_CASE in flags and name in _SETS_IN_ANY_CASE:
        return Set(_SETS_IN_ANY_CASE[name])
    if name in _CATEGORIES:
        return Set(f"\\p{{gc={name}}}")
    return Set(_SETS[name]) if name in _SETS else None


def _unicode_set(name: str, sets: dict[str, str], flags: Flag) -> Set | None:
    upper = name.upper()
    if Flag.IGNORE_CASE in flags and upper in _IN_ANY_CASE:
        return Set(_ANY_CASE) if upper in sets else None
    return Set(sets[upper]) if upper in sets else None


@lru_cache(maxsize=64)
def _value_set(key: str, value: str) -> Set | None:
    import regex  # noqa: PLC0415 - start-up does not pay for it

    if not re.fullmatch(_VALUES[key], value):
        return None
    members = f"\\p{{{key}={value}}}"
    try:
        regex.compile(members, regex.VERSION1)
    except regex.error:
        return None
    return Set(members)
