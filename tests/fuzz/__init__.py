"""Throws at a mock what no sane client sends, and looks whether it stays upright.

``requests`` has schemathesis make requests from the OpenAPI document; ``wire``
has hypothesis make bytes that are HTTP, nearly HTTP or no HTTP at all.
``server`` runs the mock and judges what it did. Run ``python -m tests.fuzz --help``.
"""
