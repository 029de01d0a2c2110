import itertools
from collections.abc import Mapping

import numpy as np
import orjson
import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.embedders import hashing_embedder, static_embedder
from esinfer.twin.hashing import VOCABULARY
from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin

JSON = {"content-type": "application/json"}
TEXT = "text/plain; charset=utf-8"
TWIN = Twin()
HASH = Twin(embedder=hashing_embedder)


def post(
    body: bytes | Mapping[str, object],
    path: str = "/embed",
    headers: Mapping[str, str] = JSON,
    twin: Twin = TWIN,
) -> TwinAnswer:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return twin.answer(TwinRequest(method="POST", path=path, headers=headers, body=raw))


def vectors(body: Mapping[str, object], twin: Twin = TWIN) -> list[list[float]]:
    answer = post(body, twin=twin)
    assert answer.status == 200
    parsed: list[list[float]] = orjson.loads(answer.body)
    return parsed


def expected(*texts: str) -> list[list[float]]:
    """What an embedder gives, as it is written and read again."""
    embedder = static_embedder(384)
    rows = embedder.dense(
        [[*embedder.opening, *embedder.split(text), *embedder.closing] for text in texts]
    )
    parsed: list[list[float]] = orjson.loads(orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY))
    return parsed


def failure(answer: TwinAnswer) -> tuple[int, object]:
    assert answer.content_type == "application/json"
    assert answer.headers == {}
    return answer.status, orjson.loads(answer.body)


# Routes


@pytest.mark.parametrize("path", ["/", "/embed"])
def test_embed_routes_answer_with_vectors(path: str) -> None:
    answer = post({"inputs": ["a fox", "a dog"]}, path)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert orjson.loads(answer.body) == expected("a fox", "a dog")


def test_elser_answers_with_an_object_for_each_input() -> None:
    answer = post({"inputs": ["the dog and the cat", "dog dog", "!"]}, "/elser")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert answer.body == (
        b'[{"cat":0.96875,"dog":0.953125,"and":0.03125,"the":0.0107421875},{"dog":1.310546875},{}]'
    )
    assert answer.headers["x-compute-tokens"] == "14"


def test_what_the_vocabulary_lacks_is_a_token_of_the_elser_form_as_it_stands() -> None:
    answer = post({"inputs": "Unbelievable ☃"}, "/elser")
    assert orjson.loads(answer.body) == [{"☃": 1.0, "unbelievable": 0.9921875}]
    answer = post({"inputs": "☃ ☄ fox"}, "/embed_sparse")
    fox = {"index": 4419, "value": 0.9609375}
    assert orjson.loads(answer.body) == [[{"index": 100, "value": 2.0}, fox]]


def test_embed_sparse_answers_with_numbered_weights_by_number() -> None:
    answer = post({"inputs": ["the dog and the cat", "dog dog", "!"]}, "/embed_sparse")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert answer.body == (
        b'[[{"index":1996,"value":0.0107421875},{"index":1998,"value":0.03125},'
        b'{"index":3899,"value":0.953125},{"index":4937,"value":0.96875}],'
        b'[{"index":3899,"value":1.310546875}],[]]'
    )
    assert answer.headers["x-compute-tokens"] == "14"


def test_the_hashing_twin_numbers_words_by_their_hash() -> None:
    answer = post({"inputs": ["the dog and the cat", "dog dog", "!"]}, "/embed_sparse", twin=HASH)
    assert answer.body == (
        b'[[{"index":17,"value":0.125},{"index":15141,"value":1.0},'
        b'{"index":26919,"value":1.0},{"index":27882,"value":0.171875}],'
        b'[{"index":15141,"value":1.375}],[]]'
    )
    assert answer.headers["x-compute-tokens"] == "8"


def test_weights_of_tokens_with_one_number_are_added() -> None:
    number = hashing_embedder(384).index
    numbers: dict[int, str] = {}
    for word in map("w{}".format, range(10_000)):
        other = numbers.setdefault(number(word), word)
        if other != word:
            break
    answer = post({"inputs": f"{word} {other} {word}"}, "/embed_sparse", twin=HASH)
    index = number(word)
    assert 0 <= index < VOCABULARY
    assert orjson.loads(answer.body) == [[{"index": index, "value": 2.375}]]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/health"])
def test_health_is_an_empty_200_and_open_to_all(method: str, path: str) -> None:
    request = TwinRequest(method=method, path=path, headers={})
    assert Twin(api_key="key").answer(request) == TwinAnswer(status=200)


