"""vLLM plugin `xlam_json`: the xLAM answer formats as OpenAI tool calls, in streams as in whole answers.

    python -m vllm.entrypoints.openai.api_server --model DIR --enable-auto-tool-choice \\
        --tool-parser-plugin xlam_lib.serve.tool_parser --tool-call-parser xlam_json

`vllm.py` passes these flags (notebook 04_serving). Understands the v1 object with thought and tool_calls and the v2
list of calls, because it asks the codec; the thought, or an answer in plain words, is the message's content. This
module is the thin part that knows vLLM; what is sent when, `streaming.py` decides. It serves /v1/chat/completions and
/v1/responses alike:

- A required or named call is made certain by a grammar; what can't be enforced is refused with status 400.
- Where the client asks for a format of its own (`response_format`, `text.format`, `structured_outputs`), the text comes
  back as the model wrote it: its JSON is the client's, not an answer to be read.
- Where an assistant message is to be gone on with (`continue_final_message`), its beginning stands in the prompt. The
  answer is read as a whole; content is what comes after that beginning (with vLLM's `echo`, all of it).

vLLM offers two kinds of parsers. This is one of the kind that keeps its own state (`engine_based_streaming`): only for
those vLLM asks for the rest when the text has ended, and takes the content of answers without calls from the parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openai.types.responses import ToolChoiceCustom, ToolChoiceFunction
from vllm.entrypoints.generate.base.protocol import (
    DeltaFunctionCall,
    DeltaMessage,
    DeltaToolCall,
    ExtractedToolCallInformation,
    FunctionCall,
)
from vllm.entrypoints.generate.base.protocol import ToolCall as ServedCall
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionNamedToolChoiceParam, ChatCompletionRequest
from vllm.entrypoints.openai.responses.utils import (
    construct_chat_messages_with_tool_call,
    should_continue_final_message,
)
from vllm.renderers.chat_utils import make_tool_call_id
from vllm.sampling_params import StructuredOutputsParams
from vllm.tool_parsers.abstract_tool_parser import ToolParser, ToolParserManager
from vllm.tool_parsers.utils import get_function_tools

from xlam_lib.codec import tools_from_any
from xlam_lib.serve.schema import answer_grammar, answer_schema
from xlam_lib.serve.streaming import AnswerStream, AsWritten
from xlam_lib.trajectory import Tool
from xlam_lib.views import begun_text, function_to_openai

NAME = "xlam_json"
NAMED = (ChatCompletionNamedToolChoiceParam, ToolChoiceFunction, ToolChoiceCustom)

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
        self._reader: AnswerStream | AsWritten | None = None

    def adjust_request(self, request: Any) -> Any:
        """A required or named call is made certain by a grammar of the model's own format."""
        continued, choice = _continued(request), request.tool_choice
        if choice in ("none", "auto", None):
            return request
        if not _forced(request):
            raise ValueError(
                f"tool_choice is {choice!r}, which can't be enforced; expected 'none', 'auto', 'required' or a function"
            )
        if continued:
            raise ValueError("a call can't be required of an answer that goes on with a message: leave out one of both")
        tools = _tools_of(request)
        if choice != "required":
            name = choice.function.name if isinstance(choice, ChatCompletionNamedToolChoiceParam) else choice.name
            tools = [tool for tool in tools if tool.name == name]
        parallel = choice == "required" and request.parallel_tool_calls is not False
        request.structured_outputs = StructuredOutputsParams(grammar=answer_grammar(answer_schema(tools, parallel)))
        if isinstance(request, ChatCompletionRequest):
            request.response_format = None
        else:
            request.text = None
        return request

    def extract_tool_calls(self, model_output: str, request: Any) -> ExtractedToolCallInformation:
        """A whole answer."""
        reader = _reader(request)
        content, rest = reader.feed(model_output), reader.finish()
        calls = [ServedCall(function=FunctionCall(**function_to_openai(call))) for call in rest.calls]
        return ExtractedToolCallInformation(
            tools_called=bool(calls), tool_calls=calls, content=content + rest.content or None
        )

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
        self._reader = self._reader or _reader(request)
        content = self._reader.feed(delta_text)
        return DeltaMessage(content=content) if content else None

    def finish_streaming(self) -> DeltaMessage | None:
        """What is left when the text has ended: the calls, whole."""
        if self._reader is None:
            return None
        rest, self._reader = self._reader.finish(), None
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


def _reader(request: Any) -> AnswerStream | AsWritten:
    """What reads the answer to a request; where it goes on with a message, it has read that already."""
    continued = _continued(request)
    own_format = not _forced(request) and request.extract_structured_outputs() is not None
    if own_format or (continued and continued["role"] != "assistant"):
        return AsWritten()
    stream = AnswerStream(request.tool_choice != "none", _tools_of(request))
    if continued:
        stream.feed(begun_text(continued))
    return stream


def _forced(request: Any) -> bool:
    """Whether the request must be answered with a call."""
    return request.tool_choice == "required" or isinstance(request.tool_choice, NAMED)


def _continued(request: Any) -> Any:
    """The message that the answer goes on with; None where it begins anew."""
    if isinstance(request, ChatCompletionRequest):
        message = request.messages[-1] if request.continue_final_message else None
    else:
        going_on = should_continue_final_message(request.input)
        message = construct_chat_messages_with_tool_call(request.input)[-1] if going_on else None
    if message and message.get("tool_calls"):
        raise ValueError("the last message has tool calls, so it can't be gone on with; leave them out or answer them")
    return message


def _tools_of(request: Any) -> list[Tool]:
    """The tools that the model is shown, of either API."""
    return tools_from_any([tool.model_dump(exclude_none=True) for tool in get_function_tools(request.tools or [])])
