"""Throws at servers what no sane client or upstream sends, and looks whether they stay upright.

At a mock: ``requests`` has schemathesis make requests from the OpenAPI document; ``wire``
has hypothesis make bytes that are HTTP, nearly HTTP or no HTTP at all. Before ``serve``:
``answers`` are those of an upstream, which ``hostile`` is; ``inferences`` judges what
comes of them. ``guarded`` and ``twins`` are for ``serve`` with credentials, and for the
twin's own port. ``server`` runs all of them, and judges what they left. Run
``python -m tests.fuzz --help``.
"""
