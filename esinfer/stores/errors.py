"""What keeps a store from being opened."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used; the text is one line that says why and shows no secret."""
