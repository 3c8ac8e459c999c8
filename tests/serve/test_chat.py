"""The chat widget without a browser: text is put into its field by code, as the browser would put it there."""

import pytest

from xlam_lib.agents import InfrastructureError
from xlam_lib.endpoint import Completion, ServerUnreachableError
from xlam_lib.serve.chat import Chat, talk
from xlam_lib.serve.conversation import Conversation
from xlam_lib.serve.toolbox import Functions, Toolbox


def in_stock(model: str) -> int:
    """How many bicycles of a model there are."""
    return {"Falcon 3": 2}[model]


class Endpoint:
    """Gives its replies in order; an exception among them is raised. Notes whether the field could be written in."""

    model = "M"

    def __init__(self, *replies):
        self.replies, self.chat, self.open = list(replies), None, []

    async def complete(self, messages, **options):
        self.open.append(self.chat is not None and not self.chat.field.disabled)
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply


CALL = Completion("Let me see.", ({"name": "in_stock", "arguments": '{"model": "Falcon 3"}'},))
SHOWN = """\
user       Is the Falcon 3 in stock?
assistant  Let me see.
  call     in_stock {"model": "Falcon 3"}
  result   2
assistant  Two <b>are</b>.
"""


def chat_of(*replies):
    endpoint = Endpoint(*replies)
    endpoint.chat = Chat(Conversation(endpoint, Toolbox(Functions([in_stock])), max_steps=2))
    return endpoint.chat


def shown(chat):
    """The text that a browser is sent for the output, as plain text of a stream."""
    assert {output["output_type"] for output in chat.output.outputs} <= {"stream"}
    return "".join(output["text"] for output in chat.output.outputs)


def test_what_is_written_is_answered_and_the_field_is_empty_again():
    chat = chat_of(CALL, Completion("Two <b>are</b>."), Completion("Bye."))
    chat.field.value = " Is the Falcon 3 in stock? "
    assert shown(chat) == chat.text == SHOWN
    assert (chat.field.value, chat.field.disabled) == ("", False)
    chat.send("Thanks.")
    assert shown(chat) == SHOWN + "user       Thanks.\nassistant  Bye.\n"
    assert chat.conversation.agent.endpoint.open == [False] * 3  # nothing can be sent meanwhile
    assert len(chat.conversation.transcript().steps) == 6


def test_only_whitespace_is_not_sent():
    chat = chat_of()
    chat.send("  ")
    assert chat.text == shown(chat) == ""


@pytest.mark.parametrize(
    "failure",
    [InfrastructureError("the server is gone"), ServerUnreachableError("nobody answers at http://x"), Completion("")],
)
def test_a_failure_is_shown_and_the_chat_goes_on(failure):
    chat = chat_of(failure, Completion("Hello."))
    chat.send("Hi")
    assert chat.text.startswith("user       Hi\nerror      ") and len(chat.text.splitlines()) == 2
    chat.send("Hi again")
    assert chat.text.endswith("user       Hi again\nassistant  Hello.\n")


def test_a_defect_is_not_hidden_and_the_field_is_open_again():
    chat = chat_of(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        chat.send("Hi")
    assert (chat.field.value, chat.field.disabled) == ("", False)


def test_jupyter_shows_the_widget_and_without_widgets_the_text():
    chat = chat_of(Completion("Hello."))
    assert "nothing was said" in chat._repr_mimebundle_()["text/plain"]
    chat.send("Hi")
    bundle = chat._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/plain"] == chat.text == "user       Hi\nassistant  Hello.\n"
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == chat.widget.model_id


def test_a_call_of_no_tool_is_shown_with_its_error():
    conversation = Conversation(Endpoint(CALL), Toolbox(), max_steps=1)
    assert "NameError: there is no tool 'in_stock'" in talk(conversation, "Hi").splitlines()[-1]
