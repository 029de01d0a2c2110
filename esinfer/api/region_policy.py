"""``/_inference/_region_policy``: put, read and delete the region policy.

Source: rest.md sections 7.5 and 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from aiohttp import web
from marshmallow import post_load

from esinfer.api import answers, body
from esinfer.api.endpoints import reject_body
from esinfer.api.guard import IDENTITY
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import BOOLEAN, Parameter, documented
from esinfer.api.responses import respond_json
from esinfer.errors import ActionRequestValidation, IllegalArgument, ParseException
from esinfer.json_schema import Json, record
from esinfer.nested_parser import ObjectField, ObjectsField
from esinfer.object_parser import ObjectParser, StringsField, TextField
from esinfer.region_policy import CspRegion, RegionPolicy


class CspRegionParser(ObjectParser):
    parser_name = "csp_region"

    csp = TextField(required=True)
    region = TextField(required=True)


_CSP_REGION = CspRegionParser()
_ALLOWED = ("allowed_regions", "allowed_geos")
"""The lists of which a policy has one; Elasticsearch checks them in this order."""


class RegionPolicyParser(ObjectParser):
    parser_name = "region_policy"

    allowed_geos = StringsField(metadata={"minItems": 1})
    allowed_regions = ObjectsField(_CSP_REGION, metadata={"minItems": 1})
    fallback_region = ObjectField(_CSP_REGION)

    def json_schema(self) -> Json:
        return {**super().json_schema(), "not": {"required": list(_ALLOWED)}}

    @post_load(pass_original=True)
    def _reject_both_lists(
        self, members: dict[str, Any], original: Mapping[str, object], **_: object
    ) -> dict[str, Any]:
        found = [name for name in original if name in _ALLOWED]
        if len(found) > 1:
            raise IllegalArgument(  # the blank at the end is Elasticsearch's
                reason=f"The following fields are not allowed together: [{', '.join(found)}] "
            )
        return members


class PutRegionPolicyParser(ObjectParser):
    parser_name = "put_region_policy_request"
    examples: ClassVar = {
        "areas": {"region_policy": {"allowed_geos": ["eu"]}},
        "regions": {"region_policy": {"allowed_regions": [{"csp": "aws", "region": "us-east-1"}]}},
    }

    region_policy = ObjectField(RegionPolicyParser(), required=True)


_PUT_REGION_POLICY = PutRegionPolicyParser()


def load_region_policy(parsed: body.Body) -> RegionPolicy:
    """The policy in the body of a PUT; its lists may be empty."""
    request: dict[str, Any] = _PUT_REGION_POLICY.parse(parsed.value, parsed.text)
    members: dict[str, Any] = request["region_policy"]
    regions = members.get("allowed_regions")
    fallback = members.get("fallback_region")
    return RegionPolicy(
        allowed_geos=members.get("allowed_geos"),
        allowed_regions=None if regions is None else tuple(CspRegion(**each) for each in regions),
        fallback_region=None if fallback is None else CspRegion(**fallback),
    )


def _problems(policy: RegionPolicy) -> Iterator[str]:
    for name in _ALLOWED:
        if getattr(policy, name) == ():
            yield f"[region_policy.{name}] must not be empty"


_STORED = record(
    {"region_policy": RegionPolicyParser(), "created_at": answers.TEXT},
    {"created_by": answers.TEXT, "updated_at": answers.TEXT, "updated_by": answers.TEXT},
)


@documented(
    "Set the region policy",
    parameters=[Parameter(name="force", description="Without effect.", schema=BOOLEAN)],
    bodies=[_PUT_REGION_POLICY],
    answer=_STORED,
)
async def put(request: web.Request) -> web.StreamResponse:
    """``PUT /_inference/_region_policy?force``.

    ``force`` overrides the refusal of a policy that bars endpoints in use;
    there are none that a policy could bar.
    """
    data = await body.read_bytes(request)
    if not data:
        raise ParseException(reason="body is required")
    request[PARAMETERS].boolean("force")
    policy = await body.load(request, data, load_region_policy)
    request[PARAMETERS].reject_unknown()
    problems = list(_problems(policy))
    if problems:
        raise ActionRequestValidation(problems)
    identity = request.get(IDENTITY)
    by = None if identity is None else identity.user
    stored = await request[NAMESPACE].region_policy.put(policy, by)
    return await respond_json(request, stored.to_wire())


@documented("Show the region policy", answer=_STORED, errors=[404])
async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_inference/_region_policy``."""
    reject_body(request)
    stored = await request[NAMESPACE].region_policy.get()
    return await respond_json(request, stored.to_wire())


@documented("Delete the region policy", answer=answers.ACKNOWLEDGED, errors=[404])
async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_inference/_region_policy``."""
    reject_body(request)
    await request[NAMESPACE].region_policy.delete()
    return await respond_json(request, {"acknowledged": True})
