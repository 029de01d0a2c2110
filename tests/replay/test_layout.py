"""The text of a recording: few lines change, and what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esinfer.replay.answers import Answer, ByText, Failure, Part, cut_events
from esinfer.replay.asked import Key
from esinfer.replay.layout import parse, render, render_entry
from esinfer.replay.problems import RecordingError
from esinfer.replay.runs import Runs

PATH = Path("r.json")
GOOD = '{"url": "u", "task_type": "rerank", "request": {}, "answers": [{"score": 1.5}]}'


def runs(*answers: Any) -> Runs:
    made = Runs()
    for answer in answers:
        made.add(answer)
    return made


ENTRIES = {
    Key("https://b", "text_embedding", '{"inputs":"a"}'): runs(
        Part({"embedding": {"float32": "AAAAPw=="}}), Part({"embedding": [1, 2]})
    ),
    Key("https://a", "rerank", '{"query":"q","texts":"a"}'): runs(
        Part({"score": 0.5}), Part({"score": 0.5}), Part({"score": 0.25, "order": "index"})
    ),
    Key("https://a", "completion", '{"messages":[]}'): runs(
        Answer(status=503, chunks=(b"busy \xff",)),
        Answer(failure=Failure("ConnectError", "Connection refused")),
        Answer(status=200, chunks=(b"a\n\n", b"\xff"), streamed=True, left=True),
        Answer(
            status=200, streamed=True, failure=Failure("ConnectionClosed", "Connection is closed")
        ),
    ),
    Key("https://a", "sparse_embedding", '{"inputs":["a"]}'): runs(
        Answer(status=400, chunks=(b'{"a":"\xc3\xa9"}',)), ByText()
    ),
    Key("https://a", "sparse_embedding", '{"inputs":"a"}'): runs(Part({"weights": {"x": 0.5}})),
}

TEXT = """\
{
"format": "esinfer recording",
"version": 1,
"entries": [
{"url": "https://a", "task_type": "completion",
 "request": {"messages":[]},
 "answers": [
  {"status": 503, "base64": "YnVzeSD/"},
  {"failure": "ConnectError", "reason": "Connection refused"},
  {"status": 200, "events": [
    "a\\n\\n",
    {"base64":"/w=="}
  ], "left": true},
  {"status": 200, "events": [], "failure": "ConnectionClosed", "reason": "Connection is closed"}
 ]},
{"url": "https://a", "task_type": "rerank",
 "request": {"query":"q","texts":"a"},
 "answers": [
  {"score": 0.5, "times": 2},
  {"score": 0.25, "order": "index"}
 ]},
{"url": "https://a", "task_type": "sparse_embedding",
 "request": {"inputs":"a"},
 "answers": [
  {"weights": {"x":0.5}}
 ]},
{"url": "https://a", "task_type": "sparse_embedding",
 "request": {"inputs":["a"]},
 "answers": [
  {"status": 400, "json": {"a":"é"}},
  {"by_text": true}
 ]},
{"url": "https://b", "task_type": "text_embedding",
 "request": {"inputs":"a"},
 "answers": [
  {"embedding": {"float32":"AAAAPw=="}},
  {"embedding": [1,2]}
 ]}
]
}
"""


def test_the_text_is_sorted_and_has_a_line_for_each_answer_and_event() -> None:
    assert render({key: render_entry(key, runs) for key, runs in ENTRIES.items()}) == TEXT


def test_what_was_written_is_read_again() -> None:
    assert parse(TEXT.encode(), PATH) == ENTRIES


def test_no_entries_are_a_recording_too() -> None:
    assert parse(render({}).encode(), PATH) == {}


def test_an_answer_that_comes_again_is_counted_but_for_the_last() -> None:
    a, b = Part({"score": 1.0}), Part({"score": 2.0})
    made = runs(a, a, b, b, b)
    assert [made.at(n) for n in range(4)] == [a, a, b, b]
    assert made.to_wire() == [{"score": 1.0, "times": 2}, {"score": 2.0}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"data: 1\n\ndata: 2\n\n",
        b"a\r\n\r\nb\r\rc\n\n\n\nd",
        b"a\r\nb\r\n",
        b"\n\n\n",
        b"\r\n\r",
    ],
)
def test_events_joined_are_the_stream_again(body: bytes) -> None:
    events = cut_events(body)
    assert b"".join(events) == body
    assert all(event.endswith((b"\n", b"\r")) for event in events[:-1])


def file(*entries: str) -> str:
    return (
        '{"format": "esinfer recording", "version": 1, "entries": [\n'
        + ",\n\n".join(entries)
        + "]}"
    )


def with_answers(answers: str) -> str:
    return file(GOOD, GOOD.replace('[{"score": 1.5}]', answers))


HEAD = 'r.json: not a recording: "format" must be "esinfer recording"'
MEMBERS = "an entry must have the members [url], [task_type], [request], [answers] and no other"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "r.json, line 1: not valid JSON: "),
        ("{\n<<<<<<< HEAD\n", "r.json, line 2: not valid JSON: "),
        ("{}", HEAD),
        ("[]", HEAD),
        ('{"format": "esinfer recording"}', "r.json: [version] must be a whole number from 1 on"),
        (
            '{"format": "esinfer recording", "version": true}',
            "r.json: [version] must be a whole number from 1 on",
        ),
        (
            '{"format": "esinfer recording", "version": 2}',
            "r.json: version 2 of the format, written by a newer esinfer; this one reads version 1",
        ),
        ('{"format": "esinfer recording", "version": 1}', "r.json: [entries] must be a list"),
        (file(GOOD, "{}"), f"r.json, in the entry at line 4: {MEMBERS}"),
        (file("1"), f"r.json, in the entry at line 2: {MEMBERS}"),
        (
            file(GOOD, GOOD, GOOD.replace('"u"', "1")),
            "r.json, in the entry at line 6: [url] and [task_type] must be texts",
        ),
        *(
            (with_answers(answers), f"r.json, in the entry at line 4: {problem}")
            for answers, problem in [
                ("[]", "[answers] must be a list of one or more"),
                ('"x"', "[answers] must be a list of one or more"),
                ("[1]", "an answer must be an object"),
                ('[{"score": 1, "times": 0}]', "[times] must be a whole number from 1 on"),
                ('[{"score": "1"}]', "[score] must be a number"),
                ('[{"score": 1, "status": 200}]', "an answer has no member [status]"),
                ('[{"weights": [1]}]', "[weights] must be an object of numbers"),
                (
                    '[{"embedding": {"float16": "AAAA"}}]',
                    "an embedding must be a list of numbers or base64 in one of"
                    " float32, float32_as_float64, float64",
                ),
                ('[{"embedding": {"float32": "AAA"}}]', "the embedding's float32 is not base64"),
                ('[{"embedding": {"float32": 1}}]', "the embedding's float32 is not base64"),
                (
                    '[{"embedding": {"float32": "AAAA"}}]',
                    "the embedding's float32 ends within a number",
                ),
                ("[{}]", "an answer must have [status] or [failure]"),
                ('[{"status": "200"}]', "[status] must be a whole number"),
                (
                    '[{"status": 200}]',
                    "an answer with [status] must have one of json, text, base64, events",
                ),
                ('[{"status": 200, "events": 1}]', "[events] must be a list"),
                (
                    '[{"status": 200, "base64": "?"}]',
                    "a body must be a text, or base64 where it is none",
                ),
                (
                    '[{"status": 200, "text": 1}]',
                    "a body must be a text, or base64 where it is none",
                ),
                (
                    '[{"failure": "x"}]',
                    "[failure] must be one of ConnectError, ConnectTimeout, ConnectionClosed,"
                    " HttpClientFailed, InvalidHost, IoError, ResponseTooLarge, TlsError",
                ),
            ]
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(RecordingError) as caught:
        parse(text.encode(), PATH)
    assert str(caught.value).startswith(problem)
    assert str(caught.value).isprintable()
