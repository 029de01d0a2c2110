"""The rules about upstreams at work: what is connected to, and what a refusal looks like."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from esinfer.addresses import make_rules
from esinfer.errors import InvalidHost, UpstreamNotAllowed
from esinfer.tasks import TaskType
from esinfer.upstream import HttpSettings, HttpTransport, UpstreamRequest, make_session
from tests.conftest import Client, StartServer, Upstream, create, envelope


class Names(AbstractResolver):
    """Answers with the next of the scripted lists of addresses."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=_family(address), proto=0, flags=0
            )
            for address in self.answers.pop(0)
        ]

    async def close(self) -> None:
        pass


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def post(
    upstream: Upstream, names: Names, *allow: str, host: str = "tei.example", times: int = 1
) -> None:
    """Call the upstream under another name, so often, with a new connection each time."""
    settings = HttpSettings(
        connect_timeout=5.0,
        max_response_size=1000,
        max_total_connections=2,
        max_route_connections=1,
        rules=make_rules(allow, private=True),
    )
    port = upstream.url.rpartition(":")[2].partition("/")[0]
    request = UpstreamRequest(
        url=f"http://{host}:{port}/x",
        headers={"Connection": "close"},
        body=b"{}",
        task_type=TaskType.TEXT_EMBEDDING,
        inference_id="id",
    )
    async with make_session(settings) as session:
        connector: Any = session.connector
        await connector._resolver.close()
        connector._resolver = names
        for _ in range(times):
            await HttpTransport(session, settings).send(request)
            connector.clear_dns_cache()


async def test_a_name_that_stands_for_an_allowed_address_is_called(upstream: Upstream) -> None:
    await post(upstream, Names(["127.0.0.1"]), "tei.example")
    assert len(upstream.requests) == 1


async def test_a_name_outside_the_list_is_not_called(upstream: Upstream) -> None:
    with pytest.raises(UpstreamNotAllowed, match=r"Host \[tei.example\] must not be called"):
        await post(upstream, Names(["127.0.0.1"]), "*.hf.example")
    assert not upstream.requests


async def test_of_several_addresses_only_allowed_ones_are_called(upstream: Upstream) -> None:
    await post(upstream, Names(["169.254.169.254", "::ffff:169.254.169.254", "127.0.0.1"]))
    assert len(upstream.requests) == 1


async def test_a_name_that_changes_its_address_between_calls_is_checked_each_time(
    upstream: Upstream,
) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    with pytest.raises(UpstreamNotAllowed):
        await post(upstream, names, "tei.example", times=2)
    assert len(upstream.requests) == 1
    assert not names.answers


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"])
async def test_addresses_as_such_are_checked_too(upstream: Upstream, host: str) -> None:
    with pytest.raises(UpstreamNotAllowed):
        await post(upstream, Names(), host=host)


@pytest.mark.parametrize(
    "host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"]
)
async def test_other_spellings_of_an_address_lead_nowhere(upstream: Upstream, host: str) -> None:
    with pytest.raises(Exception, match=r".*") as raised:
        await post(upstream, Names(["169.254.169.254"]), host=host)
    assert type(raised.value).__name__ in {"UpstreamNotAllowed", "HttpClientFailed"}


async def test_a_name_without_addresses_is_an_invalid_host(upstream: Upstream) -> None:
    class Unknown(Names):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise OSError("no such name")

    with pytest.raises(InvalidHost):
        await post(upstream, Unknown())


@pytest.fixture
async def strict(start: StartServer) -> Client:
    return await start("upstream.allow_private=false")


async def test_a_refused_upstream_is_a_400_and_is_tried_once(
    start: StartServer, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = await start("upstream.allow_private=false", "inference.skip_validate_and_start=true")
    await create(client, upstream)

    reply = await client("POST", "/_inference/text_embedding/id", {"input": "a"})

    reason = "Host [127.0.0.1] must not be called, see the settings [upstream] of esinfer."
    assert (reply.status, reply.json) == (400, envelope("status_exception", reason))
    assert not upstream.requests
    assert "attempt 1 failed: UpstreamNotAllowed" in caplog.text
    assert "attempt 2" not in caplog.text


async def test_an_endpoint_whose_upstream_is_refused_is_not_created(
    strict: Client, upstream: Upstream
) -> None:
    reply = await strict(
        "PUT",
        "/_inference/text_embedding/id",
        {"service": "hugging_face", "service_settings": {"url": upstream.url, "api_key": "secret"}},
    )

    reason = "Host [127.0.0.1] must not be called, see the settings [upstream] of esinfer."
    inner = {"type": "status_exception", "reason": reason}
    assert (reply.status, reply.json) == (
        400,
        envelope(
            "status_exception",
            "Could not complete inference endpoint creation as validation call to service"
            " threw an exception.",
            caused_by=inner,
            root=inner,
        ),
    )
    assert not upstream.requests


async def test_the_metadata_service_is_refused_by_default(client: Client) -> None:
    url = "http://169.254.169.254/latest/meta-data/"
    reply = await client(
        "PUT",
        "/_inference/text_embedding/id",
        {"service": "hugging_face", "service_settings": {"url": url, "api_key": "secret"}},
    )
    assert reply.status == 400
    assert "Host [169.254.169.254] must not be called" in reply.text


async def test_the_list_is_read_from_the_settings(start: StartServer, upstream: Upstream) -> None:
    client = await start("upstream.allow=*.hf.example, 127.0.0.0/8", "upstream.allow_private=false")
    await create(client, upstream)
    reply = await client("POST", "/_inference/text_embedding/id", {"input": "a"})
    assert reply.status == 200


async def test_no_proxy_resolves_names_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    settings = HttpSettings(
        connect_timeout=5.0, max_response_size=1, max_total_connections=1, max_route_connections=1
    )
    async with make_session(settings) as session:
        assert not session.trust_env
