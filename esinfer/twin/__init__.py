"""The Hugging Face side: an offline endpoint with the real wire format, and its embedders.

``app`` (HTTP) or ``transport`` (in process) → ``tei.Twin`` (one request to one
answer, no I/O) → ``embed``, ``rerank`` or ``chat``, each with ``serde`` for
the body; the first two with ``tokenizer`` for the texts and ``embedders`` for
the vectors. Importing any of them but ``hashing`` leaves numpy unloaded; the
first text to be embedded or ranked loads it.
"""
