"""``--seed``: what is there at the start, and what is wrong with a seed, by file and line."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from esinfer.api.about import Mode
from esinfer.app import make_app
from esinfer.config import Config, load
from esinfer.seed_file import SeedError
from tests.conftest import Answer, Client, StartServer, Upstream, run_app

SEED = """\
# what a test suite of ours wants
similarities = [
  ["cheap flight", "low-cost airfare", 0.92],
]

[[endpoints]]
inference_id = "vectors"
task_type = "text_embedding"
service = "hugging_face"
service_settings = { url = "https://example.com/x", api_key = "hf_any" }

[[endpoints]]
inference_id = "ranks"
task_type = "rerank"
service = "hugging_face"
[endpoints.service_settings]
url = "https://example.com/x"
api_key = "hf_any"

[upstreams.default]
dimensions = 4
state = "cold"
ready_after_requests = 4
api_key = "hf_any"

[[stubs]]
name = "fox"
match = { input = "fox" }
answer = [
  { vector = [1, 2, 3] },
  { fault = { kind = "overloaded" } },
]

[[stubs]]
answer = { score = 0.5 }
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_one(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_one


def as_json(text: str) -> str:
    return json.dumps(tomllib.loads(text), indent=2)


async def start_and_stop(config: Config, mode: Mode) -> None:
    async with run_app(make_app(config, mode)):
        pass


async def refused(path: Path, *overrides: str, mode: Mode = "mock") -> str:
    """What a server that does not start says, without the directory."""
    config = load(None, {}, [f"store.seed={path}", *overrides])
    with pytest.raises(SeedError) as raised:
        await start_and_stop(config, mode)
    return str(raised.value).removeprefix(f"{path.parent}/")


@pytest.mark.parametrize("suffix", ["toml", "json"])
async def test_all_of_it_is_there(start: StartServer, write: Write, suffix: str) -> None:
    text = SEED if suffix == "toml" else as_json(SEED)
    mock = await start(f"store.seed={write(f'a.{suffix}', text)}", mode="mock")
    endpoints = (await mock("GET", "/_inference")).json["endpoints"]
    assert [each["inference_id"] for each in endpoints] == ["ranks", "vectors"]
    assert endpoints[1]["service_settings"]["dimensions"] == 4
    pins = [["cheap flight", "low-cost airfare", 0.92]]
    assert (await mock("GET", "/_esinfer/similarities")).json == {"similarities": pins}
    stubs = (await mock("GET", "/_esinfer/stubs")).json["stubs"]
    assert [(each["name"], each["hits"]) for each in stubs] == [("fox", 0), ("stub-1", 0)]
    upstream = (await mock("GET", "/_esinfer/upstreams/default")).json
    assert (upstream["state"], upstream["ready_after_requests"]) == ("cold", 4)


NO_SERVICE = """
[[endpoints]]
inference_id = "a"
task_type = "rerank"
"""
ENDPOINT = NO_SERVICE + 'service = "hugging_face"\n'
SETTINGS = 'service_settings = { url = "https://example.com/x", api_key = "hf_any" }\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a =\n", ":1: not valid TOML: Invalid value"),
        ("a = 1\nb = [\n", ":3: not valid TOML: "),
        ("\nstub = 1\n", ":2: stub: unknown section, did you mean [stubs]?"),
        (
            "[faults]\n",
            ":1: faults: unknown section, expected one of [endpoints, upstreams, stubs, ",
        ),
        ("[stubs]\n", ":1: stubs: expected an array of tables, each begun by [[stubs]] in TOML"),
        ("\nstubs = [1]\n", ":2: stubs[0]: expected a table"),
        ("a = nan\n", ":1: a: expected a number but got nan"),
        ("\n\na = [\n1,\n2020-01-01,\n]", ':5: a[1]: expected a text, such as "2020-01-01"'),
        ("[[stubs]]\nname = 1\n", ":2: stubs[0].name: [name] must be a text"),
        ("[[stubs]]\nname = 'a'\n", ":1: stubs[0]: Required [answer]"),
        (
            "[[stubs]]\nname = '-'\nanswer.score = 1",
            ":1: stubs[0]: Invalid stub name [-], expected",
        ),
        (
            "[[stubs]]\nanswer.score = 1\n\n[[stubs]]\nansver.score = 1\n",
            ":5: stubs[1].ansver: [stub] unknown field [ansver] did you mean [answer]?",
        ),
        (
            "[[stubs]]\nanswer = [\n  { vector = [1] },\n  # so\n  { vector = ['1'] },\n]\n",
            ":5: stubs[0].answer[1].vector: [vector[0]] must be a number but was [VALUE_STRING]",
        ),
        (
            '[[stubs]]\nanswer.text = """\none\n[two\n"""\nmatch.call = 0\n',
            ":6: stubs[0].match.call: Invalid value [0], expected one from [1] to [1000000]",
        ),
        (
            "similarities = [\n ['a', 'b', 1],\n ['a', 'c'],\n]\n",
            ":3: similarities[1]: expected [text, text, cosine] but got [2] values",
        ),
        (
            "\nsimilarities = [['a', 'b', 2]]\n",
            ":2: similarities: the cosine of [a] and [b] must be from [-1] to [1], got [2]",
        ),
        (
            "[upstreams.default]\nstate = 'running'\n[[upstreams.default.faults]]\nkind = 'rest'\n",
            ":4: upstreams.default.faults[0].kind: unknown kind of fault [rest], did you mean ",
        ),
        ("[upstreams]\nother = {}\n", ":2: upstreams.other: Required [url]"),
        ("\n[[endpoints]]\n", ":2: endpoints[0].inference_id: [inference_id] must be a text"),
        (
            "[[endpoints]]\ninference_id = 'A'\ntask_type = 'rerank'\n",
            ":1: endpoints[0]: Validation Failed: 1: Invalid inference_id; 'A' can contain",
        ),
        (
            "[[endpoints]]\ninference_id = 'a'\ntask_type = 'rank'\n",
            ":1: endpoints[0]: Unknown task_type [rank]",
        ),
        (NO_SERVICE, ":2: endpoints[0]: Inference endpoint configuration is missing the [service]"),
        (ENDPOINT, ":2: endpoints[0]: Missing required field [service_settings]"),
        (
            f"{ENDPOINT}{SETTINGS}x = 1\n",
            ":2: endpoints[0]: Configuration contains settings [{x=1}] unknown to the ",
        ),
        (
            f"{ENDPOINT}{SETTINGS}{ENDPOINT.replace('rerank', 'completion')}{SETTINGS}",
            ":8: endpoints[1]: endpoint [a] is there already, with task type [rerank] and service"
            " [hugging_face]",
        ),
    ],
)
async def test_what_is_wrong_is_told_by_line(write: Write, text: str, said: str) -> None:
    assert (await refused(write("s.toml", text))).startswith(f"s.toml{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ":1: not valid JSON: Expecting property name enclosed in double quotes"),
        ("[]", ":1: expected an object"),
        (
            '{\n"stubs": [\n{"answer": {\n"score": null}}]}',
            ":4: stubs[0].answer.score: [answer] score",
        ),
        ('{"stubs": [\n\n{"name": "a"}]}', ":3: stubs[0]: Required [answer]"),
        ('{\n"a": NaN}', ":2: not valid JSON: Non-standard token 'NaN'"),
        ('{\n"a": 1e999}', ":2: a: expected a number but got inf"),
        ('{"stubs": [],\n"stubs": []}', ":2: not valid JSON: Duplicate field 'stubs'"),
    ],
)
async def test_so_it_is_of_json(write: Write, text: str, said: str) -> None:
    assert (await refused(write("s.json", text))).startswith(f"s.json{said}")


