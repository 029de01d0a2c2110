"""The one place where the parts are joined."""

from __future__ import annotations

import logging
import os
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Middleware

from esinfer.api.about import About, Mode
from esinfer.api.body import MAX_CONTENT_LENGTH
from esinfer.api.keys import ABOUT, INFERENCE, LIFECYCLE, REGION_POLICY, REGISTRY, STORE, WHOLE_CHAT
from esinfer.api.metrics import ENDPOINT_COUNTS, METERS, EndpointCounts
from esinfer.api.middleware import elasticsearch, sign
from esinfer.api.observing import add_timing, observer
from esinfer.api.responses import EVENT_FORM, EventForm
from esinfer.api.routes import add_routes
from esinfer.api.upstreams import UPSTREAMS
from esinfer.config import Config, ConfigError
from esinfer.inference import Inference, RetryPolicy
from esinfer.lifecycle import Lifecycle
from esinfer.limits import RateLimits
from esinfer.metrics.board import Board, Slot
from esinfer.metrics.measured import MeasuredLimits, MeasuredTransport
from esinfer.metrics.meters import Meters
from esinfer.readiness import READINESS, Readiness
from esinfer.region_policy import RegionPolicies
from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.opening import StoreSettings, open_store
from esinfer.twin.app import make_upstreams_app
from esinfer.twin.control import Control
from esinfer.twin.embedders import choose_embedder
from esinfer.twin.exchange_log import LogLimits
from esinfer.twin.profiles import check_task, make_server
from esinfer.twin.transport import TwinTransport
from esinfer.twin.upstreams import ServerSettings, Upstreams, UpstreamSettings
from esinfer.twin.wheel import ModelNotInstalled
from esinfer.upstream import HttpSettings, HttpTransport, Transport, make_session

_LOGGER = logging.getLogger(__name__)


def make_app(config: Config, mode: Mode = "serve", *, slot: Slot | None = None) -> web.Application:
    """The server: ``serve`` calls real upstreams, ``mock`` the twin in process.

    One of several workers counts in the ``slot`` that it is given.
    """
    meters = Meters(slot or Board().slots[0]) if config.metrics.enabled else None
    app = web.Application(
        middlewares=[*_observers(config, meters), elasticsearch],
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
    app[READINESS] = Readiness()
    app.on_response_prepare.append(sign)
    if config.metrics.server_timing:
        app.on_response_prepare.append(add_timing)
    if meters is not None:
        app[METERS] = meters
        app[ENDPOINT_COUNTS] = EndpointCounts()
    upstreams = _add_upstreams(app, config) if mode == "mock" else None
    app.cleanup_ctx.append(_store(config, mode))
    app.cleanup_ctx.append(_inference(config, upstreams))
    add_routes(app)
    return app


def _observers(config: Config, meters: Meters | None) -> list[Middleware]:
    """What watches requests; nothing, where nobody wants to know."""
    log = config.logging
    wanted = meters or config.metrics.server_timing or log.access_log or log.format == "json"
    return [observer(meters, access_log=log.access_log)] if wanted else []


_WHOLE_CHAT_SINCE = (9, 6)


def _at_least(version: str, least: tuple[int, int]) -> bool:
    major, minor, *_ = version.split(".")
    return (int(major), int(minor)) >= least


def make_twin(config: Config) -> web.Application:
    """The twin alone, over HTTP."""
    return make_upstreams_app(make_upstreams(config), _start(config))


def make_upstreams(config: Config) -> Upstreams:
    """A twin's upstreams as they are at the start; whoever makes some has them alone."""
    try:
        embedder = choose_embedder(config.twin.model)
    except ModelNotInstalled as error:
        raise ConfigError(f"twin.model is {config.twin.model}, but {error}") from error
    return Upstreams(
        partial(make_server, embedder=embedder),
        default=_start(config),
        limits=LogLimits(
            entries=config.twin.log_entries,
            body_size=config.twin.log_body_size,
            size=config.twin.log_size,
        ),
    )


def _start(config: Config) -> UpstreamSettings:
    """The upstream as configured; ConfigError if the profile has no such task."""
    twin = config.twin
    try:
        check_task(twin.profile, twin.task or None)
    except ValueError as error:
        raise ConfigError(f"twin: {error}") from error
    return UpstreamSettings(
        server=ServerSettings(
            profile=twin.profile,
            task=twin.task or None,
            dimensions=twin.dimensions or None,
            model=twin.model_id,
            api_key=twin.api_key or None,
        )
    )


def _add_upstreams(app: web.Application, config: Config) -> Upstreams:
    """The twin of a mock, and the routes' hold on it."""
    upstreams = make_upstreams(config)
    app[UPSTREAMS] = Control(upstreams, start=_start(config), knows_inference_ids=True)

    async def stop_waiting(_app: web.Application) -> None:
        upstreams.pauses.end()

    app.on_shutdown.append(stop_waiting)
    return upstreams


def store_settings(config: Config) -> StoreSettings:
    """Where endpoints are kept."""
    store = config.store
    return StoreSettings(
        kind=store.kind, path=store.path, url=store.url, key=store.key, key_file=store.key_file
    )


def _store(config: Config, mode: Mode) -> Callable[[web.Application], AsyncIterator[None]]:
    """Where endpoints are kept, open while the server runs; StoreError keeps it from starting."""
    settings = store_settings(config)

    async def context(app: web.Application) -> AsyncIterator[None]:
        async with open_store(settings, EndpointCodec(app[REGISTRY]), os.environ) as opened:
            app[STORE] = opened.endpoints
            app[REGION_POLICY] = RegionPolicies(opened.region_policy)
            if mode == "serve" and settings.kind == "memory":
                _LOGGER.info("endpoints are gone when the server stops: store.kind is memory")
            yield

    return context


def _inference(
    config: Config, upstreams: Upstreams | None
) -> Callable[[web.Application], AsyncIterator[None]]:
    """What belongs to the event loop: the session, the limiters and all that uses them."""

    async def context(app: web.Application) -> AsyncIterator[None]:
        settings = config.inference
        http = HttpSettings(
            connect_timeout=settings.connect_timeout,
            max_response_size=settings.max_response_size,
            max_total_connections=settings.max_total_connections,
            max_route_connections=settings.max_route_connections,
        )
        if upstreams is not None:
            limit = settings.max_response_size
            _join(app, config, TwinTransport(upstreams, max_response_size=limit))
            yield
            return
        async with make_session(http) as session:
            _join(app, config, HttpTransport(session, http))
            yield

    return context


def _join(app: web.Application, config: Config, transport: Transport) -> None:
    settings = config.inference
    policy = RetryPolicy(
        initial_delay=settings.retry_initial_delay,
        max_delay_bound=settings.retry_max_delay_bound,
        timeout=settings.retry_timeout,
        reduction=settings.truncator_reduction_percentage,
    )
    meters = app.get(METERS)
    limits = RateLimits(queue_capacity=settings.queue_capacity)
    if meters is not None or config.metrics.server_timing:
        limits = MeasuredLimits(queue_capacity=settings.queue_capacity, meters=meters)
        transport = MeasuredTransport(transport, meters)
    app[INFERENCE] = Inference(
        transport, limits, policy, max_response_size=settings.max_response_size
    )
    app[LIFECYCLE] = Lifecycle(
        app[STORE],
        app[REGISTRY],
        app[INFERENCE],
        skip_validation=settings.skip_validate_and_start,
    )
