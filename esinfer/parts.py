"""The parts of a namespace, made as the configuration says; ``app`` asks for them.

A mock's namespaces each have a twin, a clock and recordings of their own; a
server before real upstreams has one namespace, which keeps its endpoints
where ``[store]`` says.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from esinfer import clock as clocks
from esinfer.clock import Clock
from esinfer.config import Config, ConfigError
from esinfer.endpoints import MemoryStore
from esinfer.errors import RecordingUnreadable
from esinfer.inference import Inference, RetryPolicy
from esinfer.journal import Journal, JournalLimits
from esinfer.lifecycle import Lifecycle
from esinfer.limits import RateLimits
from esinfer.metrics.measured import MeasuredLimits, MeasuredTransport
from esinfer.metrics.meters import Meters
from esinfer.mocking import Mocking
from esinfer.namespaces import DEFAULT, Namespace
from esinfer.region_policy import MemoryRegionPolicyStore, RegionPolicies
from esinfer.services.registry import ServiceRegistry
from esinfer.stores.opening import OpenStore
from esinfer.twin.control import Control
from esinfer.twin.embedders import choose_embedder
from esinfer.twin.exchange_log import LogLimits
from esinfer.twin.pins.control import SimilarityControl
from esinfer.twin.pins.pins import Pins, pinned
from esinfer.twin.profiles import check_task, make_server
from esinfer.twin.stubs.control import StubControl
from esinfer.twin.transport import TwinTransport
from esinfer.twin.upstreams import ServerSettings, Upstreams, UpstreamSettings
from esinfer.twin.wheel import ModelNotInstalled
from esinfer.upstream import LiveTransport, Transport


class Shared(NamedTuple):
    """What all namespaces of a server have in common; ``store`` is the default one's."""

    config: Config
    registry: ServiceRegistry
    store: OpenStore
    meters: Meters | None


# -- the twin -----------------------------------------------------------------


def make_upstreams(config: Config, clock: Clock | None = None) -> Upstreams:
    """A twin's upstreams as they are at the start; whoever makes some has them alone."""
    try:
        embedder = choose_embedder(config.twin.model)
    except ModelNotInstalled as error:
        raise ConfigError(f"twin.model is {config.twin.model}, but {error}") from error
    pins = Pins()
    return Upstreams(
        partial(make_server, embedder=pinned(pins, embedder)),
        pins=pins,
        default=start_of_upstream(config),
        sleep=clock.sleep if clock else None,
        clock=clock.time if clock else time.time,
        limits=LogLimits(
            entries=config.twin.log_entries,
            body_size=config.twin.log_body_size,
            size=config.twin.log_size,
        ),
    )


def make_mocking(config: Config, upstreams: Upstreams) -> Mocking:
    """What can be set of a twin."""
    embedder = choose_embedder(config.twin.model)
    return Mocking(
        upstreams=Control(upstreams, start=start_of_upstream(config), knows_inference_ids=True),
        stubs=StubControl(upstreams.stubs),
        similarities=SimilarityControl(
            upstreams.pins,
            reads=lambda text: bool(embedder(384).split(text)),
            dimensions=lambda: upstreams.dimensions,
        ),
    )


def start_of_upstream(config: Config) -> UpstreamSettings:
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


# -- recordings ---------------------------------------------------------------


def recording(config: Config, http: Transport, name: str = DEFAULT) -> Transport:
    """What ``serve`` sends through; with a directory to record in, under ``name`` there.

    Raises RecordingError for what it cannot read or write.
    """
    if not config.replay.record:
        return http
    # Here, and below, so that a start without recordings does not pay for them.
    from esinfer.replay.recorder import RecordingTransport, RecordMode  # noqa: PLC0415
    from esinfer.replay.recording import Recording  # noqa: PLC0415

    record = Recording(Path(config.replay.record), name)
    return RecordingTransport(http, record, RecordMode(config.replay.record_mode))