def test_info_tells_model_and_settings() -> None:
    twin = Twin(model_id="a/model", max_input_length=256, max_client_batch_size=8)
    answer = twin.answer(TwinRequest(method="GET", path="/info", headers={}))
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert orjson.loads(answer.body) == {
        "model_id": "a/model",
        "model_sha": None,
        "model_dtype": "float32",
        "served_model_name": "a/model",
        "model_type": {"embedding": {"pooling": "mean"}},
        "max_concurrent_requests": 512,
        "max_input_length": 256,
        "max_batch_tokens": 16384,
        "max_batch_requests": None,
        "max_client_batch_size": 8,
        "auto_truncate": True,
        "tokenization_workers": 1,
        "version": "1.9.3",
        "sha": None,
        "docker_label": None,
    }


@pytest.mark.parametrize("path", ["/nothing", "/embed/", "", "/EMBED", "/v1/chat"])
def test_unknown_path_is_an_empty_404(path: str) -> None:
    assert post({"inputs": "a"}, path) == TwinAnswer(status=404)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/", "GET,HEAD,POST"),
        ("GET", "/embed", "POST"),
        ("DELETE", "/elser", "POST"),
        ("GET", "/embed_sparse", "POST"),
        ("GET", "/rerank", "POST"),
        ("GET", "/v1/chat/completions", "POST"),
        ("POST", "/health", "GET,HEAD"),
        ("POST", "/info", "GET,HEAD"),
    ],
)
def test_wrong_method_is_an_empty_405(method: str, path: str, allow: str) -> None:
    answer = TWIN.answer(TwinRequest(method=method, path=path, headers=JSON))
    assert answer == TwinAnswer(status=405, headers={"allow": allow})


EMBED = b'{"inputs":["a fox"]}'
RERANK = b'{"query":"a","texts":["a fox"]}'
CHAT = b'{"messages":[{"role":"user","content":"a fox"}]}'


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        (Kind.EMBED, "/embed", EMBED),
        (Kind.EMBED_SPARSE, "/embed_sparse", EMBED),
        (Kind.ELSER, "/elser", EMBED),
        (Kind.RERANK, "/rerank", RERANK),
        (Kind.CHAT, "/v1/chat/completions", CHAT),
    ],
)
def test_run_answers_as_the_route_of_its_kind(kind: Kind, path: str, body: bytes) -> None:
    twin = Twin(clock=lambda: 0.0, now=lambda: 0.0)
    answer = twin.run(kind, JSON, body)
    assert answer.status == 200
    assert answer == post(body, path, twin=twin)


# Authorization, content type, size


@pytest.mark.parametrize(
    "headers",
    [
        JSON,
        {**JSON, "authorization": "Bearer wrong"},
        {**JSON, "authorization": "bearer key"},
        {**JSON, "authorization": "Bearer key "},
        {**JSON, "authorization": "key"},
        {},
    ],
)
@pytest.mark.parametrize(
    "path", ["/", "/embed", "/embed_sparse", "/elser", "/rerank", "/v1/chat/completions"]
)
def test_a_wrong_key_is_an_empty_401_before_all_else(path: str, headers: dict[str, str]) -> None:
    answer = post(b"not json", path, headers, Twin(api_key="key"))
    assert answer == TwinAnswer(status=401)


def test_info_is_behind_the_key() -> None:
    twin = Twin(api_key="key")
    assert twin.answer(TwinRequest(method="GET", path="/info", headers={})).status == 401
    headers = {"AUTHORIZATION": "Bearer key"}
    assert twin.answer(TwinRequest(method="GET", path="/info", headers=headers)).status == 200


def test_the_right_key_is_let_in_whatever_the_case_of_the_header() -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer key"}
    assert post({"inputs": "a"}, headers=headers, twin=Twin(api_key="key")).status == 200


def test_without_a_key_of_its_own_the_twin_takes_any() -> None:
    assert post({"inputs": "a"}, headers={**JSON, "authorization": "Bearer x"}).status == 200


def test_the_key_is_not_printed() -> None:
    assert "secret" not in repr(Twin(api_key="secret"))


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/json", "text/plain", "application/jsonp", "application/x+jsonx", "json",
     "application/json, text/plain"],
)  # fmt: skip
def test_another_content_type_is_415(content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert post(b"x" * 2_000_001, headers=headers) == TwinAnswer(
        status=415,
        content_type=TEXT,
        body=b"Expected request with `Content-Type: application/json`",
    )


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON",
     "application/cloudevents+json", "application/vnd.elasticsearch+json; compatible-with=9"],
)  # fmt: skip
def test_every_json_content_type_is_taken(content_type: str) -> None:
    assert post({"inputs": "a"}, headers={"content-type": content_type}).status == 200


