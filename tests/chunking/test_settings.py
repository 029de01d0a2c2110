"""``chunking_settings`` to values, echo and errors; the tables follow chunking.md section 1."""

from __future__ import annotations

from typing import Any

import pytest

from esinfer.chunking.settings import (
    DEFAULT,
    NoneSettings,
    RecursiveSettings,
    SentenceSettings,
    WordSettings,
    load,
)
from esinfer.errors import ElasticsearchError, IllegalArgument, NullPointer, ValidationFailed

PLAINTEXT = ["(?<!\\n)\\n\\n(?!\\n)", "(?<!\\n)\\n(?!\\n)"]
MARKDOWN = [
    "\n# ",
    "\n## ",
    "\n### ",
    "\n#### ",
    "\n##### ",
    "\n###### ",
    "\n^(?!\\s*$).*\\n-{1,}\\n",
    "\n^(?!\\s*$).*\\n={1,}\\n",
]


def word(size: object = 100, overlap: object = 50, **more: object) -> dict[str, object]:
    return {"strategy": "word", "max_chunk_size": size, "overlap": overlap, **more}


def sentence(size: object = 100, **more: object) -> dict[str, object]:
    return {"strategy": "sentence", "max_chunk_size": size, **more}


def recursive(size: object = 100, **more: object) -> dict[str, object]:
    return {"strategy": "recursive", "max_chunk_size": size, **more}


def without(key: str, settings: dict[str, object]) -> dict[str, object]:
    return {name: item for name, item in settings.items() if name != key}


ECHOES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "empty is the default": ({}, sentence(250, sentence_overlap=1)),
    "word at its limits": (word(10, 1), word(10, 1)),
    "word overlap of half the size": (word(10, 5), word(10, 5)),
    "word overlap of half an odd size": (word(11, 5), word(11, 5)),
    "word has no upper limit": (word(2**31 - 1, 2**30 - 1), word(2**31 - 1, 2**30 - 1)),
    "keys in another order": (
        {"overlap": 1, "max_chunk_size": 10, "strategy": "word"},
        word(10, 1),
    ),
    "sentence at its minimum": (sentence(20), sentence(20, sentence_overlap=1)),
    "sentence overlap 0": (sentence(sentence_overlap=0), sentence(sentence_overlap=0)),
    "sentence overlap 1": (sentence(sentence_overlap=1), sentence(sentence_overlap=1)),
    "sentence overlap null": (sentence(sentence_overlap=None), sentence(sentence_overlap=1)),
    "recursive without separators": (recursive(10), recursive(10, separators=PLAINTEXT)),
    "recursive with nulls": (
        recursive(separator_group=None, separators=None),
        recursive(separators=PLAINTEXT),
    ),
    "plaintext": (recursive(separator_group="plaintext"), recursive(separators=PLAINTEXT)),
    "markdown": (recursive(separator_group="markdown"), recursive(separators=MARKDOWN)),
    "group in any case": (
        recursive(separator_group=" \n\tMarkDown "),
        recursive(separators=MARKDOWN),
    ),
    "bad regexes are accepted": (
        recursive(separators=["(", "", "\n"]),
        recursive(separators=["(", "", "\n"]),
    ),
    "50 separators": (recursive(separators=["x"] * 50), recursive(separators=["x"] * 50)),
    "none": ({"strategy": "none"}, {"strategy": "none"}),
    "none looks at no other key": (
        {"strategy": "none", "max_chunk_size": "x", "separators": [None], "foo": 1},
        {"strategy": "none"},
    ),
}


@pytest.mark.parametrize(("settings", "echo"), ECHOES.values(), ids=ECHOES.keys())
def test_settings_are_echoed(settings: dict[str, object], echo: dict[str, object]) -> None:
    wire = load(settings).to_wire()
    assert wire == echo
    assert list(wire) == list(echo)


@pytest.mark.parametrize("echo", [echo for _, echo in ECHOES.values()], ids=ECHOES.keys())
def test_an_echo_loads_to_itself(echo: dict[str, object]) -> None:
    assert load(echo).to_wire() == echo


def test_settings_load_to_the_value_of_their_strategy() -> None:
    assert load(word(60, 5)) == WordSettings(max_chunk_size=60, overlap=5)
    assert load(sentence(60)) == SentenceSettings(max_chunk_size=60, sentence_overlap=1)
    assert load(recursive(60, separators=["a", "b"])) == RecursiveSettings(
        max_chunk_size=60, separators=("a", "b")
    )
    assert load({"strategy": "none"}) == NoneSettings()


