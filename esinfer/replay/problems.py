"""What can be wrong with a recording.

RecordingError     the file, told to whoever named it
Misfit             a part of it, before it is known where that stands
"""

from __future__ import annotations


class RecordingError(Exception):
    """A recording that cannot be read or written; the text is one line that says which and why."""


class Misfit(Exception):
    """A part of a recording is not what it must be; the text says what that is."""
