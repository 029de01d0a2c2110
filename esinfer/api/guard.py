"""Who may do what: authentication before all else, authorization once the route is known.

Each handler of Elasticsearch's API stands for one of its actions, by whose
name a refusal is worded; a handler that is not listed needs ``manage``. As in
Elasticsearch ``OPTIONS`` is open to all, and so is what is no HTTP at all. The
privileges are those that ClusterPrivilegeResolver finds for an action's name;
of these ``read`` has ``monitor`` and ``monitor_inference``, ``manage`` has
``manage_inference`` too.

Source: the ``NAME`` of the transport actions in Elasticsearch 9.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from esinfer.errors import Unauthorized

if TYPE_CHECKING:
    from esinfer.security.authentication import Authenticator
    from esinfer.security.credentials import Identity

AUTHENTICATOR: web.AppKey[Authenticator] = web.AppKey("authenticator")
"""Absent where nobody is asked."""
IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_PATHS = frozenset({"/_esinfer/health", "/_esinfer/ready"})
"""What a load balancer asks, which has no credentials."""

_LOOKING = frozenset({"read", "manage"})
_CHANGING = frozenset({"manage"})


@dataclass(frozen=True, slots=True)
class Action:
    """What a handler does, by Elasticsearch's name, and who may."""

    name: str

    @property
    def roles(self) -> frozenset[str]:
        """Any of which allows it."""
        return _LOOKING if ":monitor/" in self.name else _CHANGING

    @property
    def advice(self) -> str:
        """The end of a refusal: what grants the action."""
        if self.name.startswith("esinfer:"):
            return f", this action is granted by the roles [{','.join(sorted(self.roles))}]"
        if self.name.startswith("cluster:monitor/xpack/inference"):
            privileges = "monitor_inference,manage_inference,monitor,manage,all"
        elif self.name.startswith("cluster:monitor/"):
            privileges = "monitor,manage,all"
        else:
            privileges = "manage_inference,manage,all"
        return f", this action is granted by the cluster privileges [{privileges}]"


UNLISTED = Action("esinfer:admin")

Actions = Mapping[Handler, Action]
ACTIONS: web.AppKey[Actions] = web.AppKey("actions")


async def authenticate(request: web.Request) -> None:
    """Find out who calls, if that is asked. Raises Unauthenticated or TooManyLogins."""
    authenticator = request.app.get(AUTHENTICATOR)
    if authenticator is None or request.method == hdrs.METH_OPTIONS or request.path in OPEN_PATHS:
        return
    header = request.headers.get(hdrs.AUTHORIZATION)
    request[IDENTITY] = await authenticator.authenticate(header, request.raw_path, request)


def is_stranger(request: web.Request) -> bool:
    """Whether nobody knows who calls what is open to all, though others are asked."""
    return AUTHENTICATOR in request.app and IDENTITY not in request


def authorize(request: web.Request) -> None:
    """Raises Unauthorized if the caller may not do what the handler does.

    A path or method that there is not is nobody's to refuse.
    """
    identity = request.get(IDENTITY)
    if identity is None or request.match_info.http_exception is not None:
        return
    action = request.app[ACTIONS].get(request.match_info.handler, UNLISTED)
    if not action.roles & identity.roles:
        raise Unauthorized(action=action.name, caller=identity, advice=action.advice)
