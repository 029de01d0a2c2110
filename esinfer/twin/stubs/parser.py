"""The declaration of a stub: a JSON value to a ``Stub``, or an error that says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, cast

import orjson

from esinfer.errors import IllegalArgument, PatternSyntax, StubbedError
from esinfer.json_reader import Token, token_of
from esinfer.json_schema import Json, any_of, array
from esinfer.nested_parser import OBJECT_ARRAY, DeepField, ObjectField, StoppedReading, parse_object
from esinfer.object_parser import Nested, ObjectParser, Problem, Text, WireField
from esinfer.twin import fields
from esinfer.twin.answers import json
from esinfer.twin.chat_forms import Said, ToolCall
from esinfer.twin.delivery import Call, Delivery, Effect, Ending, Refusal
from esinfer.twin.faults import answers as fault_answers
from esinfer.twin.faults.kinds import TASK_TYPES, describe_faults, read_fault
from esinfer.twin.stubs.stub import TASKS_OF, Answer, Match, Stub, Value
from esinfer.twin.words import pieces

_MANY: Final = 1_000_000
_MOST_ANSWERS: Final = 1000
_LONGEST_VECTOR: Final = 65_536
_LONGEST_SEARCH: Final = 1.0
"""Seconds that a regular expression may look into one input."""
_ARRAY: Final = frozenset({Token.START_ARRAY})
_OBJECT: Final = frozenset({Token.START_OBJECT})


class VectorField(WireField[list[float]]):
    """An array of numbers, one at least."""

    tokens = _ARRAY

    def read(self, value: list[object]) -> list[float]:
        if not 1 <= len(value) <= _LONGEST_VECTOR:
            reason = f"a vector of [{len(value)}] numbers, expected [1] to [{_LONGEST_VECTOR}]"
            raise IllegalArgument(reason=reason)
        return [_number(item, f"vector[{index}]") for index, item in enumerate(value)]

    def json_schema(self) -> Json:
        return array({"type": "number"}, minItems=1, maxItems=_LONGEST_VECTOR)


class WeightsField(WireField[dict[str, float]]):
    """An object of tokens and their weights."""

    tokens = _OBJECT

    def read(self, value: dict[str, object]) -> dict[str, float]:
        return {token: _number(weight, f"weights.{token}") for token, weight in value.items()}

    def json_schema(self) -> Json:
        return {"type": "object", "additionalProperties": {"type": "number"}}


class ScoreField(WireField[float]):
    """A number."""

    tokens = frozenset({Token.VALUE_NUMBER})

    def read(self, value: object) -> float:
        return _number(value, "score")

    def json_schema(self) -> Json:
        return {"type": "number"}


def _number(value: object, name: str) -> float:
    token = token_of(value)
    if token is not Token.VALUE_NUMBER:
        raise IllegalArgument(reason=f"[{name}] must be a number but was [{token}]")
    plain = fields.plain(value)
    try:
        is_number = math.isfinite(plain)
    except OverflowError:  # a whole number beyond any float
        is_number = False
    if not is_number:
        raise IllegalArgument(reason=f"[{name}] must be a finite number but was [{plain}]")
    return cast("float", plain)


class DeltasField(WireField[list[str]]):
    """An array of texts, one at least."""

    tokens = _ARRAY

    def read(self, value: list[object]) -> list[str]:
        if not value or not all(isinstance(item, str) for item in value):
            raise IllegalArgument(reason="[deltas] must be texts, one at least")
        return [str(item) for item in value]

    def json_schema(self) -> Json:
        return array({"type": "string"}, minItems=1)


class ArgumentsField(WireField[str]):
    """The arguments of a tool: an object, or a text as it is to be sent."""

    tokens = _OBJECT | {Token.VALUE_STRING}

    def read(self, value: object) -> str:
        return value if isinstance(value, str) else orjson.dumps(fields.plain(value)).decode()

    def json_schema(self) -> Json:
        return {"type": ["object", "string"]}


class StubToolCallParser(ObjectParser):
    parser_name = "tool_call"

    name = fields.TextField(required=True)
    arguments = ArgumentsField()


class StubErrorParser(ObjectParser):
    parser_name = "error"

    type = fields.TextField()
    reason = fields.TextField(required=True)
    status = fields.CountField(400, 599)


class StubRespondParser(ObjectParser):
    parser_name = "respond"

    status = fields.CountField(200, 599)
    headers = fields.HeadersField(fields.FRAMING)
    body = fields.AnyField()


class ListField(DeepField[tuple[Any, ...]]):
    """An array of objects, each read by itself; a single one will do.

    ``read_one`` takes an object and the steps to it; ``parser`` is its schema.
    """

    tokens = OBJECT_ARRAY

    def __init__(
        self,
        parser: ObjectParser,
        read_one: Callable[[dict[str, object], Any], Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parser = parser
        self.read_one = read_one

    def json_schema(self) -> Json:
        return any_of(array(self.parser, minItems=1, maxItems=_MOST_ANSWERS), self.parser)

    def read(self, value: object) -> tuple[Any, ...]:
        if isinstance(value, dict):
            return (self.read_one(value, ()),)
        items = cast("list[object]", value)
        if not 1 <= len(items) <= _MOST_ANSWERS:
            reason = f"[{len(items)}] items, expected [1] to [{_MOST_ANSWERS}]"
            raise IllegalArgument(reason=reason)
        return tuple(self._item(item, index) for index, item in enumerate(items))

    def _item(self, item: object, index: int) -> Any:
        if not isinstance(item, dict):
            problem = Problem(f"Expected START_OBJECT but was: {token_of(item)}")
            raise StoppedReading(Nested(self.parser.parser_name, (index,), problem), (index,))
        return self.read_one(item, (index,))


class FaultField(DeepField[Effect]):
    """What a fault of an upstream does, by its kind and parameters."""

    tokens = _OBJECT

    def read(self, value: dict[str, object]) -> Effect:
        fault = read_fault(value, ())
        for name in ("times", "match"):
            if name in value:
                raise IllegalArgument(reason=f"[{name}] belongs to the stub, not to its [fault]")
        if fault.effect is None:
            raise IllegalArgument(reason=f"[{fault.kind}] is no answer: set it as an upstream's")
        return fault.effect

    def json_schema(self) -> Json:
        return {"allOf": [describe_faults()]}


_TOOL_CALL: Final = StubToolCallParser()


class StubAnswerParser(ObjectParser):
    parser_name = "answer"

    vector = VectorField()
    weights = WeightsField()
    score = ScoreField()
    text = fields.TextField()
    deltas = DeltasField()
    tool_calls = ListField(_TOOL_CALL, lambda value, steps: parse_object(_TOOL_CALL, value, steps))
    finish_reason = fields.TextField()
    error = ObjectField(StubErrorParser())
    respond = ObjectField(StubRespondParser())
    fault = FaultField()


_ANSWER: Final = StubAnswerParser()


def _read_answer(value: dict[str, object], steps: tuple[int, ...]) -> Answer:
    loaded = parse_object(_ANSWER, value, steps)
    try:
        return _make_answer(loaded)
    except IllegalArgument as cause:
        raise StoppedReading(cause, steps, at_end=True) from cause


def _make_answer(loaded: Mapping[str, Any]) -> Answer:
    forms = [name for name in loaded if name in TASKS_OF]
    if len(forms) != 1:
        found = f"got [{', '.join(forms)}]" if forms else "got none"
        raise IllegalArgument(
            reason=f"an answer takes exactly one of [{', '.join(TASKS_OF)}], {found}"
        )
    (form,) = forms
    said = _said(form, loaded[form], loaded.get("finish_reason", "stop"))
    if said is None and "finish_reason" in loaded:
        raise IllegalArgument(reason=f"[finish_reason] does not go with [{form}]")
    effect = _EFFECTS[form](loaded[form]) if form in _EFFECTS else None
    value: Value | None = None if said or effect else loaded[form]
    return Answer(form=form, said=said, effect=effect, value=value)


def _said(form: str, value: Any, finish_reason: str) -> Said | None:
    match form:
        case "text":
            return Said(pieces(value) or [""], (), finish_reason)
        case "deltas":
            return Said(value, (), finish_reason)
        case "tool_calls":
            calls = [_tool_call(call["name"], call.get("arguments", "{}")) for call in value]
            return Said((), calls, finish_reason)
        case _:
            return None


def _tool_call(name: str, arguments: str) -> ToolCall:
    """The arguments in fragments as TGI streams them, the bracket first."""
    return ToolCall(name, [arguments[:1], *pieces(arguments[1:])])


def _refuse(error: Mapping[str, Any]) -> Effect:
    """Elasticsearch's own failure, whatever the upstream."""
    refusal = Refusal(
        type=error.get("type", "status_exception"),
        reason=error["reason"],
        status=error.get("status", 500),
    )
    body = {"error": {"type": refusal.type, "reason": refusal.reason}, "status": refusal.status}
    delivery = Delivery(
        answer=json(refusal.status, body), begins=False, ending=Ending.REFUSED, refusal=refusal
    )

    def effect(_call: Call) -> Delivery:
        return delivery

    return effect


