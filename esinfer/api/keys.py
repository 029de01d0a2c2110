"""The keys under which an app and a request keep their parts."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from esinfer.api.about import About
from esinfer.errors import ElasticsearchError
from esinfer.namespaces import Namespace, Namespaces
from esinfer.services.registry import ServiceRegistry

ABOUT = web.AppKey("about", About)
REGISTRY = web.AppKey("registry", ServiceRegistry)
NAMESPACES = web.AppKey("namespaces", Namespaces)
DOCUMENT: web.AppKey[Callable[[], bytes]] = web.AppKey("document")
"""Gives the OpenAPI document."""
WHOLE_CHAT = web.AppKey("whole_chat", bool)
"""Whether chat_completion answers without ``_stream`` too, as from 9.6 on."""
NoteRefusal = Callable[[ElasticsearchError, str | None], None]
"""Takes the error with which a connection refused a client, and the client's address."""
NOTE_REFUSAL: web.AppKey[NoteRefusal] = web.AppKey("note_refusal")
NOTE_CLOSED: web.AppKey[Callable[[], None]] = web.AppKey("note_closed")
"""Called when a connection is closed because there is no room for it, not even to be told so."""

NAMESPACE = web.RequestKey("namespace", Namespace)
"""Whose request it is; handlers take all that is not the app's from it."""