def replaying(config: Config, twin: Transport, name: str = DEFAULT) -> Transport:
    """What ``mock`` sends through; with recordings, what is under ``name`` there answers.

    Raises RecordingError, or for a namespace that a request names RecordingUnreadable, for
    what it cannot read.
    """
    if not config.replay.play:
        return twin
    from esinfer.replay.player import ReplayTransport  # noqa: PLC0415
    from esinfer.replay.problems import RecordingError  # noqa: PLC0415
    from esinfer.replay.recording import Recording  # noqa: PLC0415

    falls_back = config.replay.on_miss == "twin"
    try:
        record = Recording(Path(config.replay.play), name)
        return ReplayTransport(record, fallback=twin if falls_back else None)
    except RecordingError as error:
        if name == DEFAULT:
            raise
        raise RecordingUnreadable(problem=error) from error


# -- namespaces ---------------------------------------------------------------


class _Own(NamedTuple):
    """What a mock's namespaces and the one of a server before real upstreams differ in."""

    name: str
    clock: Clock
    random: Random
    transport: Transport
    mocking: Mocking | None


def make_mock_namespace(shared: Shared, name: str) -> Namespace:
    """A namespace with a twin of its own; its chance is the same each time."""
    config = shared.config
    clock = Clock(clocks.Mode(config.clock.mode))
    upstreams = make_upstreams(config, clock)
    mocking = make_mocking(config, upstreams)
    twin = TwinTransport(upstreams, max_response_size=config.inference.max_response_size)
    random = Random(0)  # noqa: S311 - no secret
    return _make_namespace(
        shared, _Own(name, clock, random, replaying(config, twin, name), mocking)
    )


def make_live_namespace(shared: Shared, http: Transport, name: str) -> Namespace:
    """The namespace of a server that sends through ``http``."""
    clock = Clock(clocks.Mode(shared.config.clock.mode))
    random = Random()  # noqa: S311 - no secret
    transport = LiveTransport(recording(shared.config, http, name), clock)
    return _make_namespace(shared, _Own(name, clock, random, transport, None))


def _make_namespace(shared: Shared, own: _Own) -> Namespace:
    config = shared.config
    store = _store(shared, own.name)
    inference = _make_inference(shared, own)
    return Namespace(
        name=own.name,
        clock=own.clock,
        random=own.random,
        store=store.endpoints,
        region_policy=RegionPolicies(store.region_policy),
        inference=inference,
        lifecycle=Lifecycle(
            store.endpoints,
            shared.registry,
            inference,
            skip_validation=config.inference.skip_validate_and_start,
        ),
        journal=_make_journal(config, own.clock) if config.journal.enabled else None,
        mocking=own.mocking,
    )


def _store(shared: Shared, name: str) -> OpenStore:
    """The server's own for the default namespace; a test's is gone with it."""
    if name == DEFAULT:
        return shared.store
    return OpenStore(endpoints=MemoryStore(), region_policy=MemoryRegionPolicyStore())


def _make_inference(shared: Shared, own: _Own) -> Inference:
    settings = shared.config.inference
    policy = RetryPolicy(
        initial_delay=settings.retry_initial_delay,
        max_delay_bound=settings.retry_max_delay_bound,
        timeout=settings.retry_timeout,
        reduction=settings.truncator_reduction_percentage,
    )
    limits = RateLimits(queue_capacity=settings.queue_capacity, clock=own.clock)
    transport = own.transport
    if shared.meters is not None or shared.config.metrics.server_timing:
        limits = MeasuredLimits(
            queue_capacity=settings.queue_capacity, clock=own.clock, meters=shared.meters
        )
        transport = MeasuredTransport(transport, shared.meters)
    return Inference(
        transport,
        limits,
        policy,
        max_response_size=settings.max_response_size,
        clock=own.clock,
        random=own.random,
    )


def _make_journal(config: Config, clock: Clock) -> Journal:
    settings = config.journal
    limits = JournalLimits(
        entries=settings.entries, body_size=settings.body_size, size=settings.size
    )
    return Journal(limits, clock.time)
