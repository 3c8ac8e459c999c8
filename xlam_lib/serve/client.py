"""The xLAM client: the call shapes of the original, over any OpenAI-compatible server.

    from xlam_lib.serve.client import xLAMChatCompletion, xLAMConfig

    llm = xLAMChatCompletion.from_config(xLAMConfig(base_url="http://localhost:8000/v1/", model="sft"))
    response = llm.completion(messages, tools=tools)
    response["choices"][0]["message"]  # {"role": "assistant", "content": "...", "tool_calls": [{"name": ...}]}
    await llm.acompletion(messages, tools=tools)            # the same in an event loop; `stream` and `astream` likewise
    llm.batch([messages, others], tools=tools)              # several conversations, some at the same time
    Conversation(llm, toolbox)                              # tools called, results read (`conversation.py`)

Used by notebooks 04_serving and 05_benchmarking. Who renders the prompt and reads the answer is the config's `mode`:
"tools", the server (started with our plugin); "prompt", we do, by the codec, and send the prompt as one user message,
as the published xLAM models want it; "completion", we do, and send the whole model text to /v1/completions, for a
checkpoint of ours on a server without the plugin. Calls that can't be malformed: `tool_choice="required"` or a named
function in every mode, and `xLAMConfig(structured=True)` where we read the answer; the server's grammar holds the model
to the JSON Schema of the tools.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from xlam_lib.answers import json_text
from xlam_lib.codec import tools_from_any
from xlam_lib.endpoint import (
    ClientError,
    Completion,
    ServerFailedError,
    ServerUnreachableError,
    async_openai_client,
    named_errors,
    openai_client,
)
from xlam_lib.serve.exchange import Exchange, prompt_of, xLAMConfig
from xlam_lib.serve.messages import MessageError, openai_messages

if TYPE_CHECKING:
    import openai

__all__ = ["ClientError", "MessageError", "xLAMChatCompletion", "xLAMConfig"]


class xLAMChatCompletion:  # noqa: N801 -- the original's name
    """Sends conversations to a model and returns what it says and calls."""

    def __init__(self, config: xLAMConfig) -> None:
        self.config = config
        self._options = {"timeout": config.timeout, "max_retries": config.max_retries}
        self.client = openai_client(config.base_url, config.api_key, **self._options)
        # A connection belongs to the event loop in which it was opened.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = WeakKeyDictionary()

    @classmethod
    def from_config(cls, config: xLAMConfig) -> xLAMChatCompletion:
        """The client of a config, as in the original: `xLAMChatCompletion.from_config(config)`."""
        return cls(config)

    @property
    def model(self) -> str:
        """The model's name, for whoever plays with it (`agents`)."""
        return self.config.model

    def completion(self, messages: Iterable[Any], tools: list[dict] | None = None, **options: Any) -> dict[str, Any]:
        """One answer: {"choices": [{"message": {"role", "content", "tool_calls"}, "finish_reason", "problems"}], ...}.

        Each of `tool_calls` is {"id": "...", "name": "get_weather", "arguments": {"city": "Oslo"}}; the message can be
        appended to `messages` as it is. `problems` says what was wrong with the answer, e.g. that it was cut off.
        `options` go to the server, e.g. `tool_choice="required"` or `seed=1`; `usage` says how many tokens it took.
        """
        exchange = Exchange(self.config, messages, tools, options)
        with self._named_errors():
            return exchange.response(self._api(self.client).create(**exchange.body))

    async def acompletion(
        self, messages: Iterable[Any], tools: list[dict] | None = None, **options: Any
    ) -> dict[str, Any]:
        """The same, to be awaited."""
        exchange = Exchange(self.config, messages, tools, options)
        with self._named_errors():
            return exchange.response(await self._api(self._of_loop()).create(**exchange.body))

    def stream(
        self, messages: Iterable[Any], tools: list[dict] | None = None, **options: Any
    ) -> Iterator[dict[str, Any]]:
        """The same answer as it is written: {"index": 0, "content": "..."} for each piece, at last its choice.

        With several choices (`n=2`) the pieces come mixed, each with the index of its choice, and the choices in order;
        after `stream_options={"include_usage": True}` the last of all is {"usage": {...}}.
        Example: `for piece in llm.stream(messages, tools): print(piece.get("content", ""), end="")`
        """
        exchange = Exchange(self.config, messages, tools, options)
        reader = exchange.stream()
        with self._named_errors():
            for chunk in self._api(self.client).create(**exchange.body, stream=True):
                yield from reader.feed(chunk)
            yield from reader.finish()

    async def astream(
        self, messages: Iterable[Any], tools: list[dict] | None = None, **options: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """The same in an event loop: `async for piece in llm.astream(messages, tools): ...`."""
        exchange = Exchange(self.config, messages, tools, options)
        reader = exchange.stream()
        with self._named_errors():
            async for chunk in await self._api(self._of_loop()).create(**exchange.body, stream=True):
                for piece in reader.feed(chunk):
                    yield piece
            for piece in reader.finish():
                yield piece

    def batch(
        self,
        conversations: Iterable[Iterable[Any]],
        tools: list[dict] | None = None,
        *,
        concurrency: int = 16,
        **options: Any,
    ) -> list[dict[str, Any] | ClientError | MessageError]:
        """The answers to several conversations, in their order, at most `concurrency` on their way at once.

        Where there is no answer its error stands in its place, so that none is lost for another's fault.
        Example: `[one["usage"] for one in llm.batch([messages, others]) if isinstance(one, dict)]`
        """

        def one(messages: Iterable[Any]) -> dict[str, Any] | ClientError | MessageError:
            try:
                return self.completion(messages, tools, **options)
            except (ClientError, MessageError) as error:
                return error

        with ThreadPoolExecutor(concurrency) as pool:
            return list(pool.map(one, conversations))

    def ask(self, messages: Sequence[dict[str, Any]], **options: Any) -> Completion:
        """The answer as agents take it (`agents/tool_calling.py`); its `error` says that the server gave none."""
        try:
            response = self.completion(messages, **options)
        except (ServerUnreachableError, ServerFailedError) as error:
            return Completion(error=str(error))
        choice, usage = response["choices"][0], response["usage"]
        message = choice["message"]
        calls = [{"name": call["name"], "arguments": json_text(call["arguments"])} for call in message["tool_calls"]]
        return Completion(
            message["content"],
            tuple(calls),
            message.get("reasoning", ""),
            choice["finish_reason"] or "",
            prompt_tokens=usage.get("prompt_tokens", 0),
            completion_tokens=usage.get("completion_tokens", 0),
        )

    async def aclose(self) -> None:
        """Close what `acompletion` and `astream` opened in this event loop."""
        if client := self._clients.pop(asyncio.get_running_loop(), None):
            await client.close()

    def prompt(self, messages: Iterable[Any], tools: list[dict] | None = None) -> str:
        """The codec's prompt for a conversation: '[BEGIN OF TASK INSTRUCTION]\\n...'.

        A system message takes the place of the style's task instruction, as in the chat template.
        """
        return prompt_of(self.config.style, openai_messages(messages), tools_from_any(tools or []))

    def _named_errors(self) -> Any:
        return named_errors(self.config.base_url, self.config.model)

    def _api(self, client: Any) -> Any:
        return client.completions if self.config.mode == "completion" else client.chat.completions

    def _of_loop(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            config = self.config
            self._clients[loop] = async_openai_client(config.base_url, config.api_key, **self._options)
        return self._clients[loop]
