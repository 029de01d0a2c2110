"""The ``hugging_face_elser`` service: ELSER-like sparse vectors from Hugging Face.

The older name of ``hugging_face``'s sparse_embedding, kept by Elasticsearch
and hidden from its catalogue. Same settings, requests and answers, but chunked
inference sends inputs whole; its API is a custom handler's at the endpoint's
``url``. Contract: hugging_face.md sections 0 and 7.
"""

from __future__ import annotations

from dataclasses import replace

from esinfer.services.base import Chunking, Service
from esinfer.services.hugging_face import PROVIDER, SPARSE_EMBEDDING
from esinfer.tasks import TaskType

SERVICE = Service(
    name="hugging_face_elser",
    label="Hugging Face ELSER",
    provider=PROVIDER,
    tasks={TaskType.SPARSE_EMBEDDING: replace(SPARSE_EMBEDDING, chunking=Chunking(whole=True))},
    hidden=True,
)
