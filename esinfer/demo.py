"""The main job, once, printed: ``make demo`` or ``python -m esinfer.demo``.

Starts ``esinfer mock`` on a free port in a process of its own, creates the
endpoint of Elastic's documentation, embeds three sentences, one of them a
paraphrase without a word of the first, and stops. Uses the standard library
alone, as any client could.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_ENDPOINT = "/_inference/text_embedding/hugging-face-embeddings"
_CONFIGURATION = {
    "service": "hugging_face",
    "service_settings": {
        "api_key": "hf_xxxxxxxxxxxx",
        "url": "https://xxxxxxxx.us-east-1.aws.endpoints.huggingface.cloud",
    },
}
_SENTENCES = (
    "The film was terribly boring",
    "That movie is really dull",
    "My train leaves at noon",
)


def main() -> int:
    """Run the demonstration; 0 if every answer was good."""
    with _server() as url:
        _say(f"esinfer mock is listening on {url}. No packet leaves this machine.\n")
        _say("1. Create the inference endpoint of the documentation's example:\n")
        _call(url, "PUT", _ENDPOINT, _CONFIGURATION)
        _say("2. Embed a sentence, a paraphrase that shares no word with it, and another:\n")
        answer = _call(url, "POST", _ENDPOINT, {"input": _SENTENCES})
        first, *others = (item["embedding"] for item in answer["text_embedding"])
        _say(f'How near is what to "{_SENTENCES[0]}"?\n')
        ranked = zip((_cosine(first, other) for other in others), _SENTENCES[1:], strict=True)
        for cosine, sentence in sorted(ranked, reverse=True):
            _say(f"  {cosine:.2f}  {sentence}")
        _say("")
        _say("Now it is your turn: `make run`, then the curl lines of README.md.")
    return 0


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "esinfer", "mock", "--port", "0"]
    command += ["--set", "logging.level=warn"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            if process.stdout is None:
                raise RuntimeError("the server's standard output is not a pipe")
            line = process.stdout.readline()
            if not line:
                raise SystemExit(process.wait())
            yield line.split()[-1]
        finally:
            process.terminate()


def _call(url: str, method: str, path: str, body: object) -> Any:
    _say(f"{method} {path}\n{json.dumps(body, indent=2)}\n")
    request = urllib.request.Request(  # noqa: S310 - http to our own server
        url + path,
        data=json.dumps(body).encode(),
        method=method,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
        answer = json.load(response)
        _say(f"{response.status} {response.reason}\n{_printed(answer)}\n")
    return answer


_VECTOR = re.compile(r"\[\s+((?:[-\d.e]+,\s+){2}[-\d.e]+)(?:,\s+[-\d.e]+)+\s+\]")


def _printed(answer: object) -> str:
    """The answer, each vector cut to its first numbers."""
    text = json.dumps(answer, indent=2)
    return _VECTOR.sub(lambda vector: f"[{' '.join(vector[1].split())}, …]", text)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
