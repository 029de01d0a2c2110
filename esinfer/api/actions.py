"""The table of actions: what each handler is called in Elasticsearch, which decides who may."""

from __future__ import annotations

from esinfer.api import (
    admin,
    chunks,
    cluster,
    endpoints,
    inference,
    metrics,
    region_policy,
    services,
)
from esinfer.api.guard import Action, Actions

_GET = Action("cluster:monitor/xpack/inference/get")
_INFER = Action("cluster:monitor/xpack/inference/post")

HANDLER_ACTIONS: Actions = {
    cluster.root: Action("cluster:monitor/main"),
    cluster.license_: Action("cluster:monitor/xpack/license/get"),
    cluster.xpack: Action("cluster:monitor/xpack/info"),
    cluster.usage: Action("cluster:monitor/xpack/usage"),
    cluster.health: Action("cluster:monitor/health"),
    cluster.nodes: Action("cluster:monitor/nodes/info"),
    cluster.capabilities: Action("cluster:monitor/nodes/capabilities"),
    endpoints.get_all: _GET,
    endpoints.get: _GET,
    endpoints.put: Action("cluster:admin/xpack/inference/put"),
    endpoints.update: Action("cluster:admin/xpack/inference/update"),
    endpoints.delete: Action("cluster:admin/xpack/inference/delete"),
    inference.infer: _INFER,
    inference.stream: _INFER,
    services.catalogue: Action("cluster:monitor/xpack/inference/services/get"),
    region_policy.get: Action("cluster:monitor/xpack/inference/region_policy/get"),
    region_policy.put: Action("cluster:admin/xpack/inference/region_policy/put"),
    region_policy.delete: Action("cluster:admin/xpack/inference/region_policy/delete"),
    admin.about: Action("esinfer:monitor/about"),
    admin.openapi: Action("esinfer:monitor/openapi"),
    metrics.metrics: Action("esinfer:monitor/metrics"),
    chunks.chunk: Action("esinfer:monitor/chunk"),
    chunks.infer_chunks: Action("esinfer:monitor/chunked_inference"),
}
"""What is not here needs ``manage``: the twin's upstreams, and what is not implemented."""