def test_empty_settings_are_the_default() -> None:
    assert load({}) is DEFAULT


def test_every_value_names_its_strategy() -> None:
    loaded = [load(word()), load(sentence()), load(recursive()), load({"strategy": "none"})]
    assert [value.strategy for value in loaded] == ["word", "sentence", "recursive", "none"]


def test_loading_leaves_the_given_settings_as_they_are() -> None:
    settings = recursive(separator_group="markdown")
    load(settings)
    assert settings == recursive(separator_group="markdown")


STRATEGY_ERRORS: dict[str, tuple[dict[str, object], type[ElasticsearchError], str]] = {
    "no strategy": (
        {"max_chunk_size": 100},
        IllegalArgument,
        "Can't generate Chunker without ChunkingStrategy provided",
    ),
    "null": (
        word(strategy=None),
        NullPointer,
        'Cannot invoke "Object.toString()" because the return value of'
        ' "java.util.Map.get(Object)" is null',
    ),
    "unknown": ({"strategy": "foo"}, IllegalArgument, "Invalid chunkingStrategy foo"),
    "upper case": (word(strategy="Word"), IllegalArgument, "Invalid chunkingStrategy Word"),
    "blanks": (word(strategy=" word"), IllegalArgument, "Invalid chunkingStrategy  word"),
    "empty": ({"strategy": ""}, IllegalArgument, "Invalid chunkingStrategy "),
    "number": ({"strategy": 5}, IllegalArgument, "Invalid chunkingStrategy 5"),
    "double": ({"strategy": 1e7}, IllegalArgument, "Invalid chunkingStrategy 1.0E7"),
    "boolean": ({"strategy": True}, IllegalArgument, "Invalid chunkingStrategy true"),
    "list": ({"strategy": ["word"]}, IllegalArgument, "Invalid chunkingStrategy [word]"),
    "object": ({"strategy": {"a": None}}, IllegalArgument, "Invalid chunkingStrategy {a=null}"),
    "null separator": (
        recursive(5, separators=[7, None], foo=1),
        NullPointer,
        'Cannot invoke "Object.getClass()" because "o" is null',
    ),
}


@pytest.mark.parametrize(
    ("settings", "error", "reason"), STRATEGY_ERRORS.values(), ids=STRATEGY_ERRORS.keys()
)
def test_errors_that_are_not_aggregated(
    settings: dict[str, object], error: type[ElasticsearchError], reason: str
) -> None:
    with pytest.raises(ElasticsearchError) as caught:
        load(settings)
    assert type(caught.value) is error
    assert caught.value.reason == reason


def test_a_null_strategy_is_a_server_error() -> None:
    with pytest.raises(NullPointer) as caught:
        load({"strategy": None})
    assert (caught.value.status, caught.value.type) == (500, "null_pointer_exception")


def not_a(java_type: str, key: str, value: str) -> str:
    return (
        f"field [{key}] is not of the expected type."
        f" The value [{value}] cannot be converted to a [{java_type}]"
    )


def missing(key: str) -> str:
    return f"[chunking_settings] does not contain the required setting [{key}]"


def not_positive(key: str, value: int) -> str:
    return f"[chunking_settings] Invalid value [{value}]. [{key}] must be a positive integer"


def too_small(value: str, minimum: str) -> str:
    return (
        f"[chunking_settings] Invalid value [{value}]."
        f" [max_chunk_size] must be greater than or equal to [{minimum}]"
    )


def too_large(value: str, maximum: str) -> str:
    return (
        f"[chunking_settings] Invalid value [{value}]."
        f" [overlap] must be less than or equal to [{maximum}]"
    )


def no_group(value: str) -> str:
    return (
        f"[chunking_settings] Invalid value [{value}] received."
        " [separator_group] must be one of [markdown, plaintext]"
    )


BOTH = "Recursive chunking settings can not have both separators and separator_set"
EMPTY = "Recursive chunking settings can not have an empty list of separators"
UNKNOWN = "chunking settings can not have the following settings:"

