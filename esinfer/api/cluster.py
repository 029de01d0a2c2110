"""The few cluster APIs that clients probe, answered by a cluster of one node.

Source: rest.md section 9.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api.answers import FLAG, INTEGER, NODES, OBJECT, TEXT
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import ABOUT, NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import BOOLEAN, TIME, Parameter, documented
from esinfer.api.responses import respond_json, respond_pretty
from esinfer.errors import NotImplementedHere
from esinfer.json_schema import Json, array, record
from esinfer.tasks import TaskType

_BUILD_HASH = "e5" * 20
_BUILD_DATE = "2026-01-01T00:00:00.000000000Z"
_LICENSE_UID = "00000000-0000-0000-0000-000000000000"
_NEVER_MILLIS = 4_102_444_800_000  # 2100-01-01


def _ignored(*names: str, schema: Json = TEXT) -> list[Parameter]:
    """Parameters that are read and have no effect."""
    return [Parameter(name=name, description="Without effect.", schema=schema) for name in names]


_VERSION = (
    "build_type",
    "number",
    "build_flavor",
    "build_hash",
    "build_date",
    "lucene_version",
    "minimum_wire_compatibility_version",
    "minimum_index_compatibility_version",
)


@documented(
    "Tell the cluster's name and version",
    answer=record(
        {
            **dict.fromkeys(("name", "cluster_name", "cluster_uuid", "tagline"), TEXT),
            "version": record(dict.fromkeys(_VERSION, TEXT) | {"build_snapshot": FLAG}),
        }
    ),
)
async def root(request: web.Request) -> web.StreamResponse:
    """``GET /``, ``HEAD /``: pretty unless told otherwise."""
    reject_body(request)
    about = request.app[ABOUT]
    return await respond_pretty(
        request,
        {
            "name": about.node_name,
            "cluster_name": about.cluster_name,
            "cluster_uuid": about.cluster_uuid,
            "version": {
                "number": about.version,
                "build_flavor": "default",  # any other switches clients to serverless headers
                "build_type": "tar",
                "build_hash": _BUILD_HASH,
                "build_date": _BUILD_DATE,
                "build_snapshot": False,
                "lucene_version": "10.3.2",
                "minimum_wire_compatibility_version": "8.19.0",
                "minimum_index_compatibility_version": "8.0.0",
            },
            "tagline": "You Know, for Search",
        },
    )


@documented(
    "Show the licence",
    parameters=_ignored("local", "accept_enterprise", schema=BOOLEAN),
    answer=record({"license": OBJECT}),
)
async def license_(request: web.Request) -> web.StreamResponse:
    """``GET /_license``: everything is allowed."""
    for name in ("local", "accept_enterprise"):
        request[PARAMETERS].boolean(name)
    reject_body(request)
    return await respond_json(
        request,
        {
            "license": {
                "status": "active",
                "uid": _LICENSE_UID,
                "type": "trial",
                "issue_date": _BUILD_DATE[:23] + "Z",
                "issue_date_in_millis": 1_767_225_600_000,
                "expiry_date": "2100-01-01T00:00:00.000Z",
                "expiry_date_in_millis": _NEVER_MILLIS,
                "max_nodes": 1000,
                "max_resource_units": None,
                "issued_to": request.app[ABOUT].cluster_name,
                "issuer": "elasticsearch",
                "start_date_in_millis": -1,
            }
        },
    )


@documented(
    "Show build, licence and features",
    parameters=[*_ignored("categories"), *_ignored("accept_enterprise", schema=BOOLEAN)],
    answer=record(
        {"build": OBJECT, "license": OBJECT, "features": OBJECT, "tagline": TEXT},
    ),
)
async def xpack(request: web.Request) -> web.StreamResponse:
    """``GET /_xpack``: build, licence and the one feature there is."""
    request[PARAMETERS].text("categories")
    request[PARAMETERS].boolean("accept_enterprise")
    reject_body(request)
    return await respond_json(
        request,
        {
            "build": {"hash": _BUILD_HASH, "date": _BUILD_DATE},
            "license": {
                "uid": _LICENSE_UID,
                "type": "trial",
                "mode": "trial",
                "status": "active",
                "expiry_date_in_millis": _NEVER_MILLIS,
            },
            "features": {"inference": {"available": True, "enabled": True}},
            "tagline": "You know, for X",
        },
    )


@documented(
    "Count the inference endpoints",
    parameters=_ignored("master_timeout", schema=TIME),
    answer=record(
        {
            "inference": record(
                {
                    "available": FLAG,
                    "enabled": FLAG,
                    "models": array(record({"service": TEXT, "task_type": TEXT, "count": INTEGER})),
                }
            )
        }
    ),
)
async def usage(request: web.Request) -> web.StreamResponse:
    """``GET /_xpack/usage``: endpoints counted by service and task type."""
    request[PARAMETERS].time("master_timeout")
    reject_body(request)
    counts: dict[tuple[str, str], int] = {}
    for endpoint in await request[NAMESPACE].lifecycle.list_endpoints(TaskType.ANY):
        key = (endpoint.service, endpoint.task_type.value)
        counts[key] = counts.get(key, 0) + 1
    models = [
        {"service": service, "task_type": task_type, "count": count}
        for (service, task_type), count in sorted(counts.items())
    ]
    return await respond_json(
        request, {"inference": {"available": True, "enabled": True, "models": models}}
    )


_HEALTH = ("wait_for_status", "wait_for_nodes", "level", "timeout", "master_timeout")
_NODES = ("timeout", "flat_settings")
_CAPABILITIES = ("method", "path", "parameters", "capabilities", "local_only", "timeout")


@documented(
    "Tell the cluster's health",
    parameters=_ignored(*_HEALTH),
    answer={
        "type": "object",
        "properties": {"cluster_name": TEXT, "status": {"const": "green"}, "timed_out": FLAG},
        "required": ["cluster_name", "status", "timed_out"],
        "additionalProperties": {"type": "number"},
    },
)
async def health(request: web.Request) -> web.StreamResponse:
    """``GET /_cluster/health``: always green. Waiting for a status is over at once."""
    for name in _HEALTH:
        request[PARAMETERS].text(name)
    reject_body(request)
    return await respond_json(
        request,
        {
            "cluster_name": request.app[ABOUT].cluster_name,
            "status": "green",
            "timed_out": False,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
            "active_primary_shards": 0,
            "active_shards": 0,
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": 0,
            "unassigned_primary_shards": 0,
            "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": 0,
            "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 100,
        },
    )


@documented(
    "Show the nodes",
    parameters=_ignored(*_NODES),
    answer=record({"_nodes": NODES, "cluster_name": TEXT, "nodes": OBJECT}),
)
async def nodes(request: web.Request) -> web.StreamResponse:
    """``GET /_nodes…``: this node at the address it was asked under, for sniffing."""
    for name in _NODES:
        request[PARAMETERS].text(name)
    reject_body(request)
    about = request.app[ABOUT]
    host = request.host if ":" in request.host.rpartition("]")[2] else f"{request.host}:80"
    return await respond_json(
        request,
        {
            "_nodes": {"total": 1, "successful": 1, "failed": 0},
            "cluster_name": about.cluster_name,
            "nodes": {
                about.node_id: {
                    "name": about.node_name,
                    "transport_address": host,
                    "host": host.rpartition(":")[0],
                    "ip": host.rpartition(":")[0],
                    "version": about.version,
                    "build_flavor": "default",
                    "build_type": "tar",
                    "build_hash": _BUILD_HASH,
                    "roles": ["data", "ingest", "master", "ml"],
                    "attributes": {},
                    "http": {
                        "bound_address": [host],
                        "publish_address": host,
                        "max_content_length_in_bytes": request.client_max_size,
                    },
                }
            },
        },
    )


@documented(
    "Ask for a named capability",
    parameters=_ignored(*_CAPABILITIES),
    answer=record({"_nodes": NODES, "cluster_name": TEXT, "supported": FLAG}),
)
async def capabilities(request: web.Request) -> web.StreamResponse:
    """``GET /_capabilities``: esinfer knows of no named capability."""
    for name in _CAPABILITIES:
        request[PARAMETERS].text(name)
    reject_body(request)
    return await respond_json(
        request,
        {
            "_nodes": {"total": 1, "successful": 1, "failed": 0},
            "cluster_name": request.app[ABOUT].cluster_name,
            "supported": False,
        },
    )


@documented("Not there", description="Elasticsearch has it, esinfer has not.", errors=[501])
async def not_implemented(request: web.Request) -> web.StreamResponse:
    """What Elasticsearch has under ``/_inference`` and esinfer has not."""
    raise NotImplementedHere(method=request.method, path=request.path)
