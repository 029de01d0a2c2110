"""The body of rerank and the form of its result.

In the table ① and ② stand for places, see ``test_chat_requests``.
"""

from __future__ import annotations

import pytest

from esinfer.api.rerank_schemas import load_rerank_request
from esinfer.rerank import RankedDocument, RerankRequest, RerankResult
from tests.api.parse_errors import Link, body, illegal, parse, refusal, refused, unplaced

TOP = "RerankRequest"
IMAGE = "data:image/png;base64,AAAA"


def with_input(value: str) -> str:
    return '{"input":' + value + ',"query":"q"}'


def with_query(value: str) -> str:
    return '{"input":"a","query":' + value + "}"


def with_member(member: str) -> str:
    return '{"input":"a","query":"q",' + member + "}"


def failed(mark: str, parser: str, field: str) -> Link:
    return parse(mark, parser, f"failed to parse field [{field}]")


def mismatch(mark: str, field: str, token: str) -> Link:
    return parse(mark, TOP, f"{field} doesn't support values of type: {token}")


def invalid(problems: str) -> list[Link]:
    return [("action_request_validation_exception", f"Validation Failed: {problems}")]


UNBUILT = unplaced("Failed to build [InferenceString] after last required field arrived")
NO_DATA_URI = illegal(
    "base64 inputs must be specified as data URIs with the format [data:{MIME-type};base64,...]"
)

REFUSED: list[tuple[str, list[Link]]] = [
    # the top level
    ("①[]", [parse("①", TOP, "Expected START_OBJECT but was: START_ARRAY")]),
    ("{}", [illegal("Required [input, query]")]),
    ('{"input":"a"}', [illegal("Required [query]")]),
    ('{"query":"q"}', [illegal("Required [input]")]),
    ('{"query":"q","top_n":0}', [illegal("Required [input]")]),
    (
        with_member('①"inputs":②["a"]'),
        [parse("①", TOP, "unknown field [inputs] did you mean [input]?")],
    ),
    (with_member('①"timeout":"1s"'), [parse("①", TOP, "unknown field [timeout]")]),
    (
        with_member('①"input_type":"search"'),
        [parse("①", TOP, "unknown field [input_type]")],
    ),
    ('{\n"top_n":①null}', [mismatch("①", "top_n", "VALUE_NULL")]),
    (with_member('"return_documents":①1'), [mismatch("①", "return_documents", "VALUE_NUMBER")]),
    (with_member('"task_settings":①[]'), [mismatch("①", "task_settings", "START_ARRAY")]),
    (
        with_member('"top_n":①"x"'),
        [failed("①", TOP, "top_n"), ("number_format_exception", 'For input string: "x"')],
    ),
    (
        with_member('"return_documents":①"yes"'),
        [
            failed("①", TOP, "return_documents"),
            illegal("Failed to parse value [yes] as only [true] or [false] are allowed."),
        ],
    ),
    # input
    (with_input("①null"), [mismatch("①", "input", "VALUE_NULL")]),
    (with_input("①1"), [mismatch("①", "input", "VALUE_NUMBER")]),
    (with_input("①true"), [mismatch("①", "input", "VALUE_BOOLEAN")]),
    *(
        (
            with_input(f'["a",①{value}]'),
            [failed("①", TOP, "input"), unplaced(f"Unsupported token [{token}]")],
        )
        for value, token in (
            ("1", "VALUE_NUMBER"),
            ("null", "VALUE_NULL"),
            ("false", "VALUE_BOOLEAN"),
            ("[]", "START_ARRAY"),
        )
    ),
    (with_input("{①}"), [failed("①", TOP, "input"), illegal("Required [type, value]")]),
    (
        with_input('["a",{"type":"text"①}]'),
        [failed("①", TOP, "input"), illegal("Required [value]")],
    ),
    (
        with_input('[{"type":"text",①"val":②"a"}]'),
        [
            failed("②", TOP, "input"),
            parse("①", "InferenceString", "unknown field [val] did you mean [value]?"),
        ],
    ),
    (
        with_input('{"type":"text","value":①1}'),
        [
            failed("①", TOP, "input"),
            parse("①", "InferenceString", "value doesn't support values of type: VALUE_NUMBER"),
        ],
    ),
    (
        with_input('{"type":①"sound","value":"a"}'),
        [
            failed("①", TOP, "input"),
            failed("①", "InferenceString", "type"),
            illegal("Unrecognized type [sound], must be one of [text, image, audio, video, pdf]"),
        ],
    ),
    (
        with_input('{"type":"text","format":①"plain","value":"a"}'),
        [
            failed("①", TOP, "input"),
            failed("①", "InferenceString", "format"),
            illegal("Unrecognized format [plain], must be one of [text, base64]"),
        ],
    ),
    (
        with_input('{"type":"text","format":"base64","value":①"a"}'),
        [
            failed("①", TOP, "input"),
            failed("①", "InferenceString", "value"),
            UNBUILT,
            illegal(
                "Data type [text] does not support data format [base64],"
                " supported formats are [text]"
            ),
        ],
    ),
    (
        with_input('[{"value":"a","type":"image","format":①"text"}]'),
        [
            failed("①", TOP, "input"),
            failed("①", "InferenceString", "format"),
            UNBUILT,
            illegal(
                "Data type [image] does not support data format [text],"
                " supported formats are [base64]"
            ),
        ],
    ),
    *(
        (
            with_input(f'{{"type":"image","value":"{value}"①}}'),
            [failed("①", TOP, "input"), UNBUILT, NO_DATA_URI],
        )
        for value in (
            "AAAA",
            "data:image/png,AAAA",
            "data:image;base64,AAAA",
            f"data:image/{'x' * 300};base64,AAAA",
        )
    ),
    *(
        (
            with_input(f'["a",{{"type":"{name}","value":"data:a/b;base64,A"①}}]'),
            [
                failed("①", TOP, "input"),
                unplaced(
                    f"Field [input] contains unsupported [type] value [{name}]."
                    " Supported values are [text, image]"
                ),
            ],
        )
        for name in ("audio", "video", "pdf")
    ),
    # query
    (with_query("①null"), [mismatch("①", "query", "VALUE_NULL")]),
    (with_query('①["q"]'), [mismatch("①", "query", "START_ARRAY")]),
    (with_query("{①}"), [failed("①", TOP, "query"), illegal("Required [type, value]")]),
    (
        with_query(f'{{"type":"image","value":"{IMAGE}"①}}'),
        [
            failed("①", TOP, "query"),
            unplaced(
                "Field [query] contains unsupported [type] value [image]."
                " Supported values are [text]"
            ),
        ],
    ),
    # what is well-formed and still wrong
    (with_input("[]"), invalid("1: Field [input] cannot be an empty array;")),
    (with_query('""'), invalid("1: Field [query] cannot be empty;")),
    (
        with_query('{"type":"text","value":""}'),
        invalid("1: Field [query] cannot be empty;"),
    ),
    (
        with_member('"top_n":0'),
        invalid("1: Field [top_n] must be greater than or equal to 1;"),
    ),
    (
        '{"top_n":-1,"query":"","input":[]}',
        invalid(
            "1: Field [input] cannot be an empty array;2: Field [query] cannot be empty;"
            "3: Field [top_n] must be greater than or equal to 1;"
        ),
    ),
]


