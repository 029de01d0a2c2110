"""Every kind of fault: its name, its parameters, what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from esinfer.errors import IllegalArgument
from esinfer.json_reader import token_of
from esinfer.json_schema import Named, any_of
from esinfer.nested_parser import ObjectField, StoppedReading, parse_object
from esinfer.object_parser import Nested, ObjectParser, Problem
from esinfer.similar import did_you_mean
from esinfer.twin import fields
from esinfer.twin.delivery import Effect
from esinfer.twin.faults import answers, bodies, events, wire
from esinfer.twin.faults.fault import Delay, Fault, Match
from esinfer.twin.faults.latency import DISTRIBUTIONS, latency

TASK_TYPES: Final = (
    "text_embedding",
    "sparse_embedding",
    "rerank",
    "completion",
    "chat_completion",
)
_MANY: Final = 1_000_000


class MatchParser(ObjectParser):
    parser_name = "match"

    inference_id = fields.TextField()
    task_type = fields.ChoiceField(TASK_TYPES)
    text = fields.TextField()
    path = fields.TextField()
    header = fields.HeadersField()
    every = fields.CountField(1, _MANY)


class FaultParser(ObjectParser):
    """What every fault has; the parsers of kinds add their parameters."""

    parser_name = "fault"

    kind = fields.TextField(required=True)
    times = fields.CountField(1, _MANY)
    match = ObjectField(MatchParser())


class _Latency(FaultParser):
    distribution = fields.ChoiceField(DISTRIBUTIONS)
    delay = fields.DurationField()
    low = fields.DurationField(data_key="min")
    high = fields.DurationField(data_key="max")
    median = fields.DurationField()
    sigma = fields.RatioField(10)
    seed = fields.CountField(0, 2**31 - 1)


class _Unauthorized(FaultParser):
    by = fields.ChoiceField(answers.REFUSING)


class _RateLimited(FaultParser):
    retry_after = fields.CountField(0, 86_400)
    rate_limit_headers = fields.BooleanField()


class _Backend(FaultParser):
    message = fields.TextField()


class _Gateway(FaultParser):
    status = fields.CountField(500, 504)


class _Error(FaultParser):
    status = fields.CountField(400, 599)
    form = fields.ChoiceField(("text", "list", "object"))
    message = fields.TextField()


class _Redirect(FaultParser):
    status = fields.CountField(300, 399)
    location = fields.TextField()


class _Respond(FaultParser):
    status = fields.CountField(200, 599)
    body = fields.AnyField()
    headers = fields.HeadersField(fields.FRAMING)


class _Malformed(FaultParser):
    keep = fields.RatioField(1)


class _WrongCount(FaultParser):
    count = fields.CountField(0, 10_000)


class _WrongDimensions(FaultParser):
    dimensions = fields.CountField(0, 10_000)


class _Huge(FaultParser):
    size = fields.SizeField()


class _StreamError(FaultParser):
    after = fields.CountField(0, _MANY)
    form = fields.ChoiceField(("tgi", "vllm"))
    message = fields.TextField()
    code = fields.CountField(400, 599)


class _CutStream(FaultParser):
    after = fields.CountField(0, _MANY)
    ending = fields.ChoiceField(("whole", "closed", "reset"))


class _BrokenOff(FaultParser):
    at = fields.ChoiceField(wire.POINTS)


class _Stall(_BrokenOff):
    duration = fields.DurationField()


class _Truncate(FaultParser):
    framing = fields.ChoiceField(("length", "chunked"))


class _Drip(FaultParser):
    size = fields.CountField(1, 1024 * 1024)
    pause = fields.DurationField()


class _Split(FaultParser):
    size = fields.CountField(1, 1024 * 1024)


def _split(*, size: int = 1) -> Effect:
    """Small parts, one straight after the other: even a character comes in several."""
    return wire.drip(size=size, pause=0.0)


_BARE: Final = FaultParser()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault; ``make`` takes its parameters and gives an effect, or the delay it is."""

    make: Callable[..., Effect]
    parser: FaultParser = _BARE
    streams_only: bool = False


def _plain(effect: Effect, *, streams_only: bool = False) -> Kind:
    """A kind without parameters."""
    return Kind(lambda: effect, streams_only=streams_only)


LATENCY: Final = "latency"
_LATENCY: Final = _Latency()

