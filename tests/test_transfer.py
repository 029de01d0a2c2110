from __future__ import annotations

import json
import subprocess

import pytest

from esinfer import transfer
from esinfer.transfer import Portable, TransferError

BODY = {
    "service": "hugging_face",
    "service_settings": {"url": "https://e.com/?a=$b", "api_key": 'k"`$(x)\\ü'},
}
ENDPOINT = Portable(inference_id="a/ü", task_type="rerank", body=BODY)


def test_what_is_exported_is_read_again() -> None:
    assert transfer.read(transfer.to_json([ENDPOINT]), "f") == [ENDPOINT]


def test_what_a_get_tells_and_a_put_refuses_is_left_out() -> None:
    told = {
        "inference_id": "a",
        "task_type": "sparse_embedding",
        "service": "hugging_face",
        "service_settings": {"url": "u", "max_input_tokens": 512},
    }
    assert transfer.from_wire(told).body["service_settings"] == {"url": "u"}


def test_a_path_is_quoted() -> None:
    assert ENDPOINT.path == "/_inference/rerank/a%2F%C3%BC"


def test_no_key_is_in_the_repr() -> None:
    assert "api_key" not in repr(ENDPOINT)


def run_script(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it with a curl that prints its arguments and input."""
    curl = "curl() { printf '%s\\n' \"$@\"; cat; }\n"
    return subprocess.run(  # noqa: S603 -- our own script
        ["/bin/sh", "-c", curl + script],
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_service_without_key_gets_no_placeholder() -> None:
    local, custom, remote = (
        transfer.from_wire({"inference_id": "a", "task_type": "rerank", "service": service})
        for service in ("elasticsearch", "custom", "cohere")
    )
    assert local.with_placeholder() == local
    assert custom.with_placeholder() == custom
    assert remote.with_placeholder().body["service_settings"] == {"api_key": "<api_key>"}


def sent(output: str) -> object:
    return json.loads(output[output.index("{\n") :])


def test_the_script_sends_what_the_endpoint_is_whatever_a_shell_would_read_in_it() -> None:
    ran = run_script(transfer.to_curl([ENDPOINT]), CURL_OPTIONS="-u a:b")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sent(ran.stdout) == BODY
    arguments = ran.stdout.splitlines()
    assert arguments[4:6] == ["-u", "a:b"]
    assert "http://localhost:9200/_inference/rerank/a%2F%C3%BC" in arguments


def test_the_script_asks_for_a_key_that_the_export_has_not() -> None:
    script = transfer.to_curl([ENDPOINT.with_placeholder()])
    key = 'k"e\\y$(x)`&/'
    ran = run_script(script, UPSTREAM_API_KEY=key, ELASTICSEARCH_URL="http://e")
    assert sent(ran.stdout) == ENDPOINT.with_key(key).body
    ran = run_script(script)
    assert ran.returncode != 0
    assert "UPSTREAM_API_KEY" in ran.stderr
    assert ran.stdout == ""


def test_the_script_shows_why_an_endpoint_was_refused() -> None:
    arguments = run_script(transfer.to_curl([ENDPOINT])).stdout.splitlines()
    assert arguments[:2] == ["-sS", "--fail-with-body"]


def test_half_a_character_in_a_setting_is_exported_all_the_same() -> None:
    settings = {"url": "u", "model_id": "\ud800"}
    half = Portable(
        inference_id="a", task_type="t", body={"service": "s", "service_settings": settings}
    )
    text = transfer.to_json([half])
    assert text.isascii()
    assert transfer.read(text, "f") == [half]
    assert sent(run_script(transfer.to_curl([half])).stdout) == half.body


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "f is not JSON: line 1"),
        ("[" * 100_000, "f is not JSON"),
        ("1" * 5000, "f is not JSON: a number has too many digits"),
        ("[]", 'f is no export: it must be an object with a list "endpoints"'),
        ('{"endpoints": [1]}', "an endpoint must be an object"),
        ('{"endpoints": [{"service": "s"}]}', "an endpoint has no inference_id"),
        ('{"endpoints": [{"inference_id": "a"}]}', "endpoint [a] has no task_type"),
        (
            '{"endpoints": [{"inference_id": "\\ud800"}]}',
            "inference_id of an endpoint has half a character in it",
        ),
        (
            json.dumps(
                {
                    "endpoints": [
                        {
                            "inference_id": "a",
                            "task_type": "rerank",
                            "service": "s",
                            "service_settings": 1,
                        }
                    ]
                }
            ),
            "endpoint [a]: service_settings must be an object",
        ),
    ],
)
def test_what_is_no_export_is_one_line(text: str, problem: str) -> None:
    with pytest.raises(TransferError) as caught:
        transfer.read(text, "f")
    assert str(caught.value) == problem


def stored(**body: object) -> Portable:
    told = {"inference_id": "a", "task_type": "text_embedding", "service": "s", **body}
    return transfer.from_wire(told)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ({}, {}, {}),
        (
            {"url": "u", "rate_limit": 1, "max_input_tokens": 2},
            {"url": "u", "rate_limit": 3, "max_input_tokens": 2, "api_key": "k"},
            {"rate_limit": 3, "api_key": "k"},
        ),
        ({"max_input_tokens": 1}, {"max_input_tokens": 2}, {"max_input_tokens": 2}),
        ({"url": "u"}, {"url": "v"}, None),
        ({"url": "u", "rate_limit": 1}, {"url": "u"}, None),
    ],
)
def test_a_change_of_service_settings(
    old: dict[str, object], new: dict[str, object], change: dict[str, object] | None
) -> None:
    found = transfer.change(stored(service_settings=old), stored(service_settings=new))
    assert found == ({"service_settings": change} if change else change)


def test_a_change_of_other_settings() -> None:
    old = stored(task_settings={"a": 1, "b": 2}, chunking_settings={"strategy": "none", "x": 1})
    new = stored(task_settings={"a": 1, "b": 3}, chunking_settings={"strategy": "none"})
    assert transfer.change(old, old) == {}
    assert transfer.change(old, new) == {
        "task_settings": {"b": 3},
        "chunking_settings": {"strategy": "none"},
    }
    fewer = stored(task_settings={"a": 1}, chunking_settings=old.body["chunking_settings"])
    assert transfer.change(old, fewer) is None, "nothing can be taken away"
    unchunked = stored(task_settings=old.body["task_settings"])
    assert transfer.change(old, unchunked) is None
    assert transfer.change(old, stored(service="t")) is None
    assert transfer.change(old, stored(task_type="rerank")) is None
