"""Bodies as they are shown to whoever reads the journal: values or texts, and no key among them.

What a client sends may have its key under a misspelt name, or break off behind
it. So every member whose name bears a key is masked; of a text, whose values
cannot be told apart, nothing is shown behind such a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Final

import orjson

from esinfer.errors import XContentParseError
from esinfer.json_reader import NOTHING, read_first_value
from esinfer.masking import MASK, Kept, bears_key, is_api_key, secrets_in, shown_url, without
from esinfer.yaml_reader import read_yaml

_MOST_KEYS: Final = 100
"""Of one body; each is looked for in all that is shown of the request."""
_MAX_DEPTH: Final = 100
"""What is nested deeper is shown as text: no answer can be nested as deep as a request."""
_NUMBERS: Final = frozenset({int, float})
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S*", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"://[^\s\"']*")
_NAME: Final = re.compile(r"""(?<![\w.-])[\w.-]++(?=["'\s\\]*+[:=/#])""")
"""A name in JSON, YAML or a form: a colon, an equals sign or a comment follows."""
_WORD: Final = re.compile(r"""[^\s"'\\,{}\[\]:=]+""")
_LONGEST_VALUE: Final = 1000
_ESCAPE: Final = re.compile(r"\\(?:u00|x)([0-7][0-9A-Fa-f])")


class _TooDeep(Exception):
    """The value is nested deeper than is shown."""


def read(kept: Kept, *, is_yaml: bool = False) -> object:
    """The object or list as which a body is shown; ``NOTHING`` if it is shown as a text."""
    if kept.is_cut:
        return NOTHING
    try:
        if not is_yaml:
            return orjson.loads(kept.data)
        value = read_yaml(kept.data)
    except (XContentParseError, orjson.JSONDecodeError):
        return NOTHING
    return value if isinstance(value, dict | list) else NOTHING  # any text is YAML


def find_keys(kept: Kept, value: object) -> Iterator[str]:
    """The keys in the body of a client's request that was ``read`` as this value."""
    if value is NOTHING and not kept.is_cut:
        value = _first_value(kept.data)
    found = _keys_in_text(kept.data) if value is NOTHING else _keys_in(value)
    return islice(found, _MOST_KEYS)


def _first_value(data: bytes) -> object:
    """What the server reads where there are comments, or more behind the value."""
    try:
        return read_first_value(data)
    except XContentParseError:
        return NOTHING


def _keys_in(document: object) -> Iterator[str]:
    waiting = [(document, False)]
    while waiting:
        value, is_key = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((each, is_key or bears_key(name)) for name, each in value.items())
        elif isinstance(value, list):
            waiting.extend((each, is_key) for each in value)
        elif is_key:
            yield str(value)
        elif isinstance(value, str) and "://" in value:
            yield from secrets_in(value)


def _keys_in_text(data: bytes) -> Iterator[str]:
    """The words between the name of a key and the next name, and what urls hold."""
    plain = _unescaped(data.decode("utf-8", "replace"))
    names = [(found.start(), found.end(), found[0]) for found in _NAME.finditer(plain)]
    for (_, end, name), (following, _, _) in pairwise([*names, (len(plain), 0, "")]):
        if bears_key(name):
            yield from _WORD.findall(plain[end : min(following, end + _LONGEST_VALUE)])
    for address in _ADDRESS.findall(plain):
        yield from secrets_in(address)


def request_to_wire(kept: Kept, secrets: Sequence[str], value: object) -> dict[str, object]:
    """The body of a request, which was ``read`` as this value."""
    return _to_wire(kept, value, secrets, bears_key, _before_keys)


def answer_to_wire(kept: Kept, secrets: Sequence[str]) -> dict[str, object]:
    """The body of an answer, in which a ``token`` is a word of a model."""
    return _to_wire(kept, read(kept), secrets, is_api_key, str)


def _to_wire(
    kept: Kept,
    value: object,
    secrets: Sequence[str],
    bears: Callable[[str], bool],
    shorten: Callable[[str], str],
) -> dict[str, object]:
    """The body as a JSON value where it is one; marked if it is not all there."""
    if not kept.size:
        return {"body": None}
    if value is not NOTHING:
        try:
            return {"body": _masked(value, secrets, bears, _MAX_DEPTH)}
        except _TooDeep:
            pass
    cut = {"body_size": kept.size, "truncated": True} if kept.is_cut else {}
    return {"body": shorten(kept.text(secrets)), **cut}


def _masked(
    value: object, secrets: Sequence[str], bears: Callable[[str], bool], room: int
) -> object:
    if isinstance(value, str):
        return shown_url(value, secrets) if _URL.fullmatch(value) else without(value, secrets)
    if not isinstance(value, dict | list):
        return value
    if not room:
        raise _TooDeep
    if isinstance(value, dict):
        return {
            without(name, secrets): MASK if bears(name) else _masked(each, secrets, bears, room - 1)
            for name, each in value.items()
        }
    if _NUMBERS.issuperset(map(type, value)):
        return value
    return [_masked(each, secrets, bears, room - 1) for each in value]


def _before_keys(text: str) -> str:
    """The text up to the first name of a key."""
    plain = _unescaped(text)
    ends = (found.end() for found in _NAME.finditer(plain) if bears_key(found[0]))
    end = next(ends, None)
    return text if end is None else plain[:end] + MASK


def _unescaped(text: str) -> str:
    """The text with those letters written out that a name can be made of."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
