"""The envelope of errors (rest.md section 7.1)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from esinfer.api.responses import error_body, root_cause
from esinfer.errors import (
    ActionRequestValidation,
    ClassCast,
    ConnectError,
    ElasticsearchError,
    IllegalArgument,
    JsonParseError,
    NumberFormat,
    ParsingException,
    RequestTimedOut,
    RouterError,
    SendFailed,
    StatusException,
    ValidationCallFailed,
    ValidationFailed,
    XContentEofError,
    XContentParseError,
)
from tests.conftest import envelope


def chain(*errors: ElasticsearchError) -> ElasticsearchError:
    """The first error, caused by the second, and so on."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def status_error(reason: str, status: int = 400) -> StatusException:
    error = StatusException(reason=reason)
    error.status = status
    return error


def parse_error(problem: str) -> XContentParseError:
    return XContentParseError(line=1, column=2, problem=problem)


def described(kind: str, reason: str, **more: object) -> dict[str, object]:
    return {"type": kind, "reason": reason, **more}


def test_an_error_is_its_own_root_cause() -> None:
    body = error_body(status_error("no", 418))
    assert body == envelope("status_exception", "no", 418)


def test_members_stand_in_elasticsearchs_order() -> None:
    error = chain(ValidationCallFailed(), ParsingException(reason="bad", line=1, column=2))
    body = error_body(error, trace=True)
    assert list(body) == ["error", "status"]
    assert list(body["error"]) == ["root_cause", "type", "reason", "caused_by", "stack_trace"]
    assert list(body["error"]["caused_by"]) == ["type", "reason", "line", "col", "stack_trace"]
    assert list(body["error"]["root_cause"][0]) == ["type", "reason", "line", "col", "stack_trace"]


def test_the_root_cause_is_the_deepest_of_elasticsearchs_own() -> None:
    error = chain(ValidationCallFailed(), status_error("sent", 500), status_error("deep", 401))
    body = error_body(error)
    deep = described("status_exception", "deep")
    assert body == envelope(
        "status_exception",
        ValidationCallFailed().reason,
        caused_by=described("status_exception", "sent", caused_by=deep),
        root=deep,
    )


def test_a_java_cause_is_not_the_root_cause() -> None:
    failed = SendFailed(
        provider="Hugging Face", task_type="text_embedding", inference_id="x", cause="refused"
    )
    error = chain(ValidationCallFailed(), failed, ConnectError(reason="refused"))
    body = error_body(error)
    refused = described("connect_exception", "refused")
    sent = described("status_exception", failed.reason)
    assert body == envelope(
        "status_exception",
        ValidationCallFailed().reason,
        caused_by=sent | {"caused_by": refused},
        root=sent,
    )


def test_elasticsearchs_own_below_java_is_not_the_root_cause() -> None:
    error = chain(IllegalArgument(reason="outer"), status_error("inner"))
    body = error_body(error)
    cause = described("status_exception", "inner")
    assert body == envelope("illegal_argument_exception", "outer", caused_by=cause)


def test_the_root_cause_of_a_parser_error_is_the_innermost_parser_error() -> None:
    error = chain(parse_error("outer"), parse_error("inner"), NumberFormat(text="x"))
    body = error_body(error)
    number = described("number_format_exception", 'For input string: "x"')
    inner = described("x_content_parse_exception", "[1:2] inner")
    assert body == envelope(
        "x_content_parse_exception",
        "[1:2] outer",
        caused_by=inner | {"caused_by": number},
        root=inner,
    )


def test_the_root_cause_of_malformed_json_is_not_jacksons() -> None:
    error = chain(parse_error("odd"), JsonParseError(reason="odd"))
    cause = described("json_parse_exception", "odd")
    assert error_body(error) == envelope("x_content_parse_exception", "[1:2] odd", caused_by=cause)


def test_foreign_causes_are_not_shown() -> None:
    error = status_error("no")
    error.__cause__ = ValueError("secret")
    assert error_body(error) == envelope("status_exception", "no")
    assert root_cause(error) is error


def test_contexts_are_not_causes() -> None:
    error = status_error("no")
    error.__context__ = status_error("while")
    assert error_body(error) == envelope("status_exception", "no")


def test_metadata_follows_the_reason() -> None:
    error = RequestTimedOut(timeout="30s", inference_id="x")
    reason = "Request timed out after [30s] for inference id [x]"
    described_error = described("timeout_exception", reason, timed_out=True)
    assert error_body(error) == {
        "error": {"root_cause": [described_error], **described_error},
        "status": 429,
    }


def test_a_stack_trace_names_the_error_and_where_it_was_raised() -> None:
    try:
        raise status_error("no")
    except StatusException as error:
        body = error_body(error, trace=True)
    trace = body["error"]["stack_trace"]
    assert trace.startswith("StatusException[no]\n\tat test_a_stack_trace_names")
    assert body["error"]["root_cause"][0]["stack_trace"] == trace


def test_router_errors_hold_a_bare_text() -> None:
    assert error_body(RouterError(405, "no")) == {"error": "no", "status": 405}
    assert error_body(RouterError(400, "no", shows_status=False)) == {"error": "no"}
    assert error_body(RouterError(400, "no"), trace=True) == {"error": "no", "status": 400}


def test_validation_problems_are_numbered() -> None:
    error = ValidationFailed(["first", "second"])
    assert error_body(error) == envelope(
        "validation_exception", "Validation Failed: 1: first;2: second;"
    )


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (ActionRequestValidation(["x"]), "action_request_validation_exception", 400),
        (ClassCast(found="a", expected="b"), "class_cast_exception", 500),
        (XContentEofError(line=1, column=1), "x_content_e_o_f_exception", 400),
        (RequestTimedOut(timeout="1s", inference_id="x"), "timeout_exception", 429),
    ],
)
def test_types_and_statuses(error: ElasticsearchError, kind: str, status: int) -> None:
    body = error_body(error)
    assert (body["error"]["type"], body["status"]) == (kind, status)
