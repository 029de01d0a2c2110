"""Sets and shows the stubs of one twin, as JSON values; ElasticsearchErrors say what is wrong."""

from __future__ import annotations

import re
from typing import Final

import orjson

from esinfer.errors import IllegalArgument, ResourceNotFound
from esinfer.object_parser import Text
from esinfer.twin.stubs.parser import load_stub
from esinfer.twin.stubs.shelf import MOST_STUBS, Stubs
from esinfer.twin.stubs.stub import Stub

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)


class StubNotFound(ResourceNotFound):
    template = "Stub not found [{name}]"


class StubControl:
    """The stubs of ``stubs``, named by whoever sets them or by a number."""

    def __init__(self, stubs: Stubs) -> None:
        self._stubs = stubs

    def load(self, name: str | None, value: object, text: Text) -> Stub:
        """The stub in a body; changes nothing. Without a ``name`` it is to be given one."""
        if name is not None and (not _NAME.fullmatch(name) or len(name) > 255):
            raise IllegalArgument(
                reason=f"Invalid stub name [{name}], expected letters, digits, [-], [_] and [.],"
                " with a letter or digit at both ends"
            )
        return load_stub(value, text)

    def put(self, name: str | None, stub: Stub) -> dict[str, object]:
        """Set a stub; it comes before those that are there, and counts anew."""
        if name not in self._stubs and len(self._stubs) >= MOST_STUBS:
            raise IllegalArgument(reason=f"There are [{MOST_STUBS}] stubs already")
        return self._stubs.put(name or self._stubs.free_name(), stub).to_wire()

    def define(self, value: object, name: str | None = None) -> dict[str, object]:
        """``load`` and ``put`` in one, for callers in Python."""
        return self.put(name, self.load(name, value, lambda: orjson.dumps(value)))

    def show(self, name: str) -> dict[str, object]:
        """One stub, with its counts."""
        try:
            return self._stubs.get(name).to_wire()
        except KeyError as error:
            raise StubNotFound(name=name) from error

    def show_all(self) -> dict[str, object]:
        """All stubs, the one put first first."""
        return {"stubs": [armed.to_wire() for armed in self._stubs]}

    def delete(self, name: str) -> None:
        """Remove a stub."""
        try:
            self._stubs.delete(name)
        except KeyError as error:
            raise StubNotFound(name=name) from error

    def delete_all(self) -> None:
        """Remove all of them."""
        self._stubs.clear()
