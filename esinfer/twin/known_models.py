"""The models that Elastic's documentation recommends, and what sets them apart.

Source: upstream.md section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model: its name, the length of its vectors, and the most tokens that it takes.

    ``prompts`` are what texts of a kind begin with, by the name of the kind.
    """

    name: str
    dimensions: int = 384
    max_input_length: int = 512
    pooling: str = "mean"
    prompts: Mapping[str, str] = field(default_factory=dict)


DEFAULT_MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"

_E5: Final[Mapping[str, str]] = {"query": "query: ", "passage": "passage: "}
"""The prefixes of the models' cards, as prompts that ``prompt_name`` can name."""

MODELS: Final[Mapping[str, Model]] = {
    model.name: model
    for model in (
        Model(name=DEFAULT_MODEL, max_input_length=256),
        Model(name="sentence-transformers/all-MiniLM-L12-v2", max_input_length=128),
        Model(name="sentence-transformers/all-mpnet-base-v2", dimensions=768, max_input_length=384),
        Model(name="intfloat/e5-base-v2", dimensions=768, prompts=_E5),
        Model(name="intfloat/e5-small-v2", prompts=_E5),
        Model(name="intfloat/multilingual-e5-base", dimensions=768, prompts=_E5),
        Model(name="intfloat/multilingual-e5-small", prompts=_E5),
    )
}


def model_named(name: str, dimensions: int | None = None) -> Model:
    """The model of that name, with vectors of ``dimensions`` if these are given.

    A model that is not known has 384 dimensions and takes 512 tokens.
    """
    model = MODELS.get(name) or Model(name=name)
    return model if dimensions is None else replace(model, dimensions=dimensions)
