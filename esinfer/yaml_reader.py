"""YAML as Elasticsearch's bodies may be in it: from bytes to the value that JSON would hold.

Source: rest.md sections 7.6 and 7.7.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import orjson

from esinfer.errors import XContentParseError
from esinfer.json_reader import NOTHING

_MAX_DEPTH: Final = 100


def read_yaml(data: bytes) -> object:
    """The first value of a body, or ``NOTHING``; raises XContentParseError."""
    import yaml  # noqa: PLC0415 - rarely sent, and not at start-up

    loader = _loader()
    try:
        if not _check_plain(data, loader):
            return NOTHING
        value = yaml.load(data, loader)  # noqa: S506 - it is a safe one
        return orjson.loads(orjson.dumps(value))  # dates become texts
    except Exception as error:  # noqa: BLE001 - PyYAML leaves those of int() and others as they are
        mark = getattr(error, "problem_mark", None)
        raise XContentParseError(
            line=mark.line + 1 if mark else 1,
            column=mark.column + 1 if mark else 1,
            problem=getattr(error, "problem", None) or "The body is no YAML that JSON can hold",
        ) from None  # what int() could not read may be a key


@cache
def _loader() -> Any:
    """PyYAML's safe one, but that ``1:20`` is a text, as it is to Jackson.

    PyYAML reads it to the base of 60, in a time that grows with the square of its length.
    """
    import yaml  # noqa: PLC0415 - as above

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("Loader", (base,), {})
    for tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        loader.add_constructor(tag, partial(_read_number, base.yaml_constructors[tag]))
    return loader


def _read_number(construct: Callable[[Any, Any], object], loader: Any, node: Any) -> object:
    text = loader.construct_scalar(node)
    return text if ":" in text else construct(loader, node)


def _check_plain(data: bytes, loader: Any) -> bool:
    """Refuse aliases, a few of which can stand for gigabytes, and what is nested very deep.

    Tells whether there is a document.
    """
    import yaml  # noqa: PLC0415 - as above

    depth = documents = 0
    for event in yaml.parse(data, loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > _MAX_DEPTH:
            raise yaml.YAMLError("no plain YAML")
        documents += isinstance(event, yaml.DocumentStartEvent)
    return documents > 0
