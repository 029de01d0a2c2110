"""The clients of Hugging Face and of OpenAI against live twins, one a profile.

`make test-clients` runs this file in an environment that has them; the
ordinary test run has not, and leaves it out by its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient, __version__
from huggingface_hub.errors import HfHubHTTPError, TextGenerationError

from tests.clients.servers import Twins

KEY = "hf_secret"
TEXT = "a red fox"
MODEL = "/hf-inference/models/intfloat/e5-base-v2"
ASK: Any = [{"role": "user", "content": "hello there"}]
REPLY = 'esinfer twin: you said "hello there" (1 message)'
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}

Connect = Callable[[str], openai.OpenAI]


@pytest.fixture(scope="module")
def twins() -> Twins:
    told = Twins.told(os.environ)
    assert told is not None, "tests.clients.run starts the servers"
    return told


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make OpenAI clients; they are closed with the test."""
    made: list[openai.OpenAI] = []

    def connect_one(url: str) -> openai.OpenAI:
        made.append(openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0))
        return made[-1]

    yield connect_one
    for client in made:
        client.close()


def hub(url: str, key: str = KEY) -> Any:
    """A client of the Hub, whose types are not here in every environment."""
    return InferenceClient(model=url, token=key)


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    """Status and body of what a client of the Hub raises."""
    with pytest.raises(HfHubHTTPError) as caught:
        call()
    return caught.value.response.status_code, caught.value.response.text


def test_the_client_is_the_pinned_release() -> None:
    assert __version__ == os.environ["ESINFER_SUITE_VERSION"]


# Embeddings of the Hub


@pytest.mark.parametrize("route", ["", "/embed"])
def test_feature_extraction(twins: Twins, route: str) -> None:
    vectors = hub(twins.tei + route).feature_extraction(TEXT)
    assert (vectors.shape, vectors.dtype) == ((1, 384), np.float32)
    assert float(np.linalg.norm(vectors)) == pytest.approx(1)
    again = hub(twins.tei_1_8).feature_extraction(
        TEXT, normalize=True, truncate=True, truncation_direction="right"
    )
    assert np.array_equal(vectors, again)


def test_feature_extraction_cut_to_dimensions(twins: Twins) -> None:
    vectors = hub(twins.tei).feature_extraction(TEXT, dimensions=2)
    assert vectors.shape == (1, 2)


def test_feature_extraction_is_refused_as_tei_refuses(twins: Twins) -> None:
    client = hub(twins.tei)
    status, text = refusal(lambda: client.feature_extraction(TEXT, prompt_name="query"))
    assert status == 422
    assert "`default-prompt-name` is set to `query`" in text
    assert refusal(lambda: hub(twins.tei, "other").feature_extraction(TEXT)) == (401, "")


def test_too_long_a_text_depends_on_the_release(twins: Twins) -> None:
    long = "word " * 600
    assert hub(twins.tei).feature_extraction(long).shape == (1, 384)
    status, text = refusal(lambda: hub(twins.tei_1_8).feature_extraction(long))
    assert status == 413
    assert "must have less than 256 tokens" in text


def test_sentence_similarity(twins: Twins) -> None:
    others = [TEXT, "bread"]
    same, other = hub(twins.similarity).sentence_similarity(TEXT, other_sentences=others)
    assert same == pytest.approx(1)
    assert other < same
    route = hub(f"{twins.tei}/similarity").sentence_similarity(TEXT, other_sentences=others)
    assert route == [same, other]


def test_the_object_of_the_toolkit_is_not_understood(twins: Twins) -> None:
    """The real client cannot read it either; and it sends exactly the media type wanted."""
    with pytest.raises(TypeError):
        hub(twins.toolkit).feature_extraction(TEXT)


def test_the_router(twins: Twins) -> None:
    pipeline = f"{twins.serverless}{MODEL}/pipeline"
    assert hub(f"{pipeline}/feature-extraction").feature_extraction(TEXT).shape == (1, 768)
    client = hub(f"{pipeline}/sentence-similarity")
    assert client.sentence_similarity(TEXT, other_sentences=[TEXT]) == [pytest.approx(1)]
    status, text = refusal(lambda: hub(f"{pipeline}/x", "other").feature_extraction(TEXT))
    assert (status, text) == (401, '{"error":"Invalid credentials in Authorization header"}')