_EFFECTS: Final[Mapping[str, Callable[[Any], Effect]]] = {
    "error": _refuse,
    "respond": lambda given: fault_answers.respond(**given),
    "fault": lambda effect: effect,
}


class RegexField(WireField[Callable[[str], bool]]):
    """A regular expression that looks for itself in a text."""

    tokens = frozenset({Token.VALUE_STRING})

    def read(self, value: str) -> Callable[[str], bool]:
        import regex  # noqa: PLC0415 - start-up does not pay for it

        try:
            pattern = regex.compile(value)
        except regex.error as error:
            raise PatternSyntax(reason=f"[{value}]: {error}") from error

        def finds(text: str) -> bool:
            try:
                return pattern.search(text, timeout=_LONGEST_SEARCH) is not None
            except TimeoutError as error:
                raise StubbedError(
                    type=IllegalArgument.type,
                    reason=f"the regex [{value}] of a stub takes more than [{_LONGEST_SEARCH:g}s]"
                    f" on an input of [{len(text)}] characters",
                    status=IllegalArgument.status,
                ) from error

        return finds

    def json_schema(self) -> Json:
        return {"type": "string"}


class StubMatchParser(ObjectParser):
    parser_name = "match"

    input = fields.TextField()
    contains = fields.TextField()
    regex = RegexField(attribute="finds")
    query = fields.TextField()
    inference_id = fields.TextField()
    task_type = fields.ChoiceField(TASK_TYPES)
    call = fields.CountField(1, _MANY)


