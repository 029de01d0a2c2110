"""``esinfer chunk``: the chunks of a file or of standard input, a JSON object a line.

Source: interface.md.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

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
    """What was to be chunked cannot be read, chunked or written; the text says why."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options: a setting each, spelled as on the command line."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="UTF-8 text to chunk; - or none is standard input; stands before --separators",
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
    if args.strategy is not None:
        given["strategy"] = args.strategy
    elif given:
        given["strategy"] = settings.DEFAULT.strategy
    try:
        loaded = settings.load(given)
        from esinfer.chunking.chunker import chunk  # noqa: PLC0415 - loads ICU and numpy

        chunks = chunk(_read(_file(args)), loaded)
    except ElasticsearchError as error:
        raise InputError(error.reason) from error
    return _write(chunks)


def _file(args: argparse.Namespace) -> str:
    """FILE; InputError if --separators has swallowed it."""
    if args.file is None and args.separators and Path(args.separators[-1]).is_file():
        swallowed = args.separators[-1]
        raise InputError(
            f"--separators takes all that follows, {swallowed} too; write FILE before it"
        )
    return "-" if args.file is None else args.file


def _read(file: str) -> str:
    name = "standard input" if file == "-" else repr(file)
    try:
        return _read_bytes(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: see byte {error.start}") from error
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error


def _read_bytes(file: str) -> bytes:
    if file != "-":
        with open(file, "rb") as opened:  # noqa: PTH123 - a Path of "" is the current directory
            return opened.read()
    return _open(sys.stdin).buffer.read()


def _open(stream: TextIO | None) -> TextIO:
    """A standard stream, which whoever started us may have closed."""
    if stream is None:
        raise OSError(errno.EBADF, "it is closed")
    return stream


def _write(chunks: Iterable[Chunk]) -> int:
    import orjson  # noqa: PLC0415

    try:
        out = _open(sys.stdout).buffer
        out.writelines(orjson.dumps(chunk._asdict()) + b"\n" for chunk in chunks)
        out.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        _write_no_more()
    except OSError as error:
        _write_no_more()
        raise InputError(f"cannot write to standard output: {error.strerror}") from error
    return 0


def _write_no_more() -> None:
    """Python flushes what is left when it ends, and would complain again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
