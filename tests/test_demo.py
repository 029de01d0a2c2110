"""The demonstration prints the main job, from an installed package alone."""

from __future__ import annotations

import asyncio
import sys


async def test_the_demonstration_creates_the_endpoint_and_embeds_two_sentences() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "esinfer.demo", stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    printed = out.decode()
    assert process.returncode == 0
    assert "PUT /_inference/text_embedding/hugging-face-embeddings\n" in printed
    assert '"dimensions": 384' in printed
    assert printed.count('"embedding": [') == 2
    assert "Their cosine is 0.76" in printed
