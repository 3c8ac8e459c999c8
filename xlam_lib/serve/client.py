"""The xLAM client: the call shapes of the original, over any OpenAI-compatible server.

    from xlam_lib.serve.client import xLAMChatCompletion, xLAMConfig

    llm = xLAMChatCompletion.from_config(xLAMConfig(base_url="http://localhost:8000/v1/", model="sft"))
    response = llm.completion(messages, tools=tools)
    response["choices"][0]["message"]  # {"role": "assistant", "content": "...", "tool_calls": [{"name": ...}]}

Used by notebooks 04_serving and 05_benchmarking. Who renders the prompt and reads the answer is the config's `mode`:
"tools", the server (started with our plugin); "prompt", we do, by the codec, and send the prompt as one user message,
as the published xLAM models want it; "completion", we do, and send the whole model text to /v1/completions, for a
checkpoint of ours on a server without the plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from xlam_lib.chat_template import AFTER, BEFORE, model_prompt
from xlam_lib.codec import SEED_STYLE, PromptStyle, history_steps, render_prompt, tools_from_any
from xlam_lib.endpoint import ClientError, named_errors, openai_client, shown_url
from xlam_lib.serve.choices import (
    choice_as_written,
    choice_of_calls,
    choice_of_text,
    collect_choices,
    collect_stream,
    sets_format,
)
from xlam_lib.serve.messages import MessageError, fresh_ids, openai_messages, steps_of
from xlam_lib.serve.streaming import AnswerStream
from xlam_lib.trajectory import Tool
from xlam_lib.views import tools_to_openai

__all__ = ["ClientError", "MessageError", "xLAMChatCompletion", "xLAMConfig"]


@dataclass(frozen=True, repr=False)
class xLAMConfig:  # noqa: N801 -- the original's name
    """`xLAMConfig(base_url="http://localhost:8000/v1/", model="sft")`; without api_key, OPENAI_API_KEY is taken."""

    base_url: str
    model: str
    mode: Literal["tools", "prompt", "completion"] = "tools"
    style: PromptStyle = SEED_STYLE  # of the prompts that we render
    wrapper: tuple[str, str] = (BEFORE, AFTER)  # of the model text, in mode "completion"
    temperature: float = 0.0
    max_tokens: int = 512
    timeout: float = 120.0  # seconds
    max_retries: int = 2
    api_key: str = field(default="", repr=False)

    def __repr__(self) -> str:
        shown = {one.name: getattr(self, one.name) for one in fields(self) if one.repr}
        shown["base_url"] = shown_url(self.base_url)
        return f"xLAMConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __post_init__(self) -> None:
        if self.mode not in ("tools", "prompt", "completion"):
            raise ValueError(f"mode is {self.mode!r}, expected 'tools', 'prompt' or 'completion'")


class xLAMChatCompletion:  # noqa: N801 -- the original's name
    """Sends conversations to a model and returns what it says and calls."""

    def __init__(self, config: xLAMConfig) -> None:
        self.config = config
        self.client = openai_client(
            config.base_url, config.api_key, timeout=config.timeout, max_retries=config.max_retries
        )

    @classmethod
    def from_config(cls, config: xLAMConfig) -> xLAMChatCompletion:
        """The client of a config, as in the original: `xLAMChatCompletion.from_config(config)`."""
        return cls(config)

    def completion(self, messages: Iterable[Any], tools: list[dict] | None = None, **options: Any) -> dict[str, Any]:
        """One answer: {"choices": [{"message": {"role", "content", "tool_calls"}, "finish_reason", "problems"}], ...}.

        Each of `tool_calls` is {"id": "...", "name": "get_weather", "arguments": {"city": "Oslo"}}; the message can be
        appended to `messages` as it is. `problems` says what was wrong with the answer, e.g. that it was cut off.
        `options` go to the server, e.g. `tool_choice="required"` or `seed=1`.
        """
        request = self._request(messages, tools, options)
        with named_errors(self.config.base_url, self.config.model):
            response = self._create(**request.body)
        choices = [{**self._choice(choice, request), "index": index} for index, choice in enumerate(response.choices)]
        usage = response.usage.model_dump(exclude_none=True) if response.usage else {}
        return {"id": response.id, "model": response.model, "choices": choices, "usage": usage}

    def stream(
        self, messages: Iterable[Any], tools: list[dict] | None = None, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """The same answer as it is written: {"index": 0, "content": "..."} for each piece, at last its choice.

        With several choices (`n=2`) the pieces come mixed, each with the index of its choice, and the choices in order.
        Example: `for piece in llm.stream(messages, tools): print(piece.get("content", ""), end="")`
        """
        request = self._request(messages, tools, {**options, "stream": True})
        with named_errors(self.config.base_url, self.config.model):
            yield from (self._stream_calls if self.config.mode == "tools" else self._stream_text)(request)

    def _stream_calls(self, request: _Request) -> Iterator[dict[str, Any]]:
        """The stream of a server that reads the answer itself."""
        chunks = []
        for chunk in self._create(**request.body):
            chunks.append(chunk)
            for choice in chunk.choices:
                if choice.delta.content:
                    yield {"index": choice.index, "content": choice.delta.content}
        for index, whole in (collect_choices(chunks) or {0: collect_stream([])}).items():
            yield {**choice_of_calls(whole["message"], whole["finish_reason"], request.tools), "index": index}

    def _stream_text(self, request: _Request) -> Iterator[dict[str, Any]]:
        """The stream of a server that returns text, which we read."""
        readers = {0: _TextStream(request)}
        for chunk in self._create(**request.body):
            for choice in chunk.choices:
                reader = readers.setdefault(choice.index, _TextStream(request))
                if content := reader.feed(self._text_of(choice, "delta"), choice.finish_reason):
                    yield {"index": choice.index, "content": content}
        for index, reader in sorted(readers.items()):
            if rest := reader.rest():
                yield {"index": index, "content": rest}
        for index, reader in sorted(readers.items()):
            yield {**self._read(reader.text, reader.finish_reason, request), "index": index}

    def _create(self, **request: Any) -> Any:
        api = self.client.completions if self.config.mode == "completion" else self.client.chat.completions
        return api.create(**request)

    def _choice(self, choice: Any, request: _Request) -> dict[str, Any]:
        if self.config.mode == "tools":
            return choice_of_calls(choice.message, choice.finish_reason, request.tools)
        return self._read(self._text_of(choice, "message"), choice.finish_reason, request)

    def _read(self, text: str, finish_reason: str | None, request: _Request) -> dict[str, Any]:
        if request.formatted:
            return choice_as_written(text, finish_reason)
        return choice_of_text(text, finish_reason, request.tools, request.ids)

    def _text_of(self, choice: Any, where: str) -> str:
        return (choice.text if self.config.mode == "completion" else getattr(choice, where).content) or ""

    def _request(self, messages: Iterable[Any], tools: list[dict] | None, options: dict[str, Any]) -> _Request:
        """The request that the mode makes of a conversation."""
        messages = list(messages)
        config, strict, known = self.config, openai_messages(messages), tools_from_any(tools or [])
        body = {"model": config.model, "temperature": config.temperature, "max_tokens": config.max_tokens, **options}
        if config.mode == "tools":
            body |= {"messages": strict, **({"tools": tools_to_openai(known)} if known else {})}
        elif config.mode == "prompt":
            body |= {"messages": [{"role": "user", "content": self.prompt(messages, tools)}]}
        else:
            body |= {"prompt": model_prompt(self.prompt(messages, tools), *config.wrapper)}
        return _Request(body, tuple(known), fresh_ids(strict), sets_format(options))

    def prompt(self, messages: Iterable[Any], tools: list[dict] | None = None) -> str:
        """The codec's prompt for a conversation: '[BEGIN OF TASK INSTRUCTION]\\n...'.

        A system message takes the place of the style's task instruction, as in the chat template.
        """
        system, steps = steps_of(openai_messages(messages))
        style = replace(self.config.style, task_instruction=system or self.config.style.task_instruction)
        return render_prompt(tools_from_any(tools or []), *history_steps(steps, style.observations), style)


@dataclass(frozen=True)
class _Request:
    """What goes to the server, and what is needed to read its answer."""

    body: dict[str, Any]
    tools: tuple[Tool, ...]
    ids: Iterator[str]  # for calls that we read ourselves
    formatted: bool  # the answer is in a form that the client asked for, not in the model's own


class _TextStream:
    """One choice of a stream of text, read as it comes."""

    def __init__(self, request: _Request) -> None:
        self._reader = None if request.formatted else AnswerStream(tools=request.tools)
        self._pieces: list[str] = []
        self.finish_reason: str | None = None

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def feed(self, piece: str, finish_reason: str | None) -> str:
        self._pieces.append(piece)
        self.finish_reason = finish_reason or self.finish_reason
        return self._reader.feed(piece) if self._reader else piece

    def rest(self) -> str:
        return self._reader.finish().content if self._reader else ""
