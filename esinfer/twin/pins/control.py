"""Sets and shows pinned similarities, as JSON values; ElasticsearchErrors say what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import ClassVar, Final, cast

import orjson

from esinfer.errors import IllegalArgument
from esinfer.json_reader import Token, token_of
from esinfer.json_schema import Json, array
from esinfer.nested_parser import DeepField, StoppedReading
from esinfer.object_parser import ObjectParser, Text
from esinfer.twin.pins.pins import Contradiction, Pin, Pins


class PinsField(DeepField[tuple[Pin, ...]]):
    """An array of ``[text, text, cosine]``."""

    tokens = frozenset({Token.START_ARRAY})

    def read(self, value: list[object]) -> tuple[Pin, ...]:
        return tuple(_pin(item, index) for index, item in enumerate(value))

    def json_schema(self) -> Json:
        text = {"type": "string"}
        cosine = {"type": "number", "minimum": -1, "maximum": 1}
        return array(
            {
                "type": "array",
                "prefixItems": [text, text, cosine],
                "minItems": 3,
                "maxItems": 3,
            }
        )


def _pin(item: object, index: int) -> Pin:
    if not isinstance(item, list) or len(item) != 3:
        got = f"[{len(item)}] values" if isinstance(item, list) else f"[{token_of(item)}]"
        raise _stopped(f"expected [text, text, cosine] but got {got}", (index,))
    for place, text in enumerate(item[:2]):
        if not isinstance(text, str):
            raise _stopped(f"expected a text but got [{token_of(text)}]", (index, place))
    cosine = item[2]
    if token_of(cosine) is not Token.VALUE_NUMBER or not math.isfinite(float(str(cosine))):
        raise _stopped(f"expected a cosine but got [{token_of(cosine)}]", (index, 2))
    return Pin(item[0], item[1], float(str(cosine)))


def _stopped(reason: str, steps: tuple[int, ...]) -> StoppedReading:
    return StoppedReading(IllegalArgument(reason=reason), steps)


class SimilaritiesParser(ObjectParser):
    parser_name = "similarities"
    examples: ClassVar = {
        "a paraphrase": {"similarities": [["cheap flight", "low-cost airfare", 0.92]]}
    }

    similarities = PinsField(required=True)


_PARSER: Final = SimilaritiesParser()


class SimilarityControl:
    """The pins of one twin.

    ``reads`` tells whether a text has tokens at all, ``dimensions`` gives the
    names of the twin's upstreams with the dimensions of their vectors.
    """

    def __init__(
        self,
        pins: Pins,
        *,
        reads: Callable[[str], bool],
        dimensions: Callable[[], Iterable[tuple[str, int]]],
    ) -> None:
        self._pins = pins
        self._reads = reads
        self._dimensions = dimensions
        self._lock = Lock()  # whether pins can hold together is found out in a thread

    def load(self, value: object, text: Text) -> Sequence[Pin]:
        """The pins in a body; changes nothing.

        ``text`` gives the JSON in which places of errors are counted.
        """
        return cast("Sequence[Pin]", _PARSER.parse(value, text)["similarities"])

    def put(self, pins: Sequence[Pin]) -> dict[str, object]:
        """Set all of them; what cannot hold together is refused, and nothing changes."""
        with self._lock:
            return self._change(Pins(), pins)

    def add(self, pins: Sequence[Pin]) -> dict[str, object]:
        """Set more."""
        with self._lock:
            return self._change(self._pins, pins)

    def similar(self, one: str, other: str, cosine: float) -> dict[str, object]:
        """Set one more, for callers in Python."""
        value = {"similarities": [[one, other, cosine]]}
        return self.add(self.load(value, lambda: orjson.dumps(value)))

    def show(self) -> dict[str, object]:
        """All of them, in the form in which they are put."""
        return {"similarities": [list(pin) for pin in self._pins]}

    def delete_all(self) -> None:
        """Forget all of them."""
        self._pins.clear()

    def _change(self, old: Pins, more: Sequence[Pin]) -> dict[str, object]:
        try:
            changed = old.plus(more)
        except Contradiction as error:
            raise IllegalArgument(reason=str(error)) from error
        for pin in more:
            self._check_texts(pin)
        self._check_dimensions(changed)
        self._pins.become(changed)
        return self.show()

    def _check_texts(self, pin: Pin) -> None:
        for text in pin.pair:
            if not self._reads(text):
                raise IllegalArgument(reason=f"there is nothing to read in the text [{text}]")

    def _check_dimensions(self, changed: Pins) -> None:
        most = max((len(each.texts) for each in changed.groups.values()), default=0)
        for name, dimensions in self._dimensions():
            if dimensions < most:
                raise IllegalArgument(
                    reason=f"[{most}] texts hang together by their similarities, which takes as"
                    f" many dimensions, and upstream [{name}] has [{dimensions}]"
                )
