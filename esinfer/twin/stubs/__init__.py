"""Stubs: what the twin is told to answer in place of its own, input by input.

``control`` (JSON values in and out) → ``parser`` (a value to a ``stub.Stub``) →
``shelf.Stubs``, which an ``Upstream`` asks for each request; ``splicing`` puts
what is canned into the answer that the server itself would give, so that the
form of the answer, its checks and its headers stay the server's own.
"""
