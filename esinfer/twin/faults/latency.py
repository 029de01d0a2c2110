"""Waits before an answer: fixed, uniform, log-normal. Drawn from a seed, they repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from esinfer.errors import IllegalArgument
from esinfer.twin.faults.fault import Delay

_LONGEST: Final = 3600.0


def _fixed(*, delay: float = 0.1) -> Delay:
    return lambda: delay


def _uniform(*, low: float = 0.0, high: float = 0.1, seed: int = 0) -> Delay:
    if low > high:
        raise IllegalArgument(reason="[min] must not be greater than [max]")
    random = Random(seed)  # noqa: S311 - no secret
    return lambda: random.uniform(low, high)


def _log_normal(*, median: float = 0.1, sigma: float = 0.5, seed: int = 0) -> Delay:
    random = Random(seed)  # noqa: S311 - no secret
    return lambda: min(median * math.exp(random.gauss(0, sigma)), _LONGEST)


_MAKERS: Final[Mapping[str, tuple[Callable[..., Delay], Sequence[str]]]] = {
    "fixed": (_fixed, ("delay",)),
    "uniform": (_uniform, ("low", "high", "seed")),
    "log_normal": (_log_normal, ("median", "sigma", "seed")),
}
DISTRIBUTIONS: Final = tuple(_MAKERS)
_ON_THE_WIRE: Final = {"low": "min", "high": "max"}


def latency(*, distribution: str = "fixed", **parameters: float) -> Delay:
    """Seconds, drawn anew each time; an hour at most.

    ``fixed`` takes ``delay``, ``uniform`` what lies between ``low`` and
    ``high``, ``log_normal`` has a ``median`` and, of its logarithm, the
    standard deviation ``sigma``; the last two draw from a ``seed``.
    IllegalArgument for a parameter of another distribution.
    """
    make, known = _MAKERS[distribution]
    for name in parameters:
        if name not in known:
            shown = _ON_THE_WIRE.get(name, name)
            raise IllegalArgument(
                reason=f"[{shown}] does not go with the distribution [{distribution}]"
            )
    return make(**parameters)
