"""Chat completions in the form of text-generation-inference 3.3, whole or streamed.

The twin understands nothing: what it says follows from the request alone. A
text names its last message and counts all of them, ::

    esinfer twin: you said "How far is it?" (1 message)
    esinfer twin: tool said "12 km" (3 messages)

where ``you`` stands for the role ``user``, and any other role for itself. It
ends behind the first of the ``stop`` sequences that it comes to
("stop_sequence"), after ``max_tokens`` tokens ("length", also if there would
have been no more) or by itself ("stop"). A token is a word with the space
before it and the punctuation behind it; ``usage`` counts those of all
messages and those of the answer.

With ``tools`` the answer is one call of a tool, if ``tool_choice`` names it
or is "required", or if it is "auto" and the last message is a user's and
contains the name of a tool as a word. The tool is the named one, else the
first one that the last message, if a user's, contains, else the first one.
Its arguments are those of ``tool_arguments.fill``; neither ``stop`` nor
``max_tokens`` shortens them.

An error of validation in a streamed request arrives as an event, with status
200. TGI ignores ``n``; the twin refuses what it cannot give.

Source: TGI ``chat.rs``, ``server.rs``, ``validation.rs``; upstream.md section 1d.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson

from esinfer.twin.answers import EVENT_STREAM, JSON, TwinAnswer, failure
from esinfer.twin.chat_forms import (
    ChatEvents,
    Completion,
    Label,
    Said,
    error_events,
    spoken,
    whole,
)
from esinfer.twin.chat_request import ChatRequest, Choice, Message, Tool
from esinfer.twin.tool_arguments import fill
from esinfer.twin.words import pieces

_MAX_STOP: Final = 4
_MAX_TOP_TOKENS: Final = 5


def chat(request: ChatRequest, label: Label, *, clock: Callable[[], float]) -> TwinAnswer:
    """Continue the conversation; Refused as TGI refuses it. ``clock`` gives seconds."""
    start = clock()
    tool = called_tool(request)
    reason = _fault(request)
    if reason is not None and not request.stream:
        raise failure(422, reason, "validation")
    headers = _headers(request.messages)
    if reason is not None:
        return _streamed(error_events(reason, 422), headers)
    completion = complete(request, tool)
    if not request.stream:
        headers["x-compute-time"] = f"{clock() - start:f}"
    return _answer(completion, request, label, headers)


def _answer(
    completion: Completion, request: ChatRequest, label: Label, headers: Mapping[str, str]
) -> TwinAnswer:
    def say(said: Said) -> TwinAnswer:
        return _answer(spoken(said, completion.prompt_tokens), request, label, headers)

    if not request.stream:
        body = whole(completion, label)
        return TwinAnswer(status=200, content_type=JSON, body=body, headers=headers, say=say)
    usage = completion.usage if request.include_usage else None
    return replace(_streamed(ChatEvents(completion, label, usage), headers), say=say)


def _streamed(events: Iterable[bytes], headers: Mapping[str, str]) -> TwinAnswer:
    return TwinAnswer(
        status=200,
        content_type=EVENT_STREAM,
        headers={**headers, "cache-control": "no-cache", "x-accel-buffering": "no"},
        events=events,
    )


def _headers(messages: Sequence[Message]) -> dict[str, str]:
    characters = sum(len(message.text) for message in messages)
    return {"x-compute-type": "gpu+optimized", "x-compute-characters": str(characters)}


def complete(request: ChatRequest, tool: Tool | None) -> Completion:
    """What the twin says to a valid request; ``tool`` is what it calls."""
    prompt_tokens = sum(len(pieces(message.text)) for message in request.messages)
    if tool is not None:
        # As in TGI the first fragment opens the object, and the reason is not "tool_calls".
        arguments = orjson.dumps(fill(tool.parameters)).decode()
        tokens = [arguments[0], *pieces(arguments[1:])]
        return Completion(
            tokens=tokens, finish_reason="stop", prompt_tokens=prompt_tokens, tool=tool.name
        )
    text, reason = _stopped(_reply(request.messages), request.stop)
    tokens = pieces(text)
    limit = request.max_tokens
    if limit is not None and len(tokens) >= limit:
        tokens, reason = tokens[:limit], "length"
    return Completion(tokens=tokens, finish_reason=reason, prompt_tokens=prompt_tokens)


def _reply(messages: Sequence[Message]) -> str:
    role, text = messages[-1]
    who = "you" if role == "user" else role
    count = "1 message" if len(messages) == 1 else f"{len(messages)} messages"
    return f'esinfer twin: {who} said "{text}" ({count})'


def _stopped(text: str, stop: Sequence[str]) -> tuple[str, str]:
    """The text, and why it ends. TGI leaves the stop sequence in the text."""
    ends = [text.find(sequence) + len(sequence) for sequence in stop if sequence in text]
    # An empty sequence stops nothing, or there would be no first token.
    end = min(filter(None, ends), default=None)
    return (text, "stop") if end is None else (text[:end], "stop_sequence")


def called_tool(request: ChatRequest) -> Tool | None:
    """The tool that the answer calls, if any; Refused if the one that is named is not there."""
    choice, name = request.tool_choice
    if not request.tools or choice is Choice.NONE:
        return None
    if choice is Choice.NAMED:
        return _named_tool(request.tools, name)
    mentioned = _mentioned_tool(request)
    return request.tools[0] if mentioned is None and choice is Choice.REQUIRED else mentioned


def _named_tool(tools: Sequence[Tool], name: str) -> Tool:
    for tool in tools:
        if tool.name == name:
            return tool
    # TGI finds this before it looks at ``stream``: no event, but a plain error.
    raise failure(422, f"Tool error: Tool with name {name} not found", "tool_error")


def _mentioned_tool(request: ChatRequest) -> Tool | None:
    """The first tool that a user has just spoken of; a tool's result calls for no other call."""
    role, text = request.messages[-1] if request.messages else Message("", "")
    if role != "user":
        return None
    return next((tool for tool in request.tools if _mentions(text, tool.name)), None)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _fault(request: ChatRequest) -> str | None:
    """The first thing that TGI's validation finds wrong, in its order."""
    reason = next((reason for wrong, reason in _FAULTS if wrong(request)), None)
    if reason is None:
        return None
    given = {"stop": len(request.stop), "top_tokens": request.top_logprobs}
    return f"Input validation error: {reason.format(**given)}"


