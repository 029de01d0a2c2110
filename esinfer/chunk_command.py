"""``esinfer chunk``: the chunks of a file or of standard input, a JSON object a line.

Source: interface.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from esinfer.chunking.chunker import Chunk

DESCRIPTION = """\
Cut a text into chunks exactly as Elasticsearch does for the same
chunking_settings, and print each as a JSON object on a line of its own:
start_offset and end_offset (UTF-16 code units) and text. Without options that
is the default of a new inference endpoint: sentence, 250 words, one sentence
of overlap."""
EXAMPLES = """\
examples:
  esinfer chunk README.md --strategy sentence --max-chunk-size 60
  esinfer chunk --strategy word --max-chunk-size 100 --overlap 20 < notes.txt
  esinfer chunk notes.txt --strategy recursive --max-chunk-size 80 --separators '\\n\\n' '\\n'
  esinfer chunk README.md --strategy recursive --max-chunk-size 80 --separator-group markdown"""

_SETTINGS = ("max_chunk_size", "overlap", "sentence_overlap", "separator_group", "separators")


class InputError(Exception):
    """What was to be chunked cannot be; the text is one line that says why."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options: a setting each, spelled as on the command line."""
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE",
        help="UTF-8 text to chunk; - or none is standard input",
    )
    parser.add_argument(
        "--strategy", metavar="NAME", help="sentence (default), word, recursive or none"
    )
    parser.add_argument("--max-chunk-size", type=int, metavar="WORDS", help="most words of a chunk")
    parser.add_argument(
        "--overlap", type=int, metavar="WORDS", help="words that a chunk repeats (word)"
    )
    parser.add_argument(
        "--sentence-overlap",
        type=int,
        metavar="N",
        help="sentences that a chunk repeats, 0 or 1 (sentence)",
    )
    parser.add_argument(
        "--separator-group", metavar="NAME", help="plaintext or markdown (recursive)"
    )
    parser.add_argument(
        "--separators",
        nargs="+",
        action="extend",
        metavar="REGEX",
        help="Java regular expressions, coarsest first; --separators=REGEX for one"
        " that begins with - (recursive)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the chunks; the exit status. InputError where that cannot be."""
    from esinfer.chunking import settings  # noqa: PLC0415 - loads marshmallow
    from esinfer.errors import ElasticsearchError  # noqa: PLC0415

    given = {name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
    if args.strategy is not None or given:
        given["strategy"] = args.strategy or settings.DEFAULT.strategy
    try:
        loaded = settings.load(given)
        from esinfer.chunking.chunker import chunk  # noqa: PLC0415 - loads ICU and numpy

        chunks = chunk(_read(args.file), loaded)
    except ElasticsearchError as error:
        raise InputError(error.reason) from error
    return _write(chunks)


def _read(file: str) -> str:
    name = "standard input" if file == "-" else file
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: see byte {error.start}") from error
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error


def _write(chunks: Iterable[Chunk]) -> int:
    import orjson  # noqa: PLC0415

    out = sys.stdout.buffer
    try:
        out.writelines(orjson.dumps(chunk._asdict()) + b"\n" for chunk in chunks)
        out.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
