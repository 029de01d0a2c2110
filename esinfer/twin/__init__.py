"""The Hugging Face side: an offline endpoint with the real wire format, and its embedders.

``app`` (HTTP) or ``transport`` (in process) → ``tei.Twin`` (one request to one
answer, no I/O) → ``embed``, ``rerank`` or ``chat``, each with ``serde`` for
the body; the first two with ``tokenizer`` for the texts and ``embedders`` for
the vectors: ``static`` (a table, made by ``distil``), ``minilm`` (the model, in
``bert``), both with the tokens of ``wordpiece``, or ``hashing``. Only those
load numpy and tokenizers, with the first text to be embedded or ranked.
"""
