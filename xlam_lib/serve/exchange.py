"""One request of the xLAM client: what goes to the server, and how its answer is read, whole or as a stream.

    exchange = Exchange(config, messages, tools, {"seed": 1})
    exchange.body                                       # keywords for the openai package
    exchange.response(response)                         # {"choices": [...], "usage": {...}, ...}
    reader = exchange.stream()
    [*reader.feed(chunk), ..., *reader.finish()]        # pieces, at last the choices

Used by `client.py` (notebook 04_serving), whose plain and asynchronous calls differ only in how they wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from xlam_lib.answers import json_text
from xlam_lib.chat_template import AFTER, BEFORE, model_prompt
from xlam_lib.codec import SEED_STYLE, PromptStyle, history_steps, render_prompt, tools_from_any
from xlam_lib.endpoint import shown_url
from xlam_lib.serve.choices import (
    choice_as_written,
    choice_of_calls,
    choice_of_text,
    collect_choices,
    collect_stream,
    sets_format,
)
from xlam_lib.serve.messages import MessageError, fresh_ids, openai_messages, steps_of, whole_text
from xlam_lib.serve.schema import answer_schema
from xlam_lib.serve.streaming import AnswerStream
from xlam_lib.trajectory import Tool
from xlam_lib.views import tools_to_openai


@dataclass(frozen=True, repr=False)
class xLAMConfig:  # noqa: N801 -- the original's name
    """`xLAMConfig(base_url="http://localhost:8000/v1/", model="sft")`; without api_key, OPENAI_API_KEY is taken."""

    base_url: str
    model: str
    mode: Literal["tools", "prompt", "completion"] = "tools"
    style: PromptStyle = SEED_STYLE  # of the prompts that we render
    wrapper: tuple[str, str] = (BEFORE, AFTER)  # of the model text, in mode "completion"
    structured: bool = False  # hold answers to the JSON Schema of the tools, in modes "prompt" and "completion"
    temperature: float = 0.0
    max_tokens: int = 512
    timeout: float = 120.0  # seconds
    max_retries: int = 2  # after lost connections, time-outs and statuses 408, 409, 429, 5xx, with growing pauses
    api_key: str = field(default="", repr=False)

    def __repr__(self) -> str:
        shown = {one.name: getattr(self, one.name) for one in fields(self) if one.repr}
        shown["base_url"] = shown_url(self.base_url)
        return f"xLAMConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __post_init__(self) -> None:
        if self.mode not in ("tools", "prompt", "completion"):
            raise ValueError(f"mode is {self.mode!r}, expected 'tools', 'prompt' or 'completion'")
        if self.structured and self.mode == "tools":
            raise ValueError("structured is for the modes in which we read the answer; in 'tools', ask the server by "
                             "tool_choice='required'")  # fmt: skip


class Exchange:
    """The request that the config's mode makes of a conversation, and the reading of what comes back."""

    def __init__(
        self, config: xLAMConfig, messages: Iterable[Any], tools: list[dict] | None, options: dict[str, Any]
    ) -> None:
        messages = list(messages)
        strict = openai_messages(messages)
        self.config, self.tools = config, tuple(tools_from_any(tools or []))
        whole_text(json_text(tools_to_openai(self.tools)), "tools")
        self._ids = fresh_ids(strict)  # for calls that we read ourselves
        self._formatted = sets_format(options)  # the answer is in a form that the client asked for
        self._calls_allowed = True
        self.body: dict[str, Any] = {
            "model": config.model,
            "temperature": config.temperature,
            "max_tokens": config.max_tokens,
        }
        if config.mode == "tools":
            ours = {"messages": strict, **({"tools": tools_to_openai(self.tools)} if self.tools else {})}
            # The package walks through what it is given by its own names; what it only sends on costs a third of that.
            self.body |= {**options, "messages": [], "extra_body": {**ours, **(options.get("extra_body") or {})}}
            return
        options = self._held_to_schema(dict(options))
        prompt = prompt_of(config.style, strict, self.tools)
        if config.mode == "prompt":
            self.body |= {"messages": [{"role": "user", "content": prompt}]}
        else:
            self.body |= {"prompt": model_prompt(prompt, *config.wrapper)}
        self.body |= options

    def _held_to_schema(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options without `tool_choice`, which the server could not keep: it is shown no tools; the schema can."""
        choice, parallel = options.pop("tool_choice", "auto"), options.pop("parallel_tool_calls", True)
        named = choice.get("function", {}).get("name") if isinstance(choice, dict) else ""
        if not named and choice not in ("auto", "none", "required"):
            raise MessageError(f"tool_choice is {choice!r}, expected 'auto', 'none', 'required' or a named function")
        offered = [tool for tool in self.tools if named in ("", tool.name)]
        if (named or choice == "required") and not offered:
            raise MessageError(f"tool_choice is {choice!r}, but no such tool is given")
        forced = bool(named) or choice == "required"
        self._calls_allowed = choice != "none"
        if self._formatted or not (forced or (self.config.structured and offered and self._calls_allowed)):
            return options
        schema = answer_schema(offered, parallel=parallel is not False and not named, required=forced)
        wish = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        return {**options, "extra_body": {**(options.get("extra_body") or {}), "response_format": wish}}

    def response(self, response: Any) -> dict[str, Any]:
        """A whole answer: {"id": ..., "model": "sft", "choices": [...], "usage": {"prompt_tokens": 99, ...}}."""
        choices = [{**self._choice(choice), "index": index} for index, choice in enumerate(response.choices)]
        return {"id": response.id, "model": response.model, "choices": choices, "usage": usage_of(response)}

    def stream(self) -> CallStream | TextStreams:
        """What reads a stream, chunk by chunk."""
        return CallStream(self) if self.config.mode == "tools" else TextStreams(self)

    def _choice(self, choice: Any) -> dict[str, Any]:
        if self.config.mode == "tools":
            return choice_of_calls(choice.message, choice.finish_reason, self.tools)
        return self.read(self.text_of(choice, "message"), choice.finish_reason)

    def read(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        """The choice of a text of the model."""
        if self._formatted:
            return choice_as_written(text, finish_reason)
        return choice_of_text(text, finish_reason, self.tools if self._calls_allowed else (), self._ids)

    def text_of(self, choice: Any, where: str) -> str:
        """What the model wrote, of a choice or a piece of one."""
        return (choice.text if self.config.mode == "completion" else getattr(choice, where).content) or ""

    def answer_stream(self) -> AnswerStream | None:
        """What reads a text piece by piece; None where its form is the client's own."""
        return None if self._formatted else AnswerStream(self._calls_allowed, self.tools)


class CallStream:
    """The stream of a server that reads the answer itself."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._chunks: list[Any] = []

    def feed(self, chunk: Any) -> Iterator[dict[str, Any]]:
        """The content in a chunk: {"index": 0, "content": "Look"}."""
        self._chunks.append(chunk)
        for choice in chunk.choices:
            if choice.delta.content:
                yield {"index": choice.index, "content": choice.delta.content}

    def finish(self) -> Iterator[dict[str, Any]]:
        """The choices, then the usage if the server was asked for it."""
        for index, whole in (collect_choices(self._chunks) or {0: collect_stream([])}).items():
            read = choice_of_calls(whole["message"], whole["finish_reason"], self._exchange.tools)
            yield {**read, "index": index}
        yield from usage_in(self._chunks)


class TextStreams:
    """The stream of a server that returns text, which we read, each of its choices apart."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._streams = {0: TextStream(exchange)}
        self._last: list[Any] = []

    def feed(self, chunk: Any) -> Iterator[dict[str, Any]]:
        """The content in a chunk: {"index": 0, "content": "Look"}."""
        self._last = [chunk]
        for choice in chunk.choices:
            stream = self._streams.setdefault(choice.index, TextStream(self._exchange))
            if content := stream.feed(self._exchange.text_of(choice, "delta"), choice.finish_reason):
                yield {"index": choice.index, "content": content}

    def finish(self) -> Iterator[dict[str, Any]]:
        """The content that is left, the choices, then the usage if the server was asked for it."""
        for index, stream in sorted(self._streams.items()):
            if rest := stream.rest():
                yield {"index": index, "content": rest}
        for index, stream in sorted(self._streams.items()):
            yield {**self._exchange.read(stream.text, stream.finish_reason), "index": index}
        yield from usage_in(self._last)


class TextStream:
    """One choice of a stream of text, read as it comes."""

    def __init__(self, exchange: Exchange) -> None:
        self._reader = exchange.answer_stream()
        self._pieces: list[str] = []
        self.finish_reason: str | None = None

    @property
    def text(self) -> str:
        """All that came."""
        return "".join(self._pieces)

    def feed(self, piece: str, finish_reason: str | None) -> str:
        """Content that can be shown now."""
        self._pieces.append(piece)
        self.finish_reason = finish_reason or self.finish_reason
        return self._reader.feed(piece) if self._reader else piece

    def rest(self) -> str:
        """Content that is left at the end."""
        return self._reader.finish().content if self._reader else ""


def prompt_of(style: PromptStyle, strict: list[dict[str, Any]], tools: Iterable[Tool]) -> str:
    """The codec's prompt of strict messages; a system message takes the place of the style's task instruction."""
    system, steps = steps_of(strict)
    style = replace(style, task_instruction=system or style.task_instruction)
    return render_prompt(tools, *history_steps(steps, style.observations), style)


def usage_of(response: Any) -> dict[str, Any]:
    """{"prompt_tokens": 99, "completion_tokens": 12, ...}, or nothing where the server does not say."""
    return response.usage.model_dump(exclude_none=True) if getattr(response, "usage", None) else {}


def usage_in(chunks: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """{"usage": {...}} of a stream, if one of its chunks has it (`stream_options={"include_usage": True}`)."""
    found = [usage for chunk in chunks if (usage := usage_of(chunk))]
    if found:
        yield {"usage": found[-1]}
