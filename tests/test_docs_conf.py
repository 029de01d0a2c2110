"""``conf/esinfer.toml`` documents every setting, and nothing else, truthfully."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

from esinfer.config import SETTINGS, Config, load

CONF = Path(__file__).parent.parent / "conf" / "esinfer.toml"


def test_the_file_has_every_setting_in_the_declared_order_and_no_other() -> None:
    document = tomllib.loads(CONF.read_text())
    written = [(section, key) for section, table in document.items() for key in table]
    declared = [(section, key) for section, settings in SETTINGS.items() for key in settings]
    assert written == declared


def test_every_value_in_the_file_is_the_default() -> None:
    config = load(CONF, {}, [])
    for section, settings in SETTINGS.items():
        for key in settings:
            written = getattr(getattr(config, section), key)
            assert written == getattr(getattr(Config(), section), key), f"{section}.{key}"


def test_above_each_key_stands_its_comment() -> None:
    lines = CONF.read_text().splitlines()
    comments = {}
    for above, line in itertools.pairwise(lines):
        if line.startswith("["):
            section = line.strip("[]")
            assert above.startswith("# ")
        elif " = " in line and not line.startswith("#"):
            comments[section, line.partition(" = ")[0]] = above
    assert comments == {
        (section, key): f"# {setting.comment}"
        for section, settings in SETTINGS.items()
        for key, setting in settings.items()
    }
