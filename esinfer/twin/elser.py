"""A custom handler for ELSER: what Elasticsearch's ``sparse_embedding`` expects behind its url.

No server of Hugging Face's answers in that form by itself; such an endpoint is
the Inference Toolkit's container with a handler of one's own.

Source: upstream.md section 1e.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from esinfer.twin.container import Container
from esinfer.twin.toolkit import Encoder


def expand(encoder: Encoder, inputs: Any, _parameters: object) -> bytes:
    """An object of weighted tokens for each text."""
    texts = inputs if isinstance(inputs, list) else [inputs]
    tokens = [encoder.terms(text) for text in texts]
    return orjson.dumps([encoder.loaded.weigh(each) for each in tokens])


def make_elser(encoder: Encoder) -> Container:
    """The container with that handler."""
    return Container(partial(expand, encoder), "sparse_embedding", encoder.model.dimensions)