KINDS: Final[Mapping[str, Kind]] = {
    "loading": _plain(answers.loading),
    "paused": _plain(answers.paused),
    "unauthorized": Kind(answers.unauthorized, _Unauthorized()),
    "overloaded": _plain(answers.overloaded),
    "rate_limited": Kind(answers.rate_limited, _RateLimited()),
    "backend": Kind(answers.backend, _Backend()),
    "gateway": Kind(answers.gateway, _Gateway()),
    "error": Kind(answers.error, _Error()),
    "redirect": Kind(answers.redirect, _Redirect()),
    "html": _plain(answers.html),
    "empty": _plain(answers.empty),
    "respond": Kind(answers.respond, _Respond()),
    "malformed": Kind(bodies.malformed, _Malformed()),
    "invalid_utf8": _plain(bodies.invalid_utf8),
    "wrong_count": Kind(bodies.wrong_count, _WrongCount()),
    "wrong_dimensions": Kind(bodies.wrong_dimensions, _WrongDimensions()),
    "nan": _plain(bodies.not_a_number),
    "gzip": _plain(bodies.gzip),
    "huge": Kind(bodies.huge, _Huge()),
    "stall": Kind(wire.stall, _Stall()),
    "reset": Kind(wire.reset, _BrokenOff()),
    "close": Kind(wire.close, _BrokenOff()),
    "truncate": Kind(wire.truncate, _Truncate()),
    "drip": Kind(wire.drip, _Drip()),
    "split": Kind(_split, _Split()),
    "stream_error": Kind(events.stream_error, _StreamError(), streams_only=True),
    "cut_stream": Kind(events.cut_stream, _CutStream(), streams_only=True),
    "missing_done": _plain(events.missing_done, streams_only=True),
    "after_done": _plain(events.after_done, streams_only=True),
    "comments": _plain(events.comments, streams_only=True),
    "crlf": _plain(events.crlf, streams_only=True),
}
"""All kinds but ``latency``, which goes with every other."""

NAMES: Final = (LATENCY, *KINDS)


def parser_of(kind: str) -> FaultParser:
    """What reads the faults of a kind."""
    return _LATENCY if kind == LATENCY else KINDS[kind].parser


def _describe(parser: FaultParser, names: Sequence[str]) -> Named:
    """The faults of kinds with the same parameters."""
    described = parser.json_schema()
    kind = {"kind": {"enum": list(names)}}
    members = {**described, "properties": {**described["properties"], **kind}}
    title = "Plain" if parser is _BARE else "".join(map(str.title, names[0].split("_")))
    return Named(f"{title}Fault", members)


def describe_faults() -> Named:
    """What is accepted as a fault, kind by kind."""
    kinds: dict[FaultParser, list[str]] = {}
    for name in NAMES:
        kinds.setdefault(parser_of(name), []).append(name)
    return Named("Fault", any_of(*(_describe(*each) for each in kinds.items())))


def make_fault(loaded: Mapping[str, Any], declared: Mapping[str, object]) -> Fault:
    """The fault out of what its parser loaded; IllegalArgument if parameters contradict."""
    parameters = dict(loaded)
    kind = parameters.pop("kind")
    times = parameters.pop("times", None)
    match = Match(**parameters.pop("match", {}))
    wire_form = fields.plain(declared)
    if kind == LATENCY:
        delay: Delay = latency(**parameters)
        return Fault(kind=kind, delay=delay, match=match, times=times, wire=wire_form)
    return Fault(
        kind=kind,
        effect=KINDS[kind].make(**parameters),
        match=match,
        times=times,
        streams_only=KINDS[kind].streams_only,
        wire=wire_form,
    )


def read_fault(value: object, steps: tuple[int, ...]) -> Fault:
    """The fault that a JSON value declares; StoppedReading, counted from ``steps``, if none."""
    if not isinstance(value, dict):
        problem = Problem(f"Expected START_OBJECT but was: {token_of(value)}")
        raise StoppedReading(Nested("fault", steps, problem), steps)
    kind = value.get("kind")
    if isinstance(kind, str) and kind not in NAMES:
        hint = did_you_mean(kind, NAMES) or f"expected one of [{', '.join(NAMES)}]"
        cause = IllegalArgument(reason=f"unknown kind of fault [{kind}], {hint}")
        problem = Problem("failed to parse field [kind]", cause)
        raise StoppedReading(Nested("fault", (*steps, "kind"), problem), (*steps, "kind"))
    parser = parser_of(kind if isinstance(kind, str) else NAMES[0])
    loaded = parse_object(parser, value, steps)
    try:
        return make_fault(loaded, value)
    except IllegalArgument as cause:
        raise StoppedReading(cause, steps, at_end=True) from cause
