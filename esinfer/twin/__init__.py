"""The Hugging Face side: an offline endpoint with the real wire format, and its embedders.

``app`` (HTTP) or ``transport`` (in process) → ``upstreams`` (which upstream; its
state, ``faults`` and ``exchange_log``) → ``tei.Twin`` (one request to one
answer, no I/O) → ``embed``, ``rerank`` or ``chat``, each with ``serde`` for
the body; the first two with ``tokenizer`` for the texts and ``embedders`` for
the vectors. ``control`` sets and shows upstreams, ``admin`` is its face on the
twin's own port. Importing any of them but ``hashing`` leaves numpy unloaded; the
first text to be embedded or ranked loads it.
"""
