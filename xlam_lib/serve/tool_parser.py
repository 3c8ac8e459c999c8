"""vLLM plugin `xlam_json`: the xLAM answer formats as OpenAI tool calls, in streams as in whole answers.

    python -m vllm.entrypoints.openai.api_server --model DIR --enable-auto-tool-choice \\
        --tool-parser-plugin xlam_lib.serve.tool_parser --tool-call-parser xlam_json

`vllm.py` passes these flags (notebook 04_serving). Understands the v1 object with thought and tool_calls and the v2
list of calls, because it asks the codec; the thought, or an answer in plain words, is the message's content. This
module is the thin part that knows vLLM; what is sent when, `streaming.py` decides.

vLLM offers two kinds of parsers. This is one of the kind that keeps its own state (`engine_based_streaming`): only for
those vLLM asks for the rest when the text has ended, and takes the content of answers without calls from the parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vllm.entrypoints.generate.base.protocol import (
    DeltaFunctionCall,
    DeltaMessage,
    DeltaToolCall,
    ExtractedToolCallInformation,
    FunctionCall,
)
from vllm.entrypoints.generate.base.protocol import ToolCall as ServedCall
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.renderers.chat_utils import make_tool_call_id
from vllm.sampling_params import StructuredOutputsParams
from vllm.tool_parsers.abstract_tool_parser import ToolParser, ToolParserManager
from xgrammar import Grammar

from xlam_lib.answers import json_text
from xlam_lib.codec import tools_from_any
from xlam_lib.serve.schema import answer_schema
from xlam_lib.serve.streaming import AnswerStream, read_message
from xlam_lib.trajectory import Tool
from xlam_lib.views import function_to_openai

NAME = "xlam_json"

if not hasattr(ToolParser, "engine_based_streaming"):
    raise ImportError(
        "the tool parser xlam_json needs vLLM 0.32, whose parsers may keep their own state; "
        "install the locked version with 'make install'"
    )


@ToolParserManager.register_module(NAME)
class XlamJsonToolParser(ToolParser):
    """Made by vLLM for each request; one answer goes through each."""

    engine_based_streaming = True
    supports_required_and_named = False  # vLLM's own way would ask for another format than the model's

    def __init__(self, tokenizer: Any, tools: list | None = None) -> None:
        super().__init__(tokenizer, tools)
        self._stream: AnswerStream | None = None

    def adjust_request(self, request: Any) -> Any:
        """A required or named call is made certain by a grammar of the model's own format."""
        choice = request.tool_choice
        if not isinstance(request, ChatCompletionRequest) or not request.tools or choice in ("none", "auto", None):
            return request
        tools = _tools_of(request)
        if choice != "required":
            tools = [tool for tool in tools if tool.name == choice.function.name]
        parallel = choice == "required" and request.parallel_tool_calls is not False
        request.structured_outputs = StructuredOutputsParams(grammar=_grammar(answer_schema(tools, parallel)))
        request.response_format = None
        return request

    def extract_tool_calls(self, model_output: str, request: Any) -> ExtractedToolCallInformation:
        """A whole answer."""
        message = read_message(model_output, _calls_allowed(request))
        calls = [ServedCall(function=FunctionCall(**function_to_openai(call))) for call in message.calls]
        return ExtractedToolCallInformation(tools_called=bool(calls), tool_calls=calls, content=message.content or None)

    def extract_tool_calls_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
        request: Any,
    ) -> DeltaMessage | None:
        """The next piece of an answer; only `delta_text` counts here."""
        if self._stream is None:
            self._stream = AnswerStream(_calls_allowed(request))
        content = self._stream.feed(delta_text)
        return DeltaMessage(content=content) if content else None

    def finish_streaming(self) -> DeltaMessage | None:
        """What is left when the text has ended: the calls, whole."""
        if self._stream is None:
            return None
        rest, self._stream = self._stream.finish(), None
        calls = [
            DeltaToolCall(
                id=make_tool_call_id(),
                type="function",
                index=index,
                function=DeltaFunctionCall(**function_to_openai(call)),
            )
            for index, call in enumerate(rest.calls)
        ]
        if not rest.content and not calls:
            return None
        return DeltaMessage(content=rest.content or None, tool_calls=calls)


def _calls_allowed(request: Any) -> bool:
    return bool(request.tools) and request.tool_choice != "none"


def _grammar(schema: dict[str, Any]) -> str:
    """The schema as a grammar with the codec's own spacing; vLLM's way from a schema would allow any amount of it."""
    try:
        return str(Grammar.from_json_schema(json_text(schema), any_whitespace=False, separators=(", ", ": ")))
    except RuntimeError as error:
        raise ValueError(f"the tools' parameters make no grammar, so a call can't be required: {error}") from error


def _tools_of(request: Any) -> list[Tool]:
    return tools_from_any([tool.model_dump(exclude_none=True) for tool in request.tools])
