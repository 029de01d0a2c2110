"""The one place where the parts are joined."""

from __future__ import annotations

import logging
import os
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from esinfer.addresses import make_rules
from esinfer.api.about import About, Mode
from esinfer.api.body import MAX_CONTENT_LENGTH, MAX_INPUTS
from esinfer.api.guard import ACTIONS, AUTHENTICATOR
from esinfer.api.keys import ABOUT, NAMESPACES, NOTE_CLOSED, NOTE_REFUSAL, REGISTRY, WHOLE_CHAT
from esinfer.api.metrics import ENDPOINT_COUNTS, METERS, EndpointCounts
from esinfer.api.middleware import elasticsearch, sign
from esinfer.api.observing import add_timing, observer, refusal_observer
from esinfer.api.responses import EVENT_FORM, EventForm
from esinfer.api.routes import add_routes
from esinfer.api.similarities import SIMILARITIES_PARSER
from esinfer.api.stubs import STUB_PARSER
from esinfer.api.upstreams import UPSTREAM_PARSER
from esinfer.config import Config
from esinfer.metrics.board import Board, Slot
from esinfer.metrics.meters import Meters
from esinfer.namespaces import Namespace, Namespaces
from esinfer.parts import (
    Shared,
    make_live_namespace,
    make_mock_namespace,
    make_upstreams,
    start_of_upstream,
)
from esinfer.readiness import READINESS, Readiness
from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.opening import StoreSettings, open_store
from esinfer.twin.app import make_upstreams_app
from esinfer.twin.control import UpstreamParser
from esinfer.twin.pins.control import SimilaritiesParser
from esinfer.twin.stubs.parser import StubParser
from esinfer.upstream import HttpSettings, HttpTransport, make_session

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
    app[MAX_INPUTS] = config.server.max_inputs
    app[ABOUT] = About(
        mode=mode,
        version=config.elasticsearch.version,
        cluster_name=config.elasticsearch.cluster_name,
        node_name=config.elasticsearch.node_name,
    )
    app[WHOLE_CHAT] = _at_least(config.elasticsearch.version, _WHOLE_CHAT_SINCE)
    app[EVENT_FORM] = EventForm(BOM_UTF8 if config.elasticsearch.event_byte_order_mark else b"")
    app[REGISTRY] = ServiceRegistry()
    app[UPSTREAM_PARSER] = UpstreamParser()
    app[STUB_PARSER] = StubParser()
    app[SIMILARITIES_PARSER] = SimilaritiesParser()
    app[READINESS] = Readiness()
    app.on_response_prepare.append(sign)
    if config.metrics.server_timing:
        app.on_response_prepare.append(add_timing)
    app[NOTE_REFUSAL] = refusal_observer(meters, access_log=config.logging.access_log)
    if meters is not None:
        app[METERS] = meters
        app[NOTE_CLOSED] = meters.count_closed
        app[ENDPOINT_COUNTS] = EndpointCounts()
    _add_guard(app, config.security.credentials)
    app.cleanup_ctx.append(_namespaces(config, mode, meters))
    app.cleanup_ctx.append(_seed)
    app.on_shutdown.append(_stop_waiting)
    add_routes(app)
    return app


def _observers(config: Config, meters: Meters | None) -> list[Middleware]:
    """What watches requests; nothing, where nobody wants to know."""
    log = config.logging
    wanted = meters or config.metrics.server_timing or log.access_log or log.format == "json"
    return [observer(meters, access_log=log.access_log)] if wanted else []


def _add_guard(app: web.Application, credentials: str) -> None:
    """Ask callers who they are, if there is a file that says who they may be."""
    if not credentials:
        return
    from esinfer.api.actions import HANDLER_ACTIONS  # noqa: PLC0415 -- for those who have a file
    from esinfer.security.authentication import Authenticator  # noqa: PLC0415
    from esinfer.security.credentials import read_credentials  # noqa: PLC0415

    app[AUTHENTICATOR] = Authenticator(read_credentials(credentials))
    app[ACTIONS] = HANDLER_ACTIONS


_WHOLE_CHAT_SINCE = (9, 6)


def _at_least(version: str, least: tuple[int, int]) -> bool:
    major, minor, *_ = version.split(".")
    return (int(major), int(minor)) >= least


def make_twin(config: Config) -> web.Application:
    """The twin alone, over HTTP."""
    return make_upstreams_app(make_upstreams(config), start_of_upstream(config))


async def _seed(app: web.Application) -> AsyncIterator[None]:
    """What is there at the start; SeedError keeps the server from starting."""
    await app[NAMESPACES].sow()
    yield


def _sow(config: Config) -> Callable[[Namespace], Awaitable[None]] | None:
    """What sows a namespace; SeedError for a file that cannot be read."""
    if not config.store.seed:
        return None
    from esinfer.seed_file import read_seed_file  # noqa: PLC0415 -- for those who have a seed
    from esinfer.seeds import sow  # noqa: PLC0415

    seed = read_seed_file(Path(config.store.seed))

    async def sow_one(namespace: Namespace) -> None:
        with namespace.clock.working():
            await sow(seed, namespace.lifecycle, namespace.mocking)

    return sow_one


async def _stop_waiting(app: web.Application) -> None:
    app[NAMESPACES].close()


def _namespaces(
    config: Config, mode: Mode, meters: Meters | None
) -> Callable[[web.Application], AsyncIterator[None]]:
    """What belongs to the event loop: store, session, limiters and all that uses them.

    StoreError or RecordingError keeps the server from starting.
    """
    if mode == "mock":
        make_upstreams(config)  # what is wrong with the configuration shows before the start
    sow = _sow(config)

    async def context(app: web.Application) -> AsyncIterator[None]:
        settings = store_settings(config)
        async with open_store(settings, EndpointCodec(app[REGISTRY]), os.environ) as store:
            shared = Shared(config, app[REGISTRY], store, meters)
            if mode == "mock":
                make_mock = partial(make_mock_namespace, shared)
                app[NAMESPACES] = Namespaces(make_mock, most=config.mock.namespaces, sow=sow)
                yield
                return
            if settings.kind == "memory":
                _LOGGER.info("endpoints are gone when the server stops: store.kind is memory")
            http = _http_settings(config)
            async with make_session(http) as session:
                make_live = partial(make_live_namespace, shared, HttpTransport(session, http))
                app[NAMESPACES] = Namespaces(make_live, most=0, sow=sow)
                yield

    return context


def store_settings(config: Config) -> StoreSettings:
    """Where endpoints are kept."""
    store = config.store
    return StoreSettings(
        kind=store.kind, path=store.path, url=store.url, key=store.key, key_file=store.key_file
    )


def _http_settings(config: Config) -> HttpSettings:
    settings = config.inference
    return HttpSettings(
        connect_timeout=settings.connect_timeout,
        max_response_size=settings.max_response_size,
        max_total_connections=settings.max_total_connections,
        max_route_connections=settings.max_route_connections,
        rules=make_rules(config.upstream.allow, private=config.upstream.allow_private),
    )
