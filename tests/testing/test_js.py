"""The JavaScript module is shipped, and whole; that it works `make test-kit-js` shows."""

from __future__ import annotations

import json
from configparser import ConfigParser
from pathlib import Path

import esinfer

PACKAGE = Path(esinfer.__file__).parent
MODULE = PACKAGE / "testing" / "js"
DESCRIPTION = json.loads((MODULE / "package.json").read_text(encoding="utf-8"))


def in_module() -> set[Path]:
    return {path for path in MODULE.rglob("*") if path.is_file()}


def test_the_wheel_has_all_files_of_the_module() -> None:
    setup = ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["esinfer.testing.js"].split()
    shipped = {path for pattern in patterns for path in MODULE.glob(pattern)}
    assert in_module() <= shipped


def test_what_the_module_exports_is_there() -> None:
    exports = DESCRIPTION["exports"].values()
    paths = {path for one in exports for path in (one.values() if isinstance(one, dict) else [one])}
    assert {MODULE / path for path in paths} <= in_module()


def test_the_module_has_the_version_of_esinfer() -> None:
    assert DESCRIPTION["version"] == esinfer.__version__


def test_the_module_depends_on_nothing() -> None:
    assert not {name for name in DESCRIPTION if name.lower().endswith("dependencies")}
