"""Files that are their owner's alone, since there may be keys in them."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkstemp


def write(path: Path, text: str) -> None:
    """All of it or, with an OSError, nothing; what has been there gives way at the end."""
    if path.exists() and not path.is_file():  # a pipe, or /dev/stdout
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()
    descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise
