"""Work that takes long, such as reading a large body, goes on beside the event loop.

The loop has only short steps to take, so that one request does not keep the
others waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

LARGE: Final = 64 * 1024
"""From this many bytes on a thread is worth it."""

# Few, as they take turns with the loop, and not the loop's own, which look up hosts.
_WORKERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="esinfer-large")


async def run_sized(size: int, step: Callable[[], T]) -> T:
    """The result of ``step``, whose work grows with ``size``, counted in bytes of JSON."""
    return step() if size < LARGE else await run_beside(step)


async def run_beside(step: Callable[[], T]) -> T:
    """The result of ``step``, whose work may be any."""
    return await asyncio.get_running_loop().run_in_executor(_WORKERS, step)