async def test_a_validation_call_that_fails_is_told(write: Write) -> None:
    path = write("s.toml", f"{ENDPOINT}{SETTINGS}")
    said = await refused(path, "twin.profile=toolkit")
    assert said.startswith("s.toml:2: endpoints[0]: Could not complete inference endpoint creation")
    assert "status [400]" in said


async def test_a_file_that_is_none(write: Write, tmp_path: Path) -> None:
    assert await refused(write("s.yaml", "")) == (
        "s.yaml:1: a seed is a file that ends with .toml or .json"
    )
    assert await refused(tmp_path / "no.toml") == (
        "no.toml: cannot read the file: No such file or directory"
    )
    (tmp_path / "b.toml").write_bytes(b"# a\n# \xff\n")
    assert await refused(tmp_path / "b.toml") == "b.toml:2: not UTF-8"


async def test_serve_takes_endpoints_alone(write: Write) -> None:
    path = write("s.toml", "[[stubs]]\nanswer.score = 1\n")
    said = "s.toml:1: stubs: is for esinfer mock: esinfer serve calls real upstreams"
    assert await refused(path, mode="serve") == said


async def test_an_endpoint_that_is_there_is_left_alone(
    start: StartServer, upstream: Upstream, write: Write, tmp_path: Path
) -> None:
    """Its validation call is made once, whatever the seed says later."""
    text = f"{ENDPOINT}service_settings = {{ url = '{upstream.url}', api_key = 'first' }}\n"
    upstream.answers(Answer.json([{"index": 0, "score": 0.5}]))
    store = ("store.kind=sqlite", f"store.path={tmp_path / 'e.db'}")
    for key in ("first", "second"):
        path = write("s.toml", text.replace("first", key))
        client: Client = await start(f"store.seed={path}", *store)
        assert (await client("GET", "/_inference/rerank/a")).status == 200
    assert len(upstream.requests) == 1


def test_the_command_ends_with_2_and_one_line(write: Write) -> None:
    path = write("s.toml", "\n[[stubs]]\nx = 1\n")
    command = [sys.executable, "-m", "esinfer", "mock", "--port", "0", "--seed", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"esinfer: {path}:3: stubs[0].x: [stub] unknown field [x]\n"