_FAULTS: Final[Sequence[tuple[Callable[[ChatRequest], bool], str]]] = (
    (lambda it: it.n not in {None, 1}, "`n` != 1 is not allowed for this endpoint"),
    # TGI takes a temperature of 0 for none, and adds 2 to the penalty of presence.
    (lambda it: (it.temperature or 0) < 0, "`temperature` must be strictly positive"),
    (lambda it: (it.presence_penalty or 0) <= -2, "`repetition_penalty` must be strictly positive"),
    (
        lambda it: abs(it.frequency_penalty or 0) > 2,
        "`frequency_penalty` must be >= -2.0 and <= 2.0",
    ),
    (
        lambda it: it.top_p is not None and not 0 < it.top_p < 1,
        "`top_p` must be > 0.0 and < 1.0",
    ),
    (lambda it: it.max_tokens == 0, "`max_new_tokens` must be strictly positive"),
    (
        lambda it: len(it.stop) > _MAX_STOP,
        f"`stop` supports up to {_MAX_STOP} stop sequences. Given: {{stop}}",
    ),
    (
        lambda it: (it.top_logprobs or 0) > _MAX_TOP_TOKENS,
        f"`top_n_tokens` must be >= 0 and <= {_MAX_TOP_TOKENS}. Given: {{top_tokens}}",
    ),
    (lambda it: not it.messages, "`inputs` cannot be empty"),
)