def test_a_body_over_the_limit_is_413() -> None:
    assert post(b"x" * 2_000_001) == TwinAnswer(
        status=413,
        content_type=TEXT,
        body=b"Failed to buffer the request body: length limit exceeded",
    )


def test_a_body_of_the_limit_is_read() -> None:
    body = b'{"inputs":"a"}'
    assert post(body.ljust(2_000_000)).status == 200


def test_a_body_that_is_not_json_is_400() -> None:
    assert post(b'{"inputs":["a"') == TwinAnswer(
        status=400,
        content_type=TEXT,
        body=b"Failed to parse the request body as JSON: "
        b"inputs: EOF while parsing a list at line 1 column 14",
    )


@pytest.mark.parametrize("path", ["/", "/embed", "/embed_sparse", "/elser"])
def test_a_body_of_the_wrong_shape_is_422(path: str) -> None:
    assert post(b'{"input":["hi"]}', path) == TwinAnswer(
        status=422,
        content_type=TEXT,
        body=b"Failed to deserialize the JSON body into the target type: "
        b"missing field `inputs` at line 1 column 16",
    )


# Validation


def invalid(reason: str) -> tuple[int, object]:
    return 422, {"error": f"Input validation error: {reason}", "error_type": "Validation"}


EMPTY = (
    400,
    {"error": "Input validation error: `inputs` cannot be empty", "error_type": "Empty"},
)
NO_PROMPTS = invalid(
    "`default-prompt-name` is set to `query` but no prompts were found in the "
    "Sentence Transformers configuration"
)
POSITIVE = invalid("`dimensions` should be positive")
SMALLER = invalid("`dimensions` should be smaller than the maximum embedding dimension.")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"inputs": ""}, EMPTY),
        ({"inputs": []}, EMPTY),
        ({"inputs": [[]]}, EMPTY),
        ({"inputs": ["a", ""]}, EMPTY),
        ({"inputs": "a", "prompt_name": "query"}, NO_PROMPTS),
        ({"inputs": "a", "dimensions": 0}, POSITIVE),
        ({"inputs": "a", "dimensions": 385}, SMALLER),
        (
            {"inputs": ["a"] * 33},
            (
                422,
                {
                    "error": "batch size 33 > maximum allowed batch size 32",
                    "error_type": "Validation",
                },
            ),
        ),
        (
            {"inputs": "word " * 511, "truncate": False},
            invalid("`inputs` must have less than 512 tokens. Given: 513"),
        ),
        (
            {"inputs": [7] * 513, "truncate": False},
            invalid("`inputs` must have less than 512 tokens. Given: 513"),
        ),
        (
            {"inputs": "w" * 128_001, "truncate": False},
            invalid("`inputs` must have less than 128000 characters. Given: 128001"),
        ),
    ],
)
def test_an_invalid_request(body: dict[str, object], outcome: tuple[int, object]) -> None:
    assert failure(post(body)) == outcome


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"inputs": "", "dimensions": 0, "prompt_name": "query"}, POSITIVE),
        ({"inputs": "", "dimensions": 385, "prompt_name": "query"}, EMPTY),
        ({"inputs": "a", "dimensions": 385, "prompt_name": "query"}, NO_PROMPTS),
        ({"inputs": ["a", ""], "dimensions": 385}, SMALLER),
        ({"inputs": ["", "a"], "prompt_name": "query"}, EMPTY),
        (
            {"inputs": [""] * 40, "dimensions": 0},
            (
                422,
                {
                    "error": "batch size 40 > maximum allowed batch size 32",
                    "error_type": "Validation",
                },
            ),
        ),
    ],
)
def test_the_first_fault_of_the_first_faulty_input_is_told(
    body: dict[str, object], outcome: tuple[int, object]
) -> None:
    assert failure(post(body)) == outcome


@pytest.mark.parametrize("path", ["/elser", "/embed_sparse"])
@pytest.mark.parametrize("dimensions", [0, 385, "many"])
def test_the_sparse_forms_have_no_dimensions(dimensions: object, path: str) -> None:
    assert post({"inputs": "a", "dimensions": dimensions}, path).status == 200


@pytest.mark.parametrize("path", ["/elser", "/embed_sparse"])
def test_the_sparse_forms_check_as_the_dense_one(path: str) -> None:
    assert failure(post({"inputs": ["a", ""]}, path)) == EMPTY
    assert failure(post({"inputs": "a", "prompt_name": "query"}, path)) == NO_PROMPTS
    assert failure(post({"inputs": "word " * 511, "truncate": False}, path)) == invalid(
        "`inputs` must have less than 512 tokens. Given: 513"
    )


