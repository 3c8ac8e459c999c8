"""What may be asked of our API, and the text that a model reads of it.

The fields are OpenAI's, with vLLM's `top_k`, `min_p` and `return_prompt_text`. Fields that change no answer (`user`,
`metadata`, `store`) may come along; one that would, and that these engines lack, is refused with status 400 unless
it says nothing (`n=1`, `logprobs=false`): nothing is left out in silence.

A chat template that `chat_template.py` made is not run: its style and wrapper are read from it, and the codec writes
the prompt, byte for byte the same and within a millisecond. Any other template is a stranger's program: it runs in a
child process with limits (`models/templates.py`), a tenth of a second a prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from xlam_lib.chat_template import model_prompt, template_style
from xlam_lib.codec import history_steps, render_prompt, tools_from_any
from xlam_lib.models.templates import TemplateFailed, rendered
from xlam_lib.serve.api.generation import RefusedError, Sampling
from xlam_lib.serve.messages import openai_messages, steps_of
from xlam_lib.serve.schema import answer_schema
from xlam_lib.trajectory import Tool
from xlam_lib.views import decode_arguments, field, tools_to_openai

Tokens = Annotated[int, Field(ge=1)]
LACKING = {  # field: what it may be all the same
    "n": 1,
    "best_of": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "prompt_logprobs": 0,
    "logit_bias": {},
    "echo": False,
    "suffix": "",
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "repetition_penalty": 1,
    "continue_final_message": False,
    "add_generation_prompt": True,
    "documents": [],
    "chat_template": "",
    "functions": [],
    "function_call": "none",
    "structured_outputs": {},
    "ignore_eos": False,
    "min_tokens": 0,
    "use_beam_search": False,
}


class _Request(BaseModel):
    """What both paths take."""

    model_config = ConfigDict(extra="allow")

    model: str = ""
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] | None = 1.0
    top_k: Annotated[int, Field(ge=-1)] | None = 0
    min_p: Annotated[float, Field(ge=0, le=1)] | None = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    max_tokens: Tokens | None = None
    return_prompt_text: bool = False  # the text that the model reads comes with the answer

    def check(self) -> None:
        """A RefusedError for a field that would change the answer and isn't there."""
        for name, value in (self.model_extra or {}).items():
            if name in LACKING and value is not None and value != LACKING[name]:
                raise RefusedError(f"{name} is not supported by this engine; leave it out (vLLM may have it)")

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with a chunk that counts the tokens."""
        return bool((self.stream_options or {}).get("include_usage"))

    def limit(self) -> int | None:
        """How many tokens may be generated; None: as many as there is room for."""
        return self.max_tokens

    def sampling(self, prompt: int, context: int, schema: dict[str, Any] | None = None) -> Sampling:
        """How to generate behind a prompt of so many tokens; a RefusedError where there is no room for it."""
        limit = self.limit()
        if prompt + (limit or 1) > context:
            raise RefusedError(
                f"the prompt has {prompt} tokens, and {limit or 1} more are asked for, but this model's context is "
                f"{context}: shorten the messages or lower max_tokens"
            )
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Sampling(
            limit or context - prompt,
            1.0 if self.temperature is None else self.temperature,
            1.0 if self.top_p is None else self.top_p,
            max(self.top_k or 0, 0),
            self.min_p or 0.0,
            self.seed,
            tuple(filter(None, stop)),
            schema,
        )


class CompletionRequest(_Request):
    """/v1/completions: a model text that is gone on with, as it stands, or its token ids."""

    prompt: str | list[Annotated[int, Field(ge=0)]]
    max_tokens: Tokens | None = 16  # OpenAI's


class ChatRequest(_Request):
    """/v1/chat/completions."""

    messages: Annotated[list[Any], Field(min_length=1)]
    tools: list[Any] | None = None
    tool_choice: Any = None  # None: "auto"
    parallel_tool_calls: bool | None = True
    max_completion_tokens: Tokens | None = None
    response_format: dict[str, Any] | None = None

    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    def offered(self) -> list[Tool]:
        """The tools that the model is shown; a RefusedError for what is none."""
        try:
            return tools_from_any(self.tools or [])
        except ValueError as error:
            raise RefusedError(str(error)) from error

    @property
    def calls_allowed(self) -> bool:
        return self.tool_choice != "none"

    def schema(self) -> tuple[dict[str, Any] | None, bool]:
        """(the schema that the answer must fit, whether its form is the client's own and not the model's)."""
        tools, choice = self.offered(), self.tool_choice or "auto"
        if choice in ("auto", "none"):
            schema = _own_format(self.response_format)
            return schema, schema is not None
        name = field(field(choice, "function"), "name") if field(choice, "type") == "function" else None
        if choice != "required" and not isinstance(name, str):
            raise RefusedError(
                f"tool_choice is {str(choice)[:200]!r}, which can't be enforced; expected 'none', 'auto', 'required' "
                "or a function"
            )
        named = [tool for tool in tools if name in (None, tool.name)]
        if not named:
            raise RefusedError(f"a call of {name or 'a tool'!r} is required, but no such tool is among `tools`")
        try:
            return answer_schema(named, choice == "required" and self.parallel_tool_calls is not False), False
        except ValueError as error:
            raise RefusedError(str(error)) from error


def _own_format(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The schema of a `response_format`: {"type": "object"} of a json_object, None of plain text."""
    kind = field(given, "type")
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "object"}
    schema = field(field(given, "json_schema"), "schema")
    if kind != "json_schema" or not isinstance(schema, dict):
        raise RefusedError("response_format: expected the type text, json_object, or json_schema with a schema")
    return schema


class ChatTemplate:
    """`ChatTemplate(template).render(messages, tools)` -> '<|user|>\\n[BEGIN OF TASK INSTRUCTION]\\n...'."""

    def __init__(self, template: str, specials: Mapping[str, str] | None = None) -> None:
        self._template, self._specials = template, dict(specials or {})
        self._known = template_style(template)

    def render(self, messages: Sequence[Any], tools: Sequence[Tool] = ()) -> str:
        """The text up to where the answer begins; a MessageError or RefusedError says why there is none."""
        strict = openai_messages(messages)
        if self._known:
            style, before, after = self._known
            system, steps = steps_of(strict)
            style = replace(style, task_instruction=system or style.task_instruction)
            return model_prompt(render_prompt(tools, *history_steps(steps, style.observations), style), before, after)
        if not self._template:
            raise RefusedError("the checkpoint has no chat template: ask /v1/completions, or save it with one")
        variables = {**self._specials, "tools": tools_to_openai(tools) or None, "add_generation_prompt": True}
        try:
            return rendered(self._template, [list(map(_with_objects, strict))], **variables)[0].text
        except TemplateFailed as error:
            raise RefusedError(f"the checkpoint's chat template can't write these messages: {error}") from error


def _with_objects(message: dict[str, Any]) -> dict[str, Any]:
    """The message with the arguments of its calls as objects, which is what templates take."""
    calls = [
        {**call, "function": {**call["function"], "arguments": decode_arguments(call["function"]["arguments"])}}
        for call in message.get("tool_calls", ())
    ]
    return {**message, "tool_calls": calls} if calls else message
