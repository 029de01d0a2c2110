"""The keys under which an app keeps its parts."""

from __future__ import annotations

from aiohttp import web

from esinfer.api.about import About
from esinfer.endpoints import EndpointStore
from esinfer.inference import Inference
from esinfer.lifecycle import Lifecycle
from esinfer.services.registry import ServiceRegistry

ABOUT = web.AppKey("about", About)
STORE: web.AppKey[EndpointStore] = web.AppKey("store")
REGISTRY = web.AppKey("registry", ServiceRegistry)
INFERENCE = web.AppKey("inference", Inference)
LIFECYCLE = web.AppKey("lifecycle", Lifecycle)
