"""What clients probe beside the inference API (rest.md section 9, interface.md)."""

from __future__ import annotations

import pytest

import esinfer
from tests.conftest import Client, StartServer, Upstream, create, envelope

BUILD_HASH = "e5" * 20
UID = "00000000-0000-0000-0000-000000000000"

ROOT = """\
{
  "name" : "node-1",
  "cluster_name" : "cluster-1",
  "cluster_uuid" : "UUID",
  "version" : {
    "number" : "9.6.1",
    "build_flavor" : "default",
    "build_type" : "tar",
    "build_hash" : "HASH",
    "build_date" : "2026-01-01T00:00:00.000000000Z",
    "build_snapshot" : false,
    "lucene_version" : "10.3.2",
    "minimum_wire_compatibility_version" : "8.19.0",
    "minimum_index_compatibility_version" : "8.0.0"
  },
  "tagline" : "You Know, for Search"
}
"""


@pytest.fixture
async def named(start: StartServer) -> Client:
    """A server with names of its own."""
    return await start(
        "elasticsearch.version=9.6.1",
        "elasticsearch.cluster_name=cluster-1",
        "elasticsearch.node_name=node-1",
    )


async def test_the_root_is_pretty_and_complete(named: Client) -> None:
    reply = await named("GET", "/")
    uuid = reply.json["cluster_uuid"]
    assert (reply.status, reply.text) == (
        200,
        ROOT.replace("UUID", uuid).replace("HASH", BUILD_HASH),
    )
    assert len(uuid) == 22


async def test_the_root_is_compact_when_asked(named: Client) -> None:
    pretty, compact = await named("GET", "/"), await named("GET", "/?pretty=false")
    assert compact.json == pretty.json
    assert compact.raw.startswith(b'{"name":"node-1","cluster_name":"cluster-1","cluster_uuid":"')
    assert not compact.raw.endswith(b"\n")


async def test_the_root_can_be_filtered(named: Client) -> None:
    reply = await named("GET", "/?filter_path=version.number&pretty=false")
    assert reply.raw == b'{"version":{"number":"9.6.1"}}'


async def test_head_of_the_root_has_no_body(client: Client) -> None:
    reply = await client("HEAD", "/")
    assert (reply.status, reply.raw) == (200, b"")


async def test_the_cluster_keeps_its_ids(start: StartServer) -> None:
    one, other = await start(), await start()
    ids = {(await server("GET", "/")).json["cluster_uuid"] for server in (one, other)}
    assert len(ids) == 1


async def test_the_license_allows_everything(named: Client) -> None:
    reply = await named("GET", "/_license?accept_enterprise=true")
    assert (reply.status, reply.json) == (
        200,
        {
            "license": {
                "status": "active",
                "uid": UID,
                "type": "trial",
                "issue_date": "2026-01-01T00:00:00.000Z",
                "issue_date_in_millis": 1767225600000,
                "expiry_date": "2100-01-01T00:00:00.000Z",
                "expiry_date_in_millis": 4102444800000,
                "max_nodes": 1000,
                "max_resource_units": None,
                "issued_to": "cluster-1",
                "issuer": "elasticsearch",
                "start_date_in_millis": -1,
            }
        },
    )


async def test_xpack_knows_of_inference(client: Client) -> None:
    reply = await client("GET", "/_xpack?accept_enterprise=true")
    assert (reply.status, reply.json) == (
        200,
        {
            "build": {"hash": BUILD_HASH, "date": "2026-01-01T00:00:00.000000000Z"},
            "license": {
                "uid": UID,
                "type": "trial",
                "mode": "trial",
                "status": "active",
                "expiry_date_in_millis": 4102444800000,
            },
            "features": {"inference": {"available": True, "enabled": True}},
            "tagline": "You know, for X",
        },
    )


async def test_usage_counts_endpoints(client: Client, upstream: Upstream) -> None:
    empty = await client("GET", "/_xpack/usage")
    assert empty.json == {"inference": {"available": True, "enabled": True, "models": []}}
    for inference_id in ("a", "b"):
        await create(client, upstream, inference_id)
    await create(client, upstream, "c", "sparse_embedding")
    reply = await client("GET", "/_xpack/usage")
    models = [
        {"service": "hugging_face", "task_type": "sparse_embedding", "count": 1},
        {"service": "hugging_face", "task_type": "text_embedding", "count": 2},
    ]
    assert reply.json == {"inference": {"available": True, "enabled": True, "models": models}}


async def test_the_cluster_is_healthy(client: Client) -> None:
    reply = await client("GET", "/_cluster/health")
    health = reply.json
    assert (reply.status, health["cluster_name"], health["timed_out"]) == (200, "esinfer", False)
    assert (health["status"], health["number_of_nodes"]) == ("green", 1)


@pytest.mark.parametrize(
    "path", ["/_nodes", "/_nodes/http", "/_nodes/_all/http", "/_nodes/http,settings"]
)
async def test_sniffing_finds_the_server_itself(client: Client, path: str) -> None:
    reply = await client("GET", path)
    (node,) = reply.json["nodes"].values()
    assert reply.json["_nodes"] == {"total": 1, "successful": 1, "failed": 0}
    assert f"http://{node['http']['publish_address']}" == client.url
    assert (node["version"], node["build_flavor"]) == ("9.5.0", "default")
    assert node["http"]["max_content_length_in_bytes"] == 100 * 2**20


async def test_kibanas_version_check(client: Client) -> None:
    reply = await client("GET", "/_nodes?filter_path=nodes.*.version,nodes.*.http.publish_address")
    (node,) = reply.json["nodes"].values()
    assert node == {
        "version": "9.5.0",
        "http": {"publish_address": client.url.removeprefix("http://")},
    }


async def test_no_capability_is_claimed(client: Client) -> None:
    query = "method=GET&path=/_inference&capabilities=default_elser_2"
    reply = await client("GET", f"/_capabilities?{query}")
    nodes = {"total": 1, "successful": 1, "failed": 0}
    assert (reply.status, reply.json) == (
        200,
        {"_nodes": nodes, "cluster_name": "esinfer", "supported": False},
    )


@pytest.mark.parametrize("mode", ["serve", "mock"])
async def test_esinfer_says_what_it_is(start: StartServer, mode: str) -> None:
    client = await start(mode=mode)
    reply = await client("GET", "/_esinfer")
    assert (reply.status, reply.json) == (
        200,
        {
            "name": "esinfer",
            "version": esinfer.__version__,
            "mode": mode,
            "compatibility_version": "9.5.0",
        },
    )


async def test_what_is_not_implemented_says_so(client: Client) -> None:
    reply = await client("GET", "/_inference/.diagnostics")
    reason = "esinfer does not implement [GET /_inference/.diagnostics]"
    assert (reply.status, reply.json) == (501, envelope("status_exception", reason, 501))
