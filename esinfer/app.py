"""The one place where the parts are joined."""

from __future__ import annotations

import time
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable
from functools import partial
from random import Random
from typing import NamedTuple

from aiohttp import web

from esinfer import clock as clocks
from esinfer.api.about import About, Mode
from esinfer.api.body import MAX_CONTENT_LENGTH
from esinfer.api.keys import ABOUT, NAMESPACES, REGISTRY, WHOLE_CHAT
from esinfer.api.middleware import elasticsearch, sign
from esinfer.api.responses import EVENT_FORM, EventForm
from esinfer.api.routes import add_routes
from esinfer.clock import Clock
from esinfer.config import Config
from esinfer.endpoints import MemoryStore
from esinfer.inference import Inference, RetryPolicy
from esinfer.journal import Journal, JournalLimits
from esinfer.lifecycle import Lifecycle
from esinfer.limits import RateLimits
from esinfer.namespaces import Namespace, Namespaces, UpstreamControl
from esinfer.region_policy import RegionPolicyStore
from esinfer.services.registry import ServiceRegistry
from esinfer.twin.app import make_upstreams_app
from esinfer.twin.control import Control
from esinfer.twin.exchange_log import LogLimits
from esinfer.twin.servers import make_server
from esinfer.twin.transport import TwinTransport
from esinfer.twin.upstreams import ServerSettings, Upstreams, UpstreamSettings
from esinfer.upstream import (
    HttpSettings,
    HttpTransport,
    LiveTransport,
    Transport,
    make_session,
)


def make_app(config: Config, mode: Mode = "serve") -> web.Application:
    """The server: ``serve`` calls real upstreams, ``mock`` the twin in process."""
    app = web.Application(
        middlewares=[elasticsearch],
        # aiohttp allows one byte more than it says; our own check comes first.
        client_max_size=config.server.max_content_length,
    )
    app[MAX_CONTENT_LENGTH] = config.server.max_content_length
    app[ABOUT] = About(
        mode=mode,
        version=config.elasticsearch.version,
        cluster_name=config.elasticsearch.cluster_name,
        node_name=config.elasticsearch.node_name,
    )
    app[WHOLE_CHAT] = _at_least(config.elasticsearch.version, _WHOLE_CHAT_SINCE)
    app[EVENT_FORM] = EventForm(BOM_UTF8 if config.elasticsearch.event_byte_order_mark else b"")
    app[REGISTRY] = ServiceRegistry()
    app.on_response_prepare.append(sign)
    app.cleanup_ctx.append(_namespaces(config, mode))
    app.on_shutdown.append(_stop_waiting)
    add_routes(app)
    return app


_WHOLE_CHAT_SINCE = (9, 6)


def _at_least(version: str, least: tuple[int, int]) -> bool:
    major, minor, *_ = version.split(".")
    return (int(major), int(minor)) >= least


def make_twin(config: Config) -> web.Application:
    """The twin alone, over HTTP."""
    return make_upstreams_app(make_upstreams(config), _start(config))


def make_upstreams(config: Config, clock: Clock | None = None) -> Upstreams:
    """A twin's upstreams as they are at the start; whoever makes some has them alone."""
    return Upstreams(
        make_server,
        default=_start(config),
        sleep=clock.sleep if clock else None,
        clock=clock.time if clock else time.time,
        limits=LogLimits(
            entries=config.twin.log_entries,
            body_size=config.twin.log_body_size,
            size=config.twin.log_size,
        ),
    )


def _start(config: Config) -> UpstreamSettings:
    return UpstreamSettings(
        server=ServerSettings(
            dimensions=config.twin.dimensions,
            model=config.twin.model_id,
            api_key=config.twin.api_key or None,
        )
    )


async def _stop_waiting(app: web.Application) -> None:
    app[NAMESPACES].close()


def _namespaces(config: Config, mode: Mode) -> Callable[[web.Application], AsyncIterator[None]]:
    """What belongs to the event loop: the session, the limiters and all that uses them."""

    async def context(app: web.Application) -> AsyncIterator[None]:
        if mode == "mock":
            make = partial(_make_mock_namespace, config, app[REGISTRY])
            app[NAMESPACES] = Namespaces(make, most=config.mock.namespaces)
            yield
            return
        settings = config.inference
        http = HttpSettings(
            connect_timeout=settings.connect_timeout,
            max_response_size=settings.max_response_size,
            max_total_connections=settings.max_total_connections,
            max_route_connections=settings.max_route_connections,
        )
        async with make_session(http) as session:
            transport = HttpTransport(session, http)
            make = partial(_make_live_namespace, config, app[REGISTRY], transport)
            app[NAMESPACES] = Namespaces(make, most=0)
            yield

    return context


def _make_mock_namespace(config: Config, registry: ServiceRegistry, name: str) -> Namespace:
    """A namespace with a twin of its own; its chance is the same each time."""
    clock = Clock(clocks.Mode(config.clock.mode))
    upstreams = make_upstreams(config, clock)
    control = Control(upstreams, start=_start(config), knows_inference_ids=True)
    transport = TwinTransport(upstreams, max_response_size=config.inference.max_response_size)
    random = Random(0)  # noqa: S311 - no secret
    parts = _Parts(name, clock, random, transport, control)
    return _make_namespace(config, registry, parts)


def _make_live_namespace(
    config: Config, registry: ServiceRegistry, transport: Transport, name: str
) -> Namespace:
    clock = Clock(clocks.Mode(config.clock.mode))
    random = Random()  # noqa: S311 - no secret
    parts = _Parts(name, clock, random, LiveTransport(transport, clock), None)
    return _make_namespace(config, registry, parts)


class _Parts(NamedTuple):
    """What a mock's namespaces and the one of a server before real upstreams differ in."""

    name: str
    clock: Clock
    random: Random
    transport: Transport
    upstreams: UpstreamControl | None


def _make_namespace(config: Config, registry: ServiceRegistry, parts: _Parts) -> Namespace:
    store = MemoryStore()
    inference = _make_inference(config, parts)
    journal = Journal(_journal_limits(config), parts.clock.time)
    return Namespace(
        name=parts.name,
        clock=parts.clock,
        random=parts.random,
        store=store,
        region_policy=RegionPolicyStore(),
        inference=inference,
        lifecycle=Lifecycle(
            store,
            registry,
            inference,
            skip_validation=config.inference.skip_validate_and_start,
        ),
        journal=journal if config.journal.enabled else None,
        upstreams=parts.upstreams,
    )


def _make_inference(config: Config, parts: _Parts) -> Inference:
    settings = config.inference
    policy = RetryPolicy(
        initial_delay=settings.retry_initial_delay,
        max_delay_bound=settings.retry_max_delay_bound,
        timeout=settings.retry_timeout,
        reduction=settings.truncator_reduction_percentage,
    )
    return Inference(
        parts.transport,
        RateLimits(queue_capacity=settings.queue_capacity, clock=parts.clock),
        policy,
        max_response_size=settings.max_response_size,
        clock=parts.clock,
        random=parts.random,
    )


def _journal_limits(config: Config) -> JournalLimits:
    settings = config.journal
    return JournalLimits(entries=settings.entries, body_size=settings.body_size, size=settings.size)