PROBLEMS: dict[str, tuple[dict[str, object], list[str]]] = {
    # the size of word chunks
    "word size missing": (
        without("max_chunk_size", word()),
        [missing("max_chunk_size")],
    ),
    "word size null": (word(None), [missing("max_chunk_size")]),
    "word size 0": (word(0), [not_positive("max_chunk_size", 0)]),
    "word size negative": (word(-7), [not_positive("max_chunk_size", -7)]),
    "word size below 10": (word(9, 1), [too_small("9.0", "10.0")]),
    # the overlap of word chunks
    "overlap missing": (without("overlap", word()), [missing("overlap")]),
    "overlap null": (word(100, None), [missing("overlap")]),
    "overlap 0": (word(100, 0), [not_positive("overlap", 0)]),
    "overlap negative": (word(100, -1), [not_positive("overlap", -1)]),
    "overlap above half": (word(100, 60), [too_large("60.0", "50.0")]),
    "overlap above half of an odd size": (word(11, 6), [too_large("6.0", "5.0")]),
    "overlap in Java's notation": (
        word(2 * 10**7, 10**7 + 1),
        [too_large("1.0000001E7", "1.0E7")],
    ),
    "overlap of a wrong type": (word(100, "5"), [not_a("Integer", "overlap", "5")]),
    "overlap is not checked after a wrong size": (word(9, "x"), [too_small("9.0", "10.0")]),
    "overlap is not missed after a missing size": (
        {"strategy": "word"},
        [missing("max_chunk_size")],
    ),
    "overlap is not held against a wrong size": (
        word("100", 60),
        [not_a("Integer", "max_chunk_size", "100")],
    ),
    "word unknown key": (word(foo=1), [f"Word based {UNKNOWN} [foo]"]),
    "word unknown key is named first": (
        word(100, 60, foo=1),
        [f"Word based {UNKNOWN} [foo]", too_large("60.0", "50.0")],
    ),
    "word unknown key and wrong size": (
        word(9, 60, foo=None),
        [f"Word based {UNKNOWN} [foo]", too_small("9.0", "10.0")],
    ),
    "word knows no sentence_overlap": (
        word(sentence_overlap=1),
        [f"Word based {UNKNOWN} [sentence_overlap]"],
    ),
    # sentence chunks
    "sentence size missing": ({"strategy": "sentence"}, [missing("max_chunk_size")]),
    "sentence size 0": (sentence(0), [not_positive("max_chunk_size", 0)]),
    "sentence size below 20": (sentence(19), [too_small("19.0", "20.0")]),
    "sentence_overlap 2": (
        sentence(sentence_overlap=2),
        ["sentence_overlap[2] must be either 0 or 1"],
    ),
    "sentence_overlap negative": (
        sentence(sentence_overlap=-1),
        ["sentence_overlap[-1] must be either 0 or 1"],
    ),
    "sentence_overlap of a wrong type": (
        sentence(sentence_overlap=True),
        [not_a("Integer", "sentence_overlap", "true")],
    ),
    "sentence aggregates all": (
        sentence(19, sentence_overlap=2, overlap=1),
        [
            f"Sentence based {UNKNOWN} [overlap]",
            too_small("19.0", "20.0"),
            "sentence_overlap[2] must be either 0 or 1",
        ],
    ),
    # recursive chunks
    "recursive size missing": ({"strategy": "recursive"}, [missing("max_chunk_size")]),
    "recursive size below 10": (recursive(9), [too_small("9.0", "10.0")]),
    "group of a wrong type": (
        recursive(separator_group=5),
        [not_a("String", "separator_group", "5")],
    ),
    "group empty": (
        recursive(separator_group=""),
        [
            "[chunking_settings] Invalid value empty string."
            " [separator_group] must be a non-empty string"
        ],
    ),
    "group blank": (recursive(separator_group=" "), [no_group(" ")]),
    "group unknown": (recursive(separator_group="Html"), [no_group("Html")]),
    "group within blanks that Java keeps": (
        recursive(separator_group="\u00a0markdown"),
        [no_group("\u00a0markdown")],
    ),
    "group with a Kelvin sign": (
        recursive(separator_group="mar\u212adown"),
        [no_group("mar\u212adown")],
    ),
    "separators of a wrong type": (
        recursive(separators="\n"),
        [not_a("List", "separators", "\n")],
    ),
    "separators an object": (
        recursive(separators={"a": [1, 2.5]}),
        [not_a("List", "separators", "{a=[1, 2.5]}")],
    ),
    "separators that are no strings": (
        recursive(separators=["a", 5, True, ["b"]]),
        [
            not_a("String", "separators", "5"),
            not_a("String", "separators", "true"),
            not_a("String", "separators", "[b]"),
        ],
    ),
    "separators and group": (recursive(separators=["a"], separator_group="markdown"), [BOTH]),
    "no separators": (recursive(separators=[]), [EMPTY]),
    "no separators but a group": (recursive(separators=[], separator_group="markdown"), [BOTH]),
    "no separators and a wrong group": (
        recursive(separators=[], separator_group="x"),
        [no_group("x"), EMPTY],
    ),
    "wrong separators and a group": (
        recursive(separators=[1], separator_group="markdown"),
        [not_a("String", "separators", "1")],
    ),
    "51 separators": (
        recursive(separators=["x"] * 51),
        ["separators list size [51] must not exceed [50]"],
    ),
    "51 separators and a group": (
        recursive(separators=["x"] * 51, separator_group="plaintext"),
        [BOTH],
    ),
    "recursive aggregates all": (
        recursive(1, separators=[2], separator_group="x", overlap=3),
        [
            f"Recursive {UNKNOWN} [overlap]",
            too_small("1.0", "10.0"),
            no_group("x"),
            not_a("String", "separators", "2"),
        ],
    ),
    "recursive checks both groups after a wrong size": (
        recursive(9, separators=["a"], separator_group="plaintext", foo=1),
        [f"Recursive {UNKNOWN} [foo]", too_small("9.0", "10.0"), BOTH],
    ),
    # unknown keys come in the order of a Java HashMap
    "keys in hash order": (
        word(foo=1, bar=1, some_long_key_name=1, x1=1),
        [f"Word based {UNKNOWN} [bar, foo, x1, some_long_key_name]"],
    ),
    "keys that are no ASCII": (
        word(**{"é": 1, "😀": 1, "\ud83d": 1}),
        [f"Word based {UNKNOWN} [😀, é, \ud83d]"],
    ),
    "keys of one hash": (
        word(BBBB=1, AaAa=1),
        [f"Word based {UNKNOWN} [BBBB, AaAa]"],
    ),
    "a key that marshmallow uses itself": (
        word(_schema=1),
        [f"Word based {UNKNOWN} [_schema]"],
    ),
}


