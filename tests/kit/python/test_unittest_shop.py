"""The same mock without pytest's fixtures, as a script would have it."""

from __future__ import annotations

import unittest

from shop import EMBEDDINGS, Shop

import esinfer.testing
from esinfer.testing import Esinfer


class ShopTest(unittest.TestCase):
    """One server for the class, a reset before each test."""

    es: Esinfer

    @classmethod
    def setUpClass(cls) -> None:
        cls.es = cls.enterClassContext(esinfer.testing.server("elasticsearch.version=9.5.0"))

    def setUp(self) -> None:
        self.es.reset()
        self.es.endpoint(EMBEDDINGS)

    def test_vectors_come(self) -> None:
        assert len(Shop(self.es.es).embed(["text"])) == 1
        self.es.journal.assert_request("POST", times=1)

    def test_the_journal_is_empty_again(self) -> None:
        self.es.journal.assert_none()
        assert self.es.es.info()["version"]["number"] == "9.5.0"