@pytest.mark.parametrize(("marked", "links"), REFUSED, ids=[marked for marked, _ in REFUSED])
def test_bad_bodies_are_refused_where_the_reader_stands(marked: str, links: list[Link]) -> None:
    assert refusal(load_rerank_request, marked) == refused(marked, links)


READ: list[tuple[str, RerankRequest]] = [
    (with_input('"a"'), RerankRequest(inputs=("a",), query="q")),
    (with_input('""'), RerankRequest(inputs=("",), query="q")),
    (with_input('["a","","ü😀"]'), RerankRequest(inputs=("a", "", "ü😀"), query="q")),
    (
        with_input('{"type":"text","value":"a"}'),
        RerankRequest(inputs=("a",), query="q"),
    ),
    (
        with_input('["a",{"value":"b","format":" TEXT","type":"Text "}]'),
        RerankRequest(inputs=("a", "b"), query="q"),
    ),
    (
        with_input(f'["a",{{"type":"image","value":"{IMAGE}"}}]'),
        RerankRequest(inputs=("a", IMAGE), query="q", has_images=True),
    ),
    (
        with_input(f'{{"type":"image","format":"base64","value":"{IMAGE}"}}'),
        RerankRequest(inputs=(IMAGE,), query="q", has_images=True),
    ),
    (
        with_query('{"type":"text","format":"text","value":"what"}'),
        RerankRequest(inputs=("a",), query="what"),
    ),
    (
        with_member('"top_n":"2","return_documents":false,"task_settings":{"top_n":9}'),
        RerankRequest(inputs=("a",), query="q", top_n=2, return_documents=False),
    ),
    (
        with_member('"return_documents":"true"'),
        RerankRequest(inputs=("a",), query="q", return_documents=True),
    ),
]


@pytest.mark.parametrize(("text", "expected"), READ, ids=[text for text, _ in READ])
def test_good_bodies_are_read(text: str, expected: RerankRequest) -> None:
    assert load_rerank_request(body(text)) == expected


def test_documents_are_never_cut() -> None:
    request = RerankRequest(inputs=("a" * 100,), query="q")
    assert request.cut_to(1) is request
    assert request.shortened(0.5) is request


@pytest.mark.parametrize(
    ("documents", "printed"),
    [
        ([], b'{"rerank":[]}'),
        (
            [
                RankedDocument(index=1, relevance_score=1.11111119, text='ranked "first"'),
                RankedDocument(index=0, relevance_score=-0.0005, text=""),
                RankedDocument(index=2, relevance_score=0),
            ],
            b'{"rerank":[{"index":1,"relevance_score":1.1111112,"text":"ranked \\"first\\""},'
            b'{"index":0,"relevance_score":-5.0E-4,"text":""},'
            b'{"index":2,"relevance_score":0.0}]}',
        ),
        (
            [RankedDocument(index=-1, relevance_score=1e39, text="ü")],
            '{"rerank":[{"index":-1,"relevance_score":"Infinity","text":"ü"}]}'.encode(),
        ),
    ],
)
def test_results_are_printed_as_java_prints_floats(
    documents: list[RankedDocument], printed: bytes
) -> None:
    assert RerankResult(documents=documents).to_json() == printed
