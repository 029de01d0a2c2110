"""Waits before an answer: fixed, uniform, log-normal. Drawn from a seed, they repeat."""

from __future__ import annotations

import math
from random import Random

from esinfer.errors import IllegalArgument
from esinfer.twin.faults.fault import Delay

DISTRIBUTIONS = ("fixed", "uniform", "log_normal")
_LONGEST = 3600.0


def latency(  # noqa: PLR0913 -- the parameters of three distributions
    *,
    distribution: str = "fixed",
    delay: float = 0.1,
    low: float = 0.0,
    high: float = 0.1,
    median: float = 0.1,
    sigma: float = 0.5,
    seed: int = 0,
) -> Delay:
    """Seconds, drawn anew each time; an hour at most.

    ``fixed`` takes ``delay``, ``uniform`` what lies between ``low`` and
    ``high``, ``log_normal`` has a ``median`` and, of its logarithm, the
    standard deviation ``sigma``.
    """
    if distribution == "fixed":
        return lambda: delay
    if distribution == "uniform" and low > high:
        raise IllegalArgument(reason="[min] must not be greater than [max]")
    random = Random(seed)  # noqa: S311 - no secret
    if distribution == "uniform":
        return lambda: random.uniform(low, high)
    return lambda: min(median * math.exp(random.gauss(0, sigma)), _LONGEST)
