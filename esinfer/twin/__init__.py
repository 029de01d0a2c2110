"""The Hugging Face side: an offline endpoint with the real wire format, and its embedders.

``app`` (HTTP) → ``tei.Twin`` (one request to one answer, no I/O) → ``serde``
(the body) and ``embedders`` (the vectors). Importing any of them but
``hashing`` leaves numpy unloaded; the first text loads it.
"""
