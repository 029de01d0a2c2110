"""The servers that the twin can imitate, by name.

Making one is cheap and does nothing else: an embedder is loaded with the first
text. What imitates another server than the default one is imported when it is
asked for, so that start-up does not pay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from esinfer.twin import tei, tgi
from esinfer.twin.embedders import Embedder, check_dimensions, static_embedder
from esinfer.twin.known_models import DEFAULT_MODEL, Model, model_named
from esinfer.twin.permits import Permits
from esinfer.twin.servers import Server
from esinfer.twin.tei import TEI_1_8, TEI_1_9, Release, Twin
from esinfer.twin.tei_task import Task
from esinfer.twin.tgi import Tgi


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a server is made of; ``dimensions`` and ``task`` only if they were given."""

    model: Model
    dimensions: int | None
    api_key: str | None = field(repr=False)
    task: str | None
    embedder: Callable[[int], Embedder]
    max_concurrent_requests: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of server: what it imitates, and the tasks that it can be told to have one of.

    With ``has_permits`` it takes so many requests or inputs at once, and refuses more.
    """

    imitates: str
    make: Callable[[Order], Server]
    tasks: Sequence[str] = ()
    has_permits: bool = False


def _tei(release: Release, order: Order) -> Server:
    return Twin(
        dimensions=order.model.dimensions,
        model_id=order.model.name,
        pooling=order.model.pooling,
        prompts=order.model.prompts,
        task=None if order.task is None else Task(order.task),
        api_key=order.api_key,
        max_input_length=order.model.max_input_length,
        permits=Permits(order.max_concurrent_requests or tei.MAX_CONCURRENT_REQUESTS),
        release=release,
        embedder=order.embedder,
    )


def _toolkit(order: Order) -> Server:
    from esinfer.twin.toolkit import make_toolkit  # noqa: PLC0415

    return make_toolkit(order.task or _TOOLKIT_TASKS[0], order.model, order.embedder)


def _elser(order: Order) -> Server:
    from esinfer.twin.elser import make_elser  # noqa: PLC0415
    from esinfer.twin.toolkit import Encoder  # noqa: PLC0415

    return make_elser(Encoder(model=order.model, embedder=order.embedder))


def _serverless(order: Order) -> Server:
    from esinfer.twin.serverless import Serverless  # noqa: PLC0415

    return Serverless(
        model_id=order.model.name,
        dimensions=order.dimensions,
        api_key=order.api_key,
        embedder=order.embedder,
    )


def _tgi(order: Order) -> Server:
    permits = Permits(order.max_concurrent_requests or tgi.MAX_CONCURRENT_REQUESTS)
    return Tgi(model_id=order.model.name, api_key=order.api_key, permits=permits)


def _vllm(order: Order) -> Server:
    from esinfer.twin.vllm import Vllm  # noqa: PLC0415

    return Vllm(model_id=order.model.name, api_key=order.api_key)


_TOOLKIT_TASKS: Final = (
    "sentence-embeddings",
    "sentence-similarity",
    "sentence-ranking",
    "feature-extraction",
)

PROFILES: Final[Mapping[str, Profile]] = {
    "tei-1.9": Profile(
        imitates="text-embeddings-inference 1.9",
        make=partial(_tei, TEI_1_9),
        tasks=tuple(Task),
        has_permits=True,
    ),
    "tei-1.8": Profile(
        imitates="text-embeddings-inference 1.8",
        make=partial(_tei, TEI_1_8),
        tasks=tuple(Task),
        has_permits=True,
    ),
    "toolkit": Profile(
        imitates="the Inference Toolkit's container", make=_toolkit, tasks=_TOOLKIT_TASKS
    ),
    "serverless": Profile(imitates="router.huggingface.co", make=_serverless),
    "tgi": Profile(imitates="text-generation-inference 3.3", make=_tgi, has_permits=True),
    "elser": Profile(imitates="a container with a handler for ELSER", make=_elser),
    "vllm": Profile(imitates="vLLM's chat", make=_vllm),
}


def check_task(profile: str, task: str | None) -> None:
    """ValueError unless there is such a profile, and it has that task."""
    found = PROFILES.get(profile)
    if found is None:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile}")
    if task is not None and task not in found.tasks:
        choices = f"one of {', '.join(found.tasks)}" if found.tasks else "left out"
        raise ValueError(f"task of profile {profile} must be {choices}, got {task}")


def check_permits(profile: str, most: int | None) -> None:
    """ValueError if so many permits are set of a server that has none."""
    if most is not None and not PROFILES[profile].has_permits:
        having = ", ".join(name for name, each in PROFILES.items() if each.has_permits)
        raise ValueError(
            f"max_concurrent_requests of profile {profile} must be left out, it goes with {having}"
        )


def make_server(  # noqa: PLR0913 -- all that there is to say of a server
    profile: str,
    *,
    model: str | None = None,
    dimensions: int | None = None,
    api_key: str | None = None,
    task: str | None = None,
    max_concurrent_requests: int | None = None,
    embedder: Callable[[int], Embedder] = static_embedder,
) -> Server:
    """A server of that profile. Left out, ``dimensions`` are those of the model.

    ValueError for a profile, a task or permits that are not there, or for dimensions
    out of bounds.
    """
    check_task(profile, task)
    check_permits(profile, max_concurrent_requests)
    if dimensions is not None:
        check_dimensions(dimensions)
    return PROFILES[profile].make(
        Order(
            model=model_named(model or DEFAULT_MODEL, dimensions),
            dimensions=dimensions,
            api_key=api_key,
            task=task,
            embedder=embedder,
            max_concurrent_requests=max_concurrent_requests,
        )
    )
