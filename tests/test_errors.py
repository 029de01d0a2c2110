"""The tree of errors that is drawn at the top of the module is the tree of its classes."""

from __future__ import annotations

import inspect
import re

from esinfer import errors

DRAWN = re.compile(r"^[│ ├└─]*((?:[A-Z][A-Za-z]+(?:, )?)+)(?: {2,}.*)?$")


def classes() -> dict[str, type[BaseException]]:
    members = inspect.getmembers(errors, inspect.isclass)
    return {
        name: kind
        for name, kind in members
        if issubclass(kind, BaseException) and kind.__module__ == errors.__name__
    }


def drawn() -> set[str]:
    tree = (errors.__doc__ or "").partition("The tree")[2].partition("Of a drawn class")[0]
    found = (DRAWN.match(line) for line in tree.splitlines())
    return {name for match in found if match for name in match[1].split(", ")}


def test_every_drawn_class_is_there() -> None:
    assert drawn() - classes().keys() == set()


def test_every_class_with_a_type_of_its_own_is_drawn() -> None:
    own = {name for name, kind in classes().items() if "type" in vars(kind)}
    assert own - drawn() == set()
