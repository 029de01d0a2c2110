"""``esinfer endpoints import``: endpoints created on a server, one after the other.

No endpoint is deleted that could be changed, and none whose successor the
server has not just found good; what is deleted is created with patience, for
its key may be nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from esinfer import transfer
from esinfer.progress import Progress
from esinfer.remote import Refused, Remote
from esinfer.transfer import Portable, TransferError

_ALREADY_THERE = "resource_already_exists_exception"
_PAUSES = (0.5, 2.0, 5.0)
"""Seconds before each further attempt to create what has been deleted."""


class _Lost(TransferError):
    """An endpoint was deleted, and another has not taken its place."""


class Import:
    """Creates endpoints; ``existing`` says what becomes of those that are there."""

    def __init__(self, remote: Remote, existing: str, progress: Progress) -> None:
        self._remote = remote
        self._existing = existing
        self._progress = progress
        self._imported = self._left = self._failed = 0

    def run(self, endpoints: Sequence[Portable]) -> int:
        """The exit status. Raises TransferError if the server was of no use from the start."""
        try:
            for number, endpoint in enumerate(endpoints):
                self._progress.show(number, endpoint.inference_id)
                self._add(endpoint)
        except TransferError as error:
            if not (self._imported or self._left or self._failed):
                raise
            self._failed += 1
            self._progress.say(str(error))
        except KeyboardInterrupt:
            self._sum_up(len(endpoints))
            raise
        finally:
            self._progress.clear()
        self._sum_up(len(endpoints))
        return 1 if self._failed else 0

    def _sum_up(self, total: int) -> None:
        left = f", {self._left} left as they were" if self._left else ""
        self._progress.say(f"{self._imported} of {total} endpoints imported{left}")

    def _add(self, endpoint: Portable) -> None:
        """One endpoint; why it could not be imported is said, unless it concerns all others."""
        try:
            if self._create(endpoint):
                self._imported += 1
            else:
                self._left += 1
        except (Refused, _Lost) as error:
            if isinstance(error, Refused) and error.status in {401, 403}:
                raise
            self._failed += 1
            self._say(endpoint, str(error))

    def _create(self, endpoint: Portable) -> bool:
        """Whether the server has it now, and not what it had before."""
        try:
            self._remote.put(endpoint)
        except Refused as error:
            if error.kind != _ALREADY_THERE or self._existing == "fail":
                raise
            if self._existing == "skip":
                return False
            self._replace(endpoint)
        return True

    def _replace(self, endpoint: Portable) -> None:
        change = transfer.change(self._remote.get(endpoint), endpoint)
        if change is None:
            self._create_anew(endpoint)
        elif change:
            self._remote.update(endpoint, change)

    def _create_anew(self, endpoint: Portable) -> None:
        try:
            self._delete(endpoint)
            self._insist(endpoint)
        except KeyboardInterrupt:
            self._say(endpoint, "stopped while it was replaced: it may be gone")
            raise

    def _delete(self, endpoint: Portable) -> None:
        try:
            self._remote.delete(endpoint)
        except Refused:
            raise
        except TransferError as error:
            raise _Lost(f"perhaps deleted, not created again: {error}") from error

    def _insist(self, endpoint: Portable) -> None:
        """Create what has been deleted, now or a little later."""
        for pause in (*_PAUSES, None):
            try:
                self._remote.put(endpoint)
            except TransferError as error:
                if isinstance(error, Refused) and error.kind == _ALREADY_THERE:
                    return  # of the attempt before, whose answer was lost
                if pause is None:
                    raise _Lost(f"deleted, not created again: {error}") from error
                time.sleep(pause)
            else:
                return

    def _say(self, endpoint: Portable, line: str) -> None:
        self._progress.say(f"endpoint [{endpoint.inference_id}]: {line}")