def numbered(problems: list[str]) -> str:
    return "Validation Failed: " + "".join(f"{n}: {text};" for n, text in enumerate(problems, 1))


def assert_problems(settings: dict[str, object], problems: list[str]) -> None:
    with pytest.raises(ElasticsearchError) as caught:
        load(settings)
    assert type(caught.value) is ValidationFailed
    assert caught.value.reason == numbered(problems)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("settings", "problems"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems_of_a_strategy_are_aggregated(
    settings: dict[str, object], problems: list[str]
) -> None:
    assert_problems(settings, problems)


NO_INTEGERS: list[tuple[Any, str]] = [
    ("100", "100"),
    (250.0, "250.0"),
    (1e7, "1.0E7"),
    (True, "true"),
    (False, "false"),
    (2**31, "2147483648"),
    (-(2**31) - 1, "-2147483649"),
    (2**63, "9223372036854775808"),
    ([1], "[1]"),
    ({"a": "b"}, "{a=b}"),
]


@pytest.mark.parametrize(("value", "printed"), NO_INTEGERS, ids=repr)
@pytest.mark.parametrize("settings", [word(), sentence(), recursive()], ids=lambda s: s["strategy"])
def test_only_a_java_integer_is_a_size(
    settings: dict[str, object], value: object, printed: str
) -> None:
    problem = not_a("Integer", "max_chunk_size", printed)
    assert_problems({**settings, "max_chunk_size": value}, [problem])


def test_a_reason_reads_as_elasticsearch_words_it() -> None:
    with pytest.raises(ValidationFailed) as caught:
        load(sentence(5, sentence_overlap=3))
    assert caught.value.status == 400
    assert caught.value.type == "validation_exception"
    assert caught.value.reason == (
        "Validation Failed: 1: [chunking_settings] Invalid value [5.0]. [max_chunk_size] must be"
        " greater than or equal to [20.0];2: sentence_overlap[3] must be either 0 or 1;"
    )