class StubParser(ObjectParser):
    """What is answered, and to which inputs."""

    parser_name = "stub"
    examples: ClassVar = {
        "a score": {
            "match": {"contains": "fox", "task_type": "rerank"},
            "answer": {"score": 0.99},
        },
        "a sequence": {
            "match": {"task_type": "completion"},
            "answer": [{"text": "first"}, {"text": "then"}],
        },
    }

    match = ObjectField(StubMatchParser())
    answer = ListField(_ANSWER, _read_answer, required=True)
    times = fields.CountField(1, _MANY)
    then = fields.ChoiceField(("repeat", "twin"))


_STUB: Final = StubParser()


def load_stub(value: object, text: Text) -> Stub:
    """The stub that a JSON value declares; ElasticsearchErrors say what is wrong with it.

    ``text`` gives the JSON in which places of errors are counted.
    """
    loaded = _STUB.parse(value, text)
    stub = Stub(
        answers=loaded["answer"],
        match=Match(**loaded.get("match", {})),
        times=loaded.get("times"),
        ends=loaded.get("then") == "twin",
        wire=fields.plain(value),
    )
    _check(stub)
    return stub


def _check(stub: Stub) -> None:
    """Refuse a stub that can never answer all that it says."""
    tasks: frozenset[str] = frozenset(TASK_TYPES)
    for answer in stub.answers:
        tasks &= TASKS_OF[answer.form] or tasks
    forms = ", ".join(dict.fromkeys(answer.form for answer in stub.answers))
    match = stub.match
    if not tasks:
        raise IllegalArgument(reason=f"answers of one stub must be of one task, got [{forms}]")
    if match.task_type is not None and match.task_type not in tasks:
        reason = f"[{forms}] is no answer of [{match.task_type}], but of [{_listed(tasks)}]"
        raise IllegalArgument(reason=reason)
    if match.query is not None and "rerank" not in tasks & {match.task_type or "rerank"}:
        raise IllegalArgument(reason="[match.query] goes with [rerank] alone")
    if match.call is not None and len(stub.answers) > 1:
        raise IllegalArgument(reason="[match.call] is one request, it takes a single [answer]")


def _listed(tasks: Sequence[str] | frozenset[str]) -> str:
    return ", ".join(task for task in TASK_TYPES if task in tasks)
