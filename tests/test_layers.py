"""The order of the layers, read from the imports in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import esinfer

ROOT = Path(esinfer.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

LAYERS = (
    ("errors",),
    (
        "java",
        "similar",
        "units",
        "json_schema",
        "json_scanner",
        "sse",
        "logs",
        "threads",
        "unread",
        "masking",
        "waits",
        "tls",
        "addresses",
        "readiness",
        "stopping",
        "ports",
        "private_file",
        "progress",
        "transfer",
        "wildcards",
    ),
    ("clock", "connection"),
    ("json_decoder", "remote", "descriptors", "listening"),
    ("json_reader", "setting", "remote_options"),
    ("server_sections", "mock_sections", "endpoints_import"),
    ("config", "seed_file", "server_options"),
    ("object_parser", "map_fields", "yaml_reader"),
    ("nested_parser", "shown_bodies"),
    ("tasks", "chat", "rerank"),
    ("merging",),
    ("chunking",),
    ("endpoints", "region_policy", "security"),
    ("limits", "upstream", "stores"),
    ("metrics",),
    ("services",),
    ("attempts",),
    ("journal",),
    ("inference",),
    ("lifecycle", "chunked"),
    ("mocking",),
    ("namespaces",),
    ("api",),
    ("serving", "seeds", "twin", "replay"),
    ("parts",),
    ("app", "workers", "refusals"),
    (
        "chunk_command",
        "hash_command",
        "worker_command",
        "endpoints_command",
        "demo",
        "testing",
    ),
    ("cli", "pytest_plugin"),
    ("__main__", "container_health"),
)
"""From the bottom up; a module imports from the layers below its own, or from its own package."""

RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def parts(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).with_suffix("").parts


def module_name(path: Path) -> str:
    return ".".join(parts(path))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[tuple[str, ...]]:
    """The parts of each of esinfer's own names that a file imports, the package left out."""
    split = (tuple(name.split(".")) for name in imported(path))
    return {name[1:] for name in split if name[0] == "esinfer" and name[1:]}


def top_level(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_module_imports_only_from_below_or_from_its_own_package(path: Path) -> None:
    package, *_ = parts(path)
    if package == "__init__":
        assert not ours(path)
        return
    assert package in RANKS, f"{package} has no layer yet"
    for name, *_ in ours(path):
        if name not in (package, "__version__"):
            assert RANKS[name] < RANKS[package], f"{module_name(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_configuration_and_twin_are_known_to_those_who_join_the_parts(path: Path) -> None:
    joining = ("app", "parts", "cli", "refusals", "worker_command")
    if module_name(path) not in joining and parts(path)[0] != "testing":
        foreign = {name for name, *_ in ours(path)} - {parts(path)[0]}
        assert not foreign & {"config", "twin"}


CONTROL = {
    "errors",
    "json_reader",
    "json_schema",
    "nested_parser",
    "object_parser",
    "similar",
    "units",
}
"""What reads the bodies of the twin's control plane, and words its refusals."""

JOINTS = {
    "twin.transport": {"errors", "tasks", "threads", "upstream"},
    "twin.protocol": {"connection"},
    "twin.app": {"threads"},
    "twin.admin": CONTROL | {"threads"},
    "twin.exchange_log": {"masking"},
    "twin.upstreams": {"wildcards"},
    "twin.control": CONTROL,
    "twin.fields": CONTROL,
    "twin.faults.kinds": CONTROL,
    "twin.pins.control": CONTROL,
    "twin.stubs.control": CONTROL,
    "twin.stubs.parser": CONTROL,
    "twin.faults.latency": {"errors"},
}
"""Where the twin touches the rest."""


@pytest.mark.parametrize("path", sorted(ROOT.glob("twin/**/*.py")), ids=module_name)
def test_twin_stands_alone_but_for_its_joints(path: Path) -> None:
    assert {name for name, *_ in ours(path)} <= JOINTS.get(module_name(path), set()) | {"twin"}


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("services/*.py"), *ROOT.glob("chunking/*.py")]), ids=module_name
)
def test_providers_and_chunking_do_no_io(path: Path) -> None:
    doing_io = {"aiohttp", "asyncio", "http.client", "socket", "ssl", "urllib", "threading"}
    assert not top_level(path) & doing_io


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_name_says_what_is_inside(path: Path) -> None:
    empty_words = {"utils", "util", "helpers", "helper", "common", "constants", "misc"}
    assert not set(parts(path)) & empty_words


@pytest.mark.parametrize("path", sorted(ROOT.rglob("__init__.py")), ids=module_name)
def test_package_file_holds_no_logic(path: Path) -> None:
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        names = isinstance(statement, ast.ImportFrom | ast.Import)
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        value = isinstance(statement, ast.Assign) and isinstance(
            statement.value, ast.Constant | ast.List | ast.Tuple
        )
        assert names or text or value, ast.unparse(statement)
