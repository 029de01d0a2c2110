"""Pinned similarity: the cosines that the twin's vectors of some texts are told to have.

``control`` (JSON values in and out) → ``pins.Pins``, which groups the pinned
texts and refuses what no vectors can have → ``pinned_embedder``, which stands
before an embedder and gives those texts vectors that ``solver`` has turned.
"""
