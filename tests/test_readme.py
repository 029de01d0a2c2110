"""README.md says what is true: its table is the registry, its curl lines work as pasted."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from esinfer.seed_file import SeedError
from esinfer.services.registry import SERVICES
from esinfer.tasks import TaskType
from esinfer.testing import Esinfer
from esinfer.twin.profiles import PROFILES
from tests.conftest import Client, StartServer

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def table_of_services() -> dict[str, dict[str, str]]:
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in README.splitlines()
        if line.startswith(("| service |", "| `hugging_face"))
    ]
    header, *services = rows
    return {name: dict(zip(header[1:], cells, strict=True)) for name, *cells in services}


def test_the_table_of_services_is_the_registry() -> None:
    written = {
        name: {task for task, cell in cells.items() if cell.startswith("yes")}
        for name, cells in table_of_services().items()
    }
    assert written == {name: {*map(str, s.tasks)} for name, s in SERVICES.items()}


def test_the_table_names_task_types_only() -> None:
    for cells in table_of_services().values():
        assert set(cells) <= {str(task_type) for task_type in TaskType}


def section(heading: str) -> str:
    """The text under the one heading that holds these words."""
    (found,) = [part for part in re.split(r"(?m)^#+ ", README) if heading in part.split("\n")[0]]
    return found


def test_the_table_of_profiles_is_the_twins() -> None:
    """Each with its tasks; the release before has the same, and a default is marked."""
    rows = re.findall(r"(?m)^\| `([a-z0-9.-]+)` \| [^|]+ \|([^|]*)\|$", section("Running it"))
    written = {name: re.findall(r"`([a-z-]+)`", tasks) for name, tasks in rows}
    assert written.pop("tei-1.8") == []
    assert written == {
        name: list(profile.tasks) for name, profile in PROFILES.items() if name != "tei-1.8"
    }


def python_blocks() -> list[str]:
    return re.findall(r"(?ms)^```python$(.*?)^```$", section("In your tests"))


def test_the_test_to_paste_passes_and_what_it_asserts_is_true(esinfer: Esinfer) -> None:
    pasted: dict[str, Any] = {}
    exec(python_blocks()[0], pasted)  # noqa: S102 - our own text
    pasted["test_search_asks_for_a_vector_once"](esinfer)
    with pytest.raises(AssertionError, match="1 time; there were 2"):
        pasted["test_search_asks_for_a_vector_once"](WithoutEndpoint(esinfer))


class WithoutEndpoint:
    """The fixture after a test, which has made its endpoint already."""

    def __init__(self, esinfer: Esinfer) -> None:
        self.url = esinfer.url
        self.journal = esinfer.journal

    def endpoint(self, _inference_id: str) -> None:
        return


def test_the_script_to_paste_prints_a_vector(capsys: pytest.CaptureFixture[str]) -> None:
    exec(python_blocks()[1], {})  # noqa: S102 - our own text
    assert "'text_embedding': [{'embedding': [" in capsys.readouterr().out


def toml_block() -> str:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (found,) = [block for block in blocks if "[[endpoints]]" in block]
    return str(found)


async def test_the_seed_can_be_sown_and_is_refused_as_told(
    start: StartServer, tmp_path: Path
) -> None:
    seed = tmp_path / "seed.toml"
    seed.write_text(toml_block(), encoding="utf-8")
    mock = await start(f"store.seed={seed}", mode="mock")
    path = "/_inference/text_embedding/my-embeddings"
    reply = await mock("POST", path, {"input": "fox"})
    assert reply.json == {"text_embedding": [{"embedding": [0.1, 0.2, 0.3]}]}
    seed.write_text(toml_block().replace("input =", "inptu ="), encoding="utf-8")
    with pytest.raises(SeedError) as raised:
        await start(f"store.seed={seed}", mode="mock")
    told = str(raised.value).removeprefix(f"{tmp_path}/")
    assert f"`{told}`" in README.replace("\n", " ")


def curl_lines() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    commands = "\n".join(block for block in blocks if "curl" in block)
    return [found.strip() for found in re.split(r"(?m)^(?=curl )", commands) if found.strip()]


def test_no_shell_takes_a_url_for_a_pattern() -> None:
    """zsh, which macOS starts, expands an unquoted question mark."""
    assert not re.findall(r"(?m)^curl .*(?<!')localhost:9200\S*\?", README)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_curl_lines_work_as_pasted(mock: Client) -> None:
    outputs = []
    for line in curl_lines():
        command = line.replace("localhost:9200", mock.url).replace("curl ", "curl -sS ", 1)
        process = await asyncio.create_subprocess_shell(
            command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b""), line
        outputs.append(out.decode())
    (typo,) = [output for output in outputs if re.match(r'\{\s*"error"', output)]
    assert len(outputs) == len(re.findall(r"(?m)^curl ", README))
    assert "unknown field [inputs] did you mean [input]?" in typo
