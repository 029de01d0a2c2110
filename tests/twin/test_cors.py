"""What a page in a browser sees of the twin."""

from __future__ import annotations

import pytest
from pytest_aiohttp import AiohttpClient

from esinfer.twin.app import make_twin_app
from esinfer.twin.profiles import make_server

CORS = {
    "Vary": "origin, access-control-request-method, access-control-request-headers",
    "Access-Control-Allow-Origin": "*",
}
PREFLIGHT = {
    "Origin": "https://page.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}


@pytest.mark.parametrize("profile", ["tei-1.9", "tgi"])
async def test_any_page_may_call(aiohttp_client: AiohttpClient, profile: str) -> None:
    """Asked before the key and the route are; every answer says so."""
    client = await aiohttp_client(make_twin_app(make_server(profile, api_key="key")))
    for path in ("/", "/nowhere"):
        asked = await client.options(path, headers=PREFLIGHT)
        assert (asked.status, await asked.read()) == (200, b"")
        allowed = {
            **CORS,
            "Access-Control-Allow-Methods": "GET,POST",
            "Access-Control-Allow-Headers": "content-type",
        }
        assert {name: asked.headers.get(name) for name in allowed} == allowed
    for answer in (
        await client.get("/health"),
        await client.post("/", json={"inputs": "a"}),
        await client.get("/nowhere"),
    ):
        assert {name: answer.headers.get(name) for name in CORS} == CORS


@pytest.mark.parametrize("profile", ["toolkit", "serverless", "elser", "vllm"])
async def test_others_allow_no_page(aiohttp_client: AiohttpClient, profile: str) -> None:
    client = await aiohttp_client(make_twin_app(make_server(profile)))
    asked = await client.options("/", headers=PREFLIGHT)
    assert asked.status in (404, 405)
    assert "Access-Control-Allow-Origin" not in asked.headers
