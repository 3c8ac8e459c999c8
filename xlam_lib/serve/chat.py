"""A conversation to hold by hand in JupyterLab: a field to write in, and what is said, called and returned.

    chat = Chat(Conversation(llm, Toolbox(Functions([in_stock]))))
    chat                                            # the last line of a cell shows it
    chat.send("Is the Falcon 3 in stock?")          # the same from code; no browser is needed
    print(chat.text)

Used by notebook 04_serving, which prints whole conversations by `talk`, too. What a model or a tool wrote is shown
as plain text, never as markup.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.agents.base import AgentError, InfrastructureError
from xlam_lib.answers import json_text
from xlam_lib.endpoint import ClientError
from xlam_lib.serve.conversation import Conversation, Turn
from xlam_lib.serve.messages import MessageError


def talk(conversation: Conversation, words: str) -> str:
    """The user's words and all that follows, a line each; where there is no answer, why there is none.

    Example: 'user       Two of them?\\n  call     in_stock {"model": "Falcon 3"}\\n  result   2\\nassistant  Yes, two.'
    """
    lines = [_line("user", words)]
    try:
        lines += lines_of(conversation.step(words))
    except (AgentError, InfrastructureError, ClientError, MessageError) as error:
        lines.append(_line("error", str(error)))
    return "\n".join(lines)


def lines_of(turn: Turn) -> list[str]:
    """What the model said and called and what the tools returned, in order: ["assistant  Yes, two."]."""
    lines = []
    for step in turn.steps:
        if step.role == "tool":
            lines.append(_line("  result", step.content))
            continue
        lines += [_line(step.role, step.content)] if step.content else []
        lines += [_line("  call", f"{call.name} {json_text(call.arguments)}") for call in step.tool_calls]
    return lines


class Chat:
    """A conversation with a field to write in: `Chat(conversation)`, shown by a cell whose last line it is.

    Enter, or leaving the field, sends what it holds. While the model answers, the field can't be written in.
    """

    def __init__(self, conversation: Conversation) -> None:
        from ipywidgets import Layout, Output, Text, VBox

        self.conversation = conversation
        self.text = ""  # all that was shown
        self.output = Output(layout=Layout(max_height="30em", overflow="auto"))
        self.field = Text(
            placeholder=f"Write to {conversation.agent.name}, then Enter",
            continuous_update=False,  # the value changes when it is sent, not with each letter
            layout=Layout(width="99%"),
        )
        self.widget = VBox([self.output, self.field])
        self.field.observe(self._sent, "value")

    def send(self, words: str) -> None:
        """Say something, as if it had been written into the field: `chat.send("Is the Falcon 3 in stock?")`."""
        self.field.value = words

    def _sent(self, change: Any) -> None:
        words = change["new"].strip()
        if not words:  # the field was emptied
            return
        self.field.disabled = True
        try:
            said = talk(self.conversation, words) + "\n"
            self.text += said
            self.output.append_stdout(said)
        finally:
            self.field.disabled = False
            self.field.value = ""

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any] | None:
        """What Jupyter shows: the widget, and where there are no widgets, the text."""
        shown = self.widget._repr_mimebundle_(**options)
        return {**(shown or {}), "text/plain": self.text or "a chat in which nothing was said yet"}


def _line(who: str, what: str) -> str:
    return f"{who:10} {what}"
