"""The keys under which an app keeps its parts."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from esinfer.api.about import About
from esinfer.endpoints import EndpointStore
from esinfer.inference import Inference
from esinfer.lifecycle import Lifecycle
from esinfer.region_policy import RegionPolicies
from esinfer.services.registry import ServiceRegistry

ABOUT = web.AppKey("about", About)
STORE: web.AppKey[EndpointStore] = web.AppKey("store")
REGION_POLICY = web.AppKey("region_policy", RegionPolicies)
REGISTRY = web.AppKey("registry", ServiceRegistry)
INFERENCE = web.AppKey("inference", Inference)
LIFECYCLE = web.AppKey("lifecycle", Lifecycle)
DOCUMENT: web.AppKey[Callable[[], bytes]] = web.AppKey("document")
"""Gives the OpenAPI document."""
WHOLE_CHAT = web.AppKey("whole_chat", bool)
"""Whether chat_completion answers without ``_stream`` too, as from 9.6 on."""
