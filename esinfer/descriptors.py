"""How many connections the process may have descriptors for.

A server without a descriptor left can neither accept nor open its files, so it
takes no more connections than there is room for. Source: getrlimit(2).
"""

from __future__ import annotations

import logging
import resource
import sys
from typing import Final

from esinfer.connection import SPARE

_LOGGER = logging.getLogger(__name__)
_OWN: Final = 64
"""Descriptors for all but connections: files, pipes, the store, the loop."""


def fit(wanted: int, *, upstream: int) -> int:
    """As many connections as are ``wanted``, or as there is room for; 0 wants all that can be.

    ``upstream`` connections are opened besides. Raises the soft limit of open
    files as far as that takes, and warns if it takes more than the hard limit.
    """
    others = _OWN + upstream
    room = _raise_limit(wanted + SPARE + others if wanted else sys.maxsize) - others
    if wanted > 0 and wanted + min(wanted, SPARE) <= room:
        return wanted
    fitting = max(room - SPARE, room // 2, 1)
    if wanted:
        _LOGGER.warning(
            "server.max_connections is %d, but the limit of open files (ulimit -n) leaves room"
            " for %d",
            *(wanted, fitting),
        )
    return fitting


def _raise_limit(needed: int) -> int:
    """Raise the soft limit to what is needed, or to the hard one; what it is then."""
    soft, hard = (
        sys.maxsize if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    raised = min(needed, hard)
    if raised <= soft:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (ValueError, OSError):  # some systems allow less than they say
        return soft
    return raised
