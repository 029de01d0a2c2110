"""What the kit does in the server's own terms; imported once a server runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from esinfer.api.responses import error_body
from esinfer.api.schemas import load_configuration
from esinfer.errors import ElasticsearchError
from esinfer.lifecycle import check_inference_id
from esinfer.namespaces import Namespace
from esinfer.tasks import TaskType
from esinfer.testing.control import refusal


@contextmanager
def refusing() -> Iterator[None]:
    """The server's errors are Refused here, as they are over HTTP."""
    try:
        yield
    except ElasticsearchError as error:
        raise refusal(error.status, error_body(error)["error"]) from error


async def create(
    namespace: Namespace, inference_id: str, task_type: str, body: dict[str, object]
) -> dict[str, Any]:
    """As ``PUT /_inference/{task_type}/{inference_id}``, but the journal does not show it."""
    check_inference_id(inference_id)
    with namespace.clock.working():
        endpoint = await namespace.lifecycle.create(
            inference_id, TaskType.parse(task_type), load_configuration(body), None
        )
    return endpoint.to_wire()
