"""What goes wrong upstream: none of it may make an answer wrong, only late or an error."""

from __future__ import annotations

from collections.abc import Sequence

FAULTS: Sequence[dict[str, object]] = (
    {"kind": "reset", "match": {"every": 29}},
    {"kind": "reset", "at": "after_headers", "match": {"every": 31}},
    {"kind": "reset", "at": "mid_body", "match": {"every": 37}},
    {"kind": "close", "match": {"every": 41}},
    {"kind": "close", "at": "mid_body", "match": {"every": 43}},
    {"kind": "stall", "at": "mid_body", "duration": "200ms", "match": {"every": 97}},
    {"kind": "truncate", "match": {"every": 47}},
    {"kind": "truncate", "framing": "chunked", "match": {"every": 53}},
    {"kind": "gateway", "status": 503, "match": {"every": 23}},
    {"kind": "overloaded", "match": {"every": 59}},
    {"kind": "rate_limited", "match": {"every": 61}},
    {"kind": "error", "status": 400, "message": "a bad day", "match": {"every": 67}},
    {"kind": "malformed", "match": {"every": 71}},
    {"kind": "html", "match": {"path": "/", "every": 23}},
    {"kind": "empty", "match": {"path": "/rerank", "every": 11}},
    {"kind": "gzip", "match": {"every": 17}},
    {"kind": "drip", "size": 512, "pause": "2ms", "match": {"every": 19}},
    {"kind": "split", "size": 100, "match": {"every": 13}},
    {"kind": "stream_error", "match": {"every": 11}},
    {"kind": "cut_stream", "ending": "reset", "match": {"every": 13}},
    {"kind": "cut_stream", "ending": "whole", "match": {"every": 17}},
    {"kind": "missing_done", "match": {"every": 7}},
    {"kind": "comments", "match": {"every": 5}},
    {"kind": "crlf", "match": {"every": 3}},
    {"kind": "latency", "distribution": "uniform", "min": "0ms", "max": "20ms", "seed": 1},
)
"""In the form of the twin's admin route; the first that hits a request decides.

Not for streams are those that leave one without events in good order: that is no error to
Elasticsearch, but an answer of nothing.
"""
