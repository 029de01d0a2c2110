"""The Hugging Face side: an offline endpoint with the real wire format, and its embedders.

``app`` (HTTP) or ``transport`` (in process) → ``upstreams`` (which upstream; its
state, ``faults``, ``exchange_log`` and ``stubs``) → a ``servers.Server`` (one request to
one answer, no I/O), which ``profiles`` makes by the name of what it imitates:

- ``tei``, with ``axum`` before it and ``tei_model`` behind it: ``embed``,
  ``openai_embed``, ``rerank``, ``predict``, ``similarity``, ``vertex``, each
  with ``serde`` for the body, ``tokenizer`` for the texts and ``embedders``
  for the vectors;
- ``tgi``, with ``axum`` too, and ``vllm``: both ``chat``, each in its own form;
- ``toolkit`` and ``elser``, pipelines in the same ``container``;
- ``serverless``, which has a ``tei`` or a ``tgi`` for each model.

``pins`` stand before the embedders. ``control`` sets and shows upstreams,
``admin`` is its face on the twin's own port. Importing any of them but
``hashing``, ``pins.solver`` and ``pins.pinned_embedder`` leaves numpy unloaded;
the first text to be embedded or ranked loads it.
"""
