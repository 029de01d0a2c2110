"""What test suites import: a running mock, what it was asked, and sentences about that.

With pytest there is nothing to import: the fixture ``esinfer`` of
``esinfer.pytest_plugin`` is an ``Esinfer``. Elsewhere::

    with esinfer.testing.server() as es:
        es.endpoint("my-embeddings")
        ...  # code that talks to es.url
        es.journal.assert_request("POST", "/_inference/*/my-embeddings", times=1)

Nothing of the server is imported before one is started.
"""

from esinfer.testing.control import Refused
from esinfer.testing.journal import RequestJournal
from esinfer.testing.mock import Esinfer, server
from esinfer.testing.requests import Attempt, Request
from esinfer.testing.wanted import Difference, Wanted, nearest

__all__ = [
    "Attempt",
    "Difference",
    "Esinfer",
    "Refused",
    "Request",
    "RequestJournal",
    "Wanted",
    "nearest",
    "server",
]
