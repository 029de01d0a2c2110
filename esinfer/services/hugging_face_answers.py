"""Answers of Hugging Face's own servers: embeddings, sparse embeddings, ranks.

Pure readers of text-embeddings-inference's, the Inference Toolkit's and
custom handlers' wire forms. Where it can, orjson reads; what it refuses or
cannot vouch for is read again, token by token, as Elasticsearch reads: it
stops after the array, and its errors name places. Contract: hugging_face.md
section 3.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from math import copysign, isnan
from struct import error as PackError  # noqa: N812 - the name says what it is
from struct import pack
from typing import TYPE_CHECKING, Any, cast

import orjson
from marshmallow import EXCLUDE

from esinfer.errors import ElasticsearchError, IllegalState, ParsingException
from esinfer.json_reader import JsonReader, Token, read_first_value
from esinfer.object_parser import (
    FloatField,
    IntegerField,
    ObjectParser,
    TextField,
)
from esinfer.rerank import RankedDocument, RerankResult
from esinfer.tasks import DenseEmbeddings, SparseEmbedding, SparseEmbeddings

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


def parse_embeddings(body: bytes) -> DenseEmbeddings:
    """``[[…], …]``, or an object that has it under ``embeddings``."""
    rows = _plain_rows(body)
    if rows is None:
        rows = list(_read_rows(JsonReader(body)))
    return DenseEmbeddings(vectors=_vectors(rows))


def _vectors(rows: Sequence[bytes]) -> Sequence[NDArray[float32]]:
    """The rows, packed as float32; a matrix if they have one length."""
    import numpy as np  # noqa: PLC0415 - not at start-up: loading it takes a fifth of a second

    if len({len(row) for row in rows}) != 1:
        return [np.frombuffer(row, dtype=np.float32) for row in rows]
    matrix = np.frombuffer(b"".join(rows), dtype=np.float32).reshape(len(rows), -1)
    return cast("Sequence[NDArray[float32]]", matrix)


def _plain_rows(body: bytes) -> list[bytes] | None:
    """The rows of a well-formed answer; None where only the careful way can tell."""
    try:
        document = orjson.loads(body)
        if isinstance(document, list) or _is_vouched_for(document, body):
            return _pack_rows(document, body)
    except (orjson.JSONDecodeError, RecursionError):
        pass  # it may still be good up to where Elasticsearch stops reading
    try:
        return _pack_rows(read_first_value(body), body)
    except ElasticsearchError:
        return None


def _pack_rows(document: object, body: bytes) -> list[bytes] | None:
    if isinstance(document, dict):
        # Of several fields of that name, beneath others too, the first counts.
        if body.count(b'"embeddings"') != 1:
            return None
        document = document.get("embeddings")
    if not isinstance(document, list) or not all(type(row) is list for row in document):
        return None
    if _says_boolean(body) and any(map(_has_boolean, document)):
        return None
    try:
        return [pack(f"{len(row)}f", *row) for row in document]
    except (PackError, OverflowError):
        return None


def _says_boolean(body: bytes) -> bool:
    # Single bytes are found ten times faster, and among numbers there are none of these.
    return (b"u" in body and b"true" in body) or (b"s" in body and b"false" in body)


def _has_boolean(row: Iterable[object]) -> bool:
    """Whether there is a boolean that would be packed like a number."""
    return any(type(value) is bool for value in row)


def _is_vouched_for(document: object, body: bytes) -> bool:
    """Whether every name stands once: orjson drops what is repeated in silence.

    Then there would be quotes left over; escapes hide quotes from counting.
    """
    if not isinstance(document, dict) or b"\\" in body:
        return False
    rest = {name: value for name, value in document.items() if name != "embeddings"}
    names = len(document) - len(rest) + _count_texts(rest)
    return body.count(b'"') == 2 * names


def _count_texts(value: object) -> int:
    """How many names and strings there are in a JSON value."""
    if isinstance(value, dict):
        return len(value) + sum(map(_count_texts, value.values()))
    if isinstance(value, list):
        return sum(map(_count_texts, value))
    return isinstance(value, str)


def _read_rows(reader: JsonReader) -> Iterator[bytes]:
    token = reader.next()
    if token is Token.START_OBJECT:
        _move_to_field(reader, "embeddings")
    elif token is not Token.START_ARRAY:
        raise _unexpected(reader)
    _expect(reader, Token.START_ARRAY)
    while reader.next() is not Token.END_ARRAY:
        _expect(reader, Token.START_ARRAY)
        yield array("f", _read_numbers(reader)).tobytes()


def _read_numbers(reader: JsonReader) -> Iterator[float]:
    while reader.next() is not Token.END_ARRAY:
        yield _number(reader)


def _move_to_field(reader: JsonReader, name: str) -> None:
    while reader.next() is not None:
        if reader.token is Token.FIELD_NAME and reader.value == name:
            reader.next()
            return
    raise IllegalState(
        reason=f"Failed to find required field [{name}] in Hugging Face embeddings response"
    )


def parse_sparse(body: bytes, truncated: Sequence[bool]) -> SparseEmbeddings:
    """``[{token: weight, …}, …]``; a result beyond the inputs counts as not truncated."""
    maps = _plain_maps(body)
    if maps is None:
        maps = list(_read_maps(JsonReader(body)))
    vectors = _vectors([weights.tobytes() for _, weights in maps])
    flags = [*truncated, *[False] * len(maps)]
    return SparseEmbeddings(
        embeddings=[
            SparseEmbedding(tokens=tokens, weights=weights, is_truncated=flag)
            for (tokens, _), weights, flag in zip(maps, vectors, flags, strict=False)
        ]
    )


TokenWeights = tuple[Sequence[str], "array[float]"]


def _plain_maps(body: bytes) -> list[TokenWeights] | None:
    """The maps of a well-formed answer; None where only the careful way can tell."""
    try:
        document = orjson.loads(body)
        maps = _pack_maps(document, body)
        if maps is not None and body.count(b'"') == 2 * sum(len(tokens) for tokens, _ in maps):
            return maps
    except orjson.JSONDecodeError:
        pass  # it may still be good up to where Elasticsearch stops reading
    try:
        return _pack_maps(read_first_value(body), body)
    except ElasticsearchError:
        return None


def _pack_maps(document: object, body: bytes) -> list[TokenWeights] | None:
    if not isinstance(document, list) or not all(type(item) is dict for item in document):
        return None
    if _says_boolean(body) and any(_has_boolean(item.values()) for item in document):
        return None
    try:
        return [(tuple(item), array("f", item.values())) for item in document]
    except (TypeError, OverflowError):
        return None


def _read_maps(reader: JsonReader) -> Iterator[TokenWeights]:
    reader.next()
    _expect(reader, Token.START_ARRAY)
    while reader.next() is not Token.END_ARRAY:
        _expect(reader, Token.START_OBJECT)
        tokens: list[str] = []
        weights = array("f")
        while reader.next() is not Token.END_OBJECT:
            tokens.append(reader.text)
            reader.next()
            weights.append(_number(reader))
        yield tokens, weights


class _RankedParser(ObjectParser):
    """One document of a rerank answer; what else it says is of no interest."""

    parser_name = "RankedDoc"

    class Meta:
        unknown = EXCLUDE

    index = IntegerField(required=True)
    score = FloatField(required=True)
    text = TextField()


_RANKED = _RankedParser()


def parse_rerank(body: bytes, top_n: int | None) -> RerankResult:
    """``[{"index", "score", "text"?}, …]``: best first, ``top_n`` at most."""
    reader = JsonReader(body)
    reader.next()
    _expect(reader, Token.START_ARRAY)
    documents = [_ranked(item) for item in cast("list[object]", read_first_value(body))]
    documents.sort(key=_order, reverse=True)
    return RerankResult(documents=documents[:top_n])


def _ranked(item: object) -> RankedDocument:
    loaded: dict[str, Any] = _RANKED.parse(item, lambda: json.dumps(item).encode())
    (score,) = array("f", (loaded["score"],))  # what is equal in float32 is a tie
    return RankedDocument(index=loaded["index"], relevance_score=score, text=loaded.get("text"))


def _order(document: RankedDocument) -> tuple[bool, float, float]:
    """Java's order of floats: NaN above all, -0.0 below 0.0."""
    score = document.relevance_score
    return (True, 0.0, 0.0) if isnan(score) else (False, score, copysign(1.0, score))


def _number(reader: JsonReader) -> float:
    _expect(reader, Token.VALUE_NUMBER)
    text = reader.text
    return 0.0 if text == "-0" else float(text)  # to Java it is an int, which has no -0


def _expect(reader: JsonReader, expected: Token) -> None:
    if reader.token is not expected:
        raise _parsing_error(
            reader, f"expecting token of type [{expected}] but found [{_name(reader.token)}]"
        )


def _unexpected(reader: JsonReader) -> ParsingException:
    return _parsing_error(reader, f"unexpected token [{_name(reader.token)}] found")


def _parsing_error(reader: JsonReader, what: str) -> ParsingException:
    return ParsingException(
        reason=f"Failed to parse object: {what}",
        line=reader.place.line,
        column=reader.place.column,
    )


def _name(token: Token | None) -> str:
    return "null" if token is None else token
