"""Bodies as they are shown to whoever reads the journal: values or texts, and no key among them.

What a client sends may have its key under a misspelt name, break off behind it,
or be encoded twice. So every member whose name bears a key is masked; of a text,
whose values cannot be told apart, nothing is shown behind such a name, and the
strings of a value are texts too. What a model is to read may speak of passwords
and tokens: there only ``api_key`` is such a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

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
_NAME: Final = re.compile(r"[\w.-]++")
"""What may be a name, whatever follows it."""
_FIELD: Final = re.compile(r"""(?<![\w.-])[\w.-]++(?=["'\s\\]*+[:=/#])""")
"""A name in JSON, YAML or a form: a colon, an equals sign or a comment follows."""
_WORD: Final = re.compile(r"""[^\s"'\\,{}\[\]:=]+""")
_LONGEST_VALUE: Final = 1000
_ESCAPE: Final = re.compile(r"(?<!\\)\\++(?:u00|x)([0-7][0-9A-Fa-f])")
_READ_BY_MODELS: Final = frozenset(
    {"input", "inputs", "query", "text", "texts", "content", "prompt", "documents"}
)


class _Names(NamedTuple):
    """Which names bear a key: those of members, and words of a text."""

    of_members: Callable[[str], bool]
    in_texts: Callable[[str], bool]

    def below(self, name: object) -> _Names:
        """Those in the member of this name."""
        return _OF_INPUTS if self is _OF_REQUESTS and name in _READ_BY_MODELS else self


_OF_REQUESTS: Final = _Names(bears_key, bears_key)
_OF_INPUTS: Final = _Names(bears_key, is_api_key)
_OF_ANSWERS: Final = _Names(is_api_key, lambda _word: False)
"""In an answer a ``token`` is a word of a model, and an error may name ``api_key``."""


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
    if value is NOTHING:
        found = _keys_in_text(kept.data.decode("utf-8", "replace"), _OF_REQUESTS)
    else:
        found = _keys_in(value)
    return islice(found, _MOST_KEYS)


def _first_value(data: bytes) -> object:
    """What the server reads where there are comments, or more behind the value."""
    try:
        return read_first_value(data)
    except XContentParseError:
        return NOTHING


def _keys_in(document: object) -> Iterator[str]:
    waiting = [(document, False, _OF_REQUESTS)]
    while waiting:
        value, is_key, names = waiting.pop()
        if isinstance(value, dict):
            yield from _bare_keys(value, names)
            waiting.extend((name, is_key, names) for name in value)
            for name, each in value.items():
                waiting.append((each, is_key or names.of_members(name), names.below(name)))
        elif isinstance(value, list):
            marked = _marked(value, names)
            waiting.extend((each, is_key or behind, names) for each, behind in marked)
        elif is_key:
            yield str(value)
        elif isinstance(value, str):
            yield from _keys_in_text(value, names)


def _bare_keys(value: dict[str, object], names: _Names) -> frozenset[str]:
    """What stands behind the name of a key where none has a value: YAML's ``{api_key, key}``."""
    bare = [name for name, each in value.items() if each is None]
    bearing = (at for at, name in enumerate(bare, 1) if names.of_members(name))
    return frozenset(bare[next(bearing, len(bare)) :])


def _marked(value: list[object], names: _Names) -> Iterator[tuple[object, bool]]:
    """Each, and whether it stands behind the name of a key."""
    behind = False
    for each in value:
        yield each, behind
        behind = behind or (isinstance(each, str) and any(_ends(_unescaped(each), names)))


def _keys_in_text(text: str, names: _Names) -> Iterator[str]:
    """The words between the name of a key and the next name, and what urls hold."""
    if not _URL.fullmatch(text):
        plain = _unescaped(text)
        for end in _ends(plain, names):
            yield from _words_behind(plain, end)
    for address in _ADDRESS.findall(text):
        yield from secrets_in(address)


def _ends(text: str, names: _Names) -> Iterator[int]:
    """Where the names of keys end."""
    return (found.end() for found in _NAME.finditer(text) if names.in_texts(found[0]))


def _words_behind(text: str, start: int) -> Iterator[str]:
    end = start + _LONGEST_VALUE
    first = _WORD.search(text, start, end)
    if first:
        yield first[0]
        field = _FIELD.search(text, first.end(), end)
        yield from _WORD.findall(text, first.end(), field.start() if field else end)


def request_to_wire(kept: Kept, secrets: Sequence[str], value: object) -> dict[str, object]:
    """The body of a request, which was ``read`` as this value."""
    return _to_wire(kept, value, secrets, _OF_REQUESTS)


def answer_to_wire(kept: Kept, secrets: Sequence[str]) -> dict[str, object]:
    """The body of an answer."""
    return _to_wire(kept, read(kept), secrets, _OF_ANSWERS)


def _to_wire(kept: Kept, value: object, secrets: Sequence[str], names: _Names) -> dict[str, object]:
    """The body as a JSON value where it is one; marked if it is not all there."""
    if not kept.size:
        return {"body": None}
    if value is not NOTHING:
        try:
            return {"body": _masked(value, secrets, names, _MAX_DEPTH)}
        except _TooDeep:
            pass
    cut = {"body_size": kept.size, "truncated": True} if kept.is_cut else {}
    if b"\0" in kept.data:  # letters of two bytes, among which no name is found
        return {"body": MASK, **cut}
    return {"body": _before_keys(kept.text(secrets), names), **cut}


def _masked(value: object, secrets: Sequence[str], names: _Names, room: int) -> object:
    if isinstance(value, str):
        return _masked_text(value, secrets, names)
    if not isinstance(value, dict | list):
        return value
    if not room:
        raise _TooDeep
    if isinstance(value, dict):
        return _masked_members(value, secrets, names, room)
    if _NUMBERS.issuperset(map(type, value)):
        return value
    return [
        MASK if behind else _masked(each, secrets, names, room - 1)
        for each, behind in _marked(value, names)
    ]


def _masked_members(
    value: dict[str, object], secrets: Sequence[str], names: _Names, room: int
) -> dict[str, object]:
    bare = _bare_keys(value, names)
    return {
        MASK if name in bare else _before_keys(without(name, secrets), names): (
            MASK if names.of_members(name) else _masked(each, secrets, names.below(name), room - 1)
        )
        for name, each in value.items()
    }


def _masked_text(text: str, secrets: Sequence[str], names: _Names) -> str:
    if _URL.fullmatch(text):
        return shown_url(text, secrets)
    return _before_keys(without(text, secrets), names)


def _before_keys(text: str, names: _Names) -> str:
    """The text up to the first name of a key."""
    plain = _unescaped(text)
    end = next(_ends(plain, names), len(plain))
    return text if end == len(plain) else plain[:end] + MASK


def _unescaped(text: str) -> str:
    """The text with those letters written out that a name can be made of."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