# Chats of the Hub


def test_chat_completion(twins: Twins) -> None:
    answer = hub(twins.tgi).chat_completion(ASK)
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == (REPLY, "stop")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_completion_calls_a_tool(twins: Twins) -> None:
    answer = hub(twins.tgi).chat_completion(ASK, tools=[TOOL], tool_choice="required")
    [call] = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"string"}')


@pytest.mark.parametrize("profile", ["tgi", "tei", "serverless"])
def test_chat_completion_streamed(twins: Twins, profile: str) -> None:
    client = hub(getattr(twins, profile))
    chunks = list(client.chat_completion(ASK, stream=True, stream_options={"include_usage": True}))
    *said, usage = chunks
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == REPLY
    assert said[-1].choices[0].finish_reason == "stop"
    assert (usage.choices, usage.usage is not None) == ([], True)


def test_chat_completion_is_refused_at_once_or_in_the_stream(twins: Twins) -> None:
    client = hub(twins.tgi)
    status, text = refusal(lambda: client.chat_completion(ASK, top_p=2))
    assert (status, "`top_p` must be" in text) == (422, True)
    with pytest.raises(TextGenerationError, match="`top_p` must be"):
        list(client.chat_completion(ASK, top_p=2, stream=True))


# OpenAI


def test_embeddings_packed_and_plain(twins: Twins, connect: Connect) -> None:
    client = connect(twins.tei)
    packed = client.embeddings.create(model="any", input=[TEXT, "bread"])
    plain = client.embeddings.create(model="any", input=[TEXT, "bread"], encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1]
    assert packed.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert packed.usage.prompt_tokens == 8
    one, other = (np.array(item.data[0].embedding, np.float32) for item in (packed, plain))
    assert np.array_equal(one, other)
    assert np.array_equal(one, hub(twins.tei).feature_extraction(TEXT)[0])


def test_embeddings_are_refused_in_openai_form(twins: Twins, connect: Connect) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        connect(twins.tei).embeddings.create(model="any", input=["a"] * 33)
    assert caught.value.response.json() == {
        "message": "batch size 33 > maximum allowed batch size 32",
        "code": 422,
        "type": "Validation",
    }


@pytest.mark.parametrize("profile", ["tgi", "tei", "serverless", "vllm"])
def test_chat(twins: Twins, connect: Connect, profile: str) -> None:
    client = connect(getattr(twins, profile))
    answer = client.chat.completions.create(model="chat", messages=ASK)
    assert answer.choices[0].message.content == REPLY
    assert answer.model == "chat"


@pytest.mark.parametrize("profile", ["tgi", "tei", "serverless", "vllm"])
def test_chat_streamed(twins: Twins, connect: Connect, profile: str) -> None:
    client = connect(getattr(twins, profile))
    stream = client.chat.completions.create(
        model="chat", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    *said, usage = stream
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == REPLY
    assert said[-1].choices[0].finish_reason == "stop"
    assert usage.usage is not None


@pytest.mark.parametrize("profile", ["tgi", "vllm"])
def test_a_streamed_call_can_be_put_together(twins: Twins, connect: Connect, profile: str) -> None:
    client = connect(getattr(twins, profile))
    stream = client.chat.completions.create(
        model="chat", messages=ASK, tools=[TOOL], tool_choice="required", stream=True
    )
    deltas = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    functions = [delta.function for delta in deltas if delta.function is not None]
    assert "".join(function.arguments or "" for function in functions) == '{"city":"string"}'
    assert [function.name for function in functions if function.name] == ["weather"]


def test_errors_of_vllm_are_understood(twins: Twins, connect: Connect) -> None:
    client = connect(twins.vllm)
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="other", messages=ASK)
    assert (caught.value.code, caught.value.type) == ("404", "NotFoundError")
    assert [model.id for model in client.models.list()] == ["chat"]
