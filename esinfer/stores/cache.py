"""Endpoints as they were last read, until one changes."""

from __future__ import annotations

from esinfer.endpoints import InferenceEndpoint


class EndpointCache:
    """Answers what was read and has not changed since.

    Whoever reads the database notes ``generation`` before and gives it to
    ``keep``: what was read before a change that became known meanwhile is not
    kept. Only endpoints are kept, never that there was none.
    """

    def __init__(self) -> None:
        self._endpoints: dict[str, InferenceEndpoint] = {}
        self.generation = 0

    def get(self, inference_id: str) -> InferenceEndpoint | None:
        return self._endpoints.get(inference_id)

    def keep(self, endpoint: InferenceEndpoint, generation: int) -> None:
        if generation == self.generation:
            self._endpoints[endpoint.inference_id] = endpoint

    def forget(self, inference_id: str) -> None:
        """One endpoint has changed."""
        self._endpoints.pop(inference_id, None)
        self.generation += 1

    def clear(self) -> None:
        """Any endpoint may have changed."""
        self._endpoints.clear()
        self.generation += 1
