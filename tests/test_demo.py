"""The demonstration prints the main job, from an installed package alone."""

from __future__ import annotations

import asyncio
import sys

from esinfer import demo


async def test_the_demonstration_creates_the_endpoint_and_ranks_the_paraphrase_first() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "esinfer.demo", stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    printed = out.decode()
    assert process.returncode == 0
    assert "PUT /_inference/text_embedding/hugging-face-embeddings\n" in printed
    assert '"dimensions": 384' in printed
    assert printed.count('"embedding": [') == 3
    assert (
        'How near is what to "The film was terribly boring"?\n\n'
        "  0.62  That movie is really dull\n"
        "  0.02  My train leaves at noon\n"
    ) in printed


def test_the_paraphrase_shares_no_word_with_the_first_sentence() -> None:
    first, paraphrase, _ = (set(sentence.lower().split()) for sentence in demo._SENTENCES)
    assert not first & paraphrase