@pytest.mark.parametrize("dimensions", [0, 4097])
def test_a_twin_of_impossible_dimensions_is_refused(dimensions: int) -> None:
    with pytest.raises(ValueError, match="dimensions must be between 1 and 4096"):
        Twin(dimensions=dimensions)


# Vectors


@pytest.mark.parametrize("inputs", ["a fox", ["a fox"]])
def test_success_has_two_dimensions_always(inputs: object) -> None:
    assert vectors({"inputs": inputs}) == expected("a fox")


def test_a_batch_of_the_limit_is_embedded() -> None:
    texts = [f"text {index}" for index in range(32)]
    assert vectors({"inputs": texts}) == expected(*texts)


def test_unknown_fields_are_ignored() -> None:
    assert vectors({"inputs": "a fox", "top_n": 3, "parameters": {}}) == expected("a fox")


def test_token_ids_are_the_tokens_of_a_text() -> None:
    assert vectors({"inputs": [[101, 7592, 2088, 102]]}) == expected("hello world")


def test_token_ids_have_a_vector_of_their_own() -> None:
    one, two, three = vectors({"inputs": [[101, 7592], [101, 7592], [101, 102]]})
    assert one == two != three
    assert vectors({"inputs": [101, 7592]}) == [one]
    assert np.linalg.norm(three) == pytest.approx(1, abs=1e-6)
    assert vectors({"inputs": [30_522]}) != vectors({"inputs": [2**32 - 1]})


def test_token_ids_are_words_to_the_hashing_twin() -> None:
    assert vectors({"inputs": [[101, 7592]]}, HASH) == vectors({"inputs": "101 7592"}, HASH)


def test_ids_and_texts_may_be_mixed() -> None:
    assert vectors({"inputs": ["a fox", [101]]}) == [
        *expected("a fox"),
        *vectors({"inputs": [101]}),
    ]


def test_vectors_have_length_one_unless_told_otherwise() -> None:
    [unit] = vectors({"inputs": "a quick fox", "normalize": True})
    [raw] = vectors({"inputs": "a quick fox", "normalize": False})
    assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-6)
    assert 0.1 < np.linalg.norm(raw) < 0.9
    assert np.array(raw) / np.linalg.norm(raw) == pytest.approx(unit, abs=1e-6)


@pytest.mark.parametrize("dimensions", [1, 64, 384])
def test_dimensions_cut_and_then_normalise(dimensions: int) -> None:
    [full] = vectors({"inputs": "a quick fox"})
    [cut] = vectors({"inputs": "a quick fox", "dimensions": dimensions})
    head = np.array(full[:dimensions])
    assert cut == pytest.approx(head / np.linalg.norm(head), abs=1e-6)


def test_the_twin_has_the_dimensions_it_was_given() -> None:
    assert len(vectors({"inputs": "a"}, Twin(dimensions=7))[0]) == 7


@pytest.mark.parametrize("truncate", [True, None])
@pytest.mark.parametrize(
    ("direction", "kept"), [("right", slice(510)), ("left", slice(-510, None))]
)
def test_too_long_a_text_is_cut(truncate: bool | None, direction: str, kept: slice) -> None:
    words = ["fox", "dog", "cat", "bird"] * 150
    body = {"inputs": " ".join(words), "truncate": truncate, "truncation_direction": direction}
    assert vectors(body) == expected(" ".join(words[kept]))


def test_too_many_ids_are_cut() -> None:
    ids = list(range(2000, 2600))
    assert vectors({"inputs": ids}) == vectors({"inputs": ids[:512]})


def test_a_twin_may_refuse_what_is_too_long() -> None:
    twin = Twin(auto_truncate=False, max_input_length=4)
    assert failure(post({"inputs": "one two three"}, twin=twin)) == invalid(
        "`inputs` must have less than 4 tokens. Given: 5"
    )
    assert vectors({"inputs": "one two three", "truncate": True}, twin) == expected("one two")


def test_characters_past_the_guard_are_not_read() -> None:
    text = "!" * 128_000
    assert vectors({"inputs": text + " word"}) == vectors({"inputs": text})


# Headers


def test_success_tells_what_it_cost() -> None:
    ticks = itertools.count(0, 0.25)
    twin = Twin(clock=lambda: next(ticks))
    answer = post({"inputs": ["two words", "über", [1, 2, 3], "!?"]}, twin=twin)
    assert answer.headers == {
        "x-compute-type": "gpu+optimized",
        "x-compute-time": "500",
        "x-compute-characters": "18",
        "x-compute-tokens": "14",
        "x-total-time": "500",
        "x-tokenization-time": "62",
        "x-queue-time": "0",
        "x-inference-time": "62",
    }
