"""``Esinfer``, a running mock as a test sees it, and ``server``, which runs one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from esinfer.testing.clock import VirtualClock
from esinfer.testing.control import call
from esinfer.testing.faults import Faults
from esinfer.testing.journal import RequestJournal
from esinfer.testing.requests import Request
from esinfer.testing.server import ServerThread, running

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from esinfer.namespaces import Namespace

T = TypeVar("T")

_DEFAULT = "default"
_ADDRESS = "https://example.com"
_CHAT_ADDRESS = "https://example.com/v1/chat/completions"
_ADDRESSES = {"completion": _CHAT_ADDRESS, "chat_completion": _CHAT_ADDRESS}


class Esinfer:
    """One namespace of a running mock: endpoints, stubs, faults, journal and clock of its own.

    ``url`` is for the code under test. Code that takes no path in it gets
    ``server_url`` and ``api_key`` instead, to the same effect. All methods
    block for a millisecond or so, and may be called from async tests. What
    the mock will not have is Refused.
    """

    def __init__(self, server: ServerThread, name: str = _DEFAULT) -> None:
        self._server = server
        self._stack = ExitStack()
        self._namespaces: dict[str, Esinfer] = {}
        self.name = name
        self.server_url = server.url
        self.url = server.url if name == _DEFAULT else f"{server.url}/_ns/{name}"
        self.journal = RequestJournal(self._requests, self._clear_journal)
        self.faults = Faults(
            self.url,
            lambda use: self._in_namespace(lambda space: use(_there(space.mocking).upstreams)),
        )
        self.clock = VirtualClock(self.url)

    @property
    def api_key(self) -> tuple[str, str]:
        """What leads a client of ``server_url`` to this namespace: ``api_key=`` of the client."""
        return (f"ns-{self.name}", "any")

    @cached_property
    def es(self) -> Elasticsearch:
        """A client of elasticsearch-py, closed with the test."""
        try:
            from elasticsearch import Elasticsearch  # noqa: PLC0415 - most of a second
        except ImportError as error:
            raise ImportError(
                "esinfer.es is a client of elasticsearch-py, which is not installed"
                " (pip install elasticsearch); esinfer.url is there for any other client"
            ) from error
        client = Elasticsearch(self.url)
        self._stack.callback(client.close)
        return client

    # -- what there is

    def endpoint(
        self,
        inference_id: str,
        task_type: str = "text_embedding",
        *,
        service: str = "hugging_face",
        task_settings: Mapping[str, object] | None = None,
        chunking_settings: Mapping[str, object] | None = None,
        **service_settings: object,
    ) -> dict[str, Any]:
        """Create an inference endpoint; it, as Elasticsearch shows it.

        ``service_settings`` such as ``rate_limit``, ``url`` or ``api_key``
        are added to some that will do. The journal does not show this.
        """
        settings = {"url": _ADDRESSES.get(task_type, _ADDRESS), "api_key": "hf_any"}
        body: dict[str, object] = {
            "service": service,
            "service_settings": settings | service_settings,
        }
        if task_settings is not None:
            body["task_settings"] = task_settings
        if chunking_settings is not None:
            body["chunking_settings"] = chunking_settings
        return self._create(inference_id, task_type, body)

    def upstream(self, name: str = _DEFAULT, **settings: object) -> None:
        """Set all of an upstream: ``state``, ``profile``, ``url`` and so on, see the README."""
        call(self.url, "PUT", f"/_esinfer/upstreams/{name}", settings)

    def stub(
        self,
        match: str | re.Pattern[str] | Mapping[str, object] | None = None,
        answers: Sequence[Mapping[str, object]] = (),
        *,
        name: str | None = None,
        then: str | None = None,
        times: int | None = None,
        **answer: object,
    ) -> None:
        """Answer inputs that match as told, not as the twin would.

        ``match`` is the whole of an input, a regular expression, or an object
        such as ``{"contains": "fox", "inference_id": "my-id"}``; without it
        every input does. The answer is ``vector=[…]``, ``score=0.9``,
        ``text="…"`` or another one of the README; or several ``answers``, one
        a request, and ``then`` the last again or the ``"twin"``.
        """
        if answers and answer:
            raise TypeError("a stub takes either answers or the members of one")
        stub: dict[str, object] = {"answer": list(answers) if answers else answer}
        said = {"match": _match(match), "then": then, "times": times}
        stub |= {member: value for member, value in said.items() if value is not None}
        if name is None:
            call(self.url, "POST", "/_esinfer/stubs", stub)
        else:
            call(self.url, "PUT", f"/_esinfer/stubs/{name}", stub)

    def similar(self, one: str, other: str, cosine: float) -> None:
        """The vectors of two texts have this cosine from now on, to ±0.001."""
        body = {"similarities": [[one, other, cosine]]}
        call(self.url, "POST", "/_esinfer/similarities", body)

    # -- its life

    def namespace(self, name: str) -> Esinfer:
        """Another namespace of the same server; dropped with this one, or when it is closed."""
        if name not in self._namespaces:
            self._refusing(lambda: self._server.namespaces.find(_checked(name)))
            found = self._namespaces[name] = Esinfer(self._server, name)
            found._stack.callback(self._namespaces.pop, name, None)
        return self._namespaces[name]

    def reset(self) -> None:
        """All is as at the start: no endpoints, no faults, an empty journal, time 0."""
        call(self.url, "POST", "/_esinfer/reset")

    def close(self) -> None:
        """Close what was opened here, and drop the namespace."""
        for namespace in tuple(self._namespaces.values()):
            namespace.close()
        self._stack.close()
        if self.name != _DEFAULT:
            self._server.call(self._drop)

    def _drop(self) -> None:
        """It may be gone already: code under test can drop namespaces, too."""
        from esinfer.namespaces import NamespaceNotFound  # noqa: PLC0415 - the server has it

        with suppress(NamespaceNotFound):
            self._server.namespaces.drop(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<esinfer at {self.url}>"

    # -- in the server's thread

    def _in_namespace(self, use: Callable[[Namespace], T]) -> T:
        return self._refusing(lambda: use(self._server.namespaces.find(self.name)))

    def _refusing(self, function: Callable[[], T]) -> T:
        """What the function returns in the server's event loop; its errors as Refused."""
        from esinfer.testing.inside import refusing  # noqa: PLC0415 - imports the server

        with refusing():
            return self._server.call(function)

    def _create(self, inference_id: str, task_type: str, body: dict[str, object]) -> dict[str, Any]:
        from esinfer.testing.inside import create, refusing  # noqa: PLC0415 - as above

        space = self._in_namespace(lambda namespace: namespace)
        with refusing():
            return self._server.run(create(space, inference_id, task_type, body))

    def _requests(self) -> list[Request]:
        entries = self._in_namespace(lambda space: [*_there(space.journal)])
        return [Request.from_wire(entry.to_wire()) for entry in entries]

    def _clear_journal(self) -> None:
        self._in_namespace(lambda space: _there(space.journal).clear())


def _there(part: T | None) -> T:
    """A part of a namespace that the settings of a server may leave out."""
    if part is None:
        raise RuntimeError("the server of this test was told to have none")
    return part


def _checked(name: str) -> str:
    from esinfer.namespaces import check_name  # noqa: PLC0415 - the server has it

    return check_name(name)


_FLAGS = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x"}


def _match(
    match: str | re.Pattern[str] | Mapping[str, object] | None,
) -> Mapping[str, object] | None:
    if isinstance(match, str):
        return {"input": match}
    if isinstance(match, re.Pattern):
        letters = "".join(letter for flag, letter in _FLAGS.items() if match.flags & flag)
        return {"regex": (f"(?{letters})" if letters else "") + match.pattern}
    return match


@contextmanager
def server(*settings: str) -> Iterator[Esinfer]:
    """A running mock on a free port, in a thread of this process, until the block is left.

    ``settings`` are those of conf/esinfer.toml: ``"elasticsearch.version=8.19.0"``.
    The environment's are not read. Raises ConfigError.
    """
    with running(settings) as thread, Esinfer(thread) as es:
        yield es
