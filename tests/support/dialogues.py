"""Dialogues that a tiny model learns by heart: those of outside clients, of our own conversation, and of a probe.

What a client sends is its own affair, so it is recorded once, by a server that answers from a script (`Script`). The
model is then trained on exactly the prompts of these requests, and served by a real engine: a client that is answered
rightly there had its request rendered, the answer parsed and its result read as they should be.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import outside_clients
import tiny

from xlam_lib.codec import tools_from_any
from xlam_lib.endpoint import Completion
from xlam_lib.serve.conversation import Conversation
from xlam_lib.serve.messages import openai_messages
from xlam_lib.serve.streaming import read_message
from xlam_lib.serve.toolbox import Functions, Toolbox
from xlam_lib.views import function_to_openai

Dialogue = tuple[list[dict[str, Any]], list[dict[str, Any]], str]  # messages, tools, what the model writes


def answer(thought: str = "", *calls: tuple[str, dict[str, Any]]) -> str:
    """An answer as the model writes it."""
    listed = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return json.dumps({"thought": thought, "tool_calls": listed}, ensure_ascii=False)


def scripted(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    """What the model is to write in the dialogue about Oslo's weather; `final_answer` is smolagents' way to say it."""
    others = (one for one in messages if one["role"] not in ("system", "assistant"))
    result = any(one["role"] == "tool" or "Observation:" in str(one.get("content")) for one in others)
    if not result:
        return answer("", ("get_weather", {"city": "Oslo"}))
    if any(tool["function"]["name"] == "final_answer" for tool in tools):
        return answer("", ("final_answer", {"answer": outside_clients.WORDS}))
    return answer(outside_clients.WORDS)


@contextmanager
def script() -> Iterator[tuple[str, list[Dialogue]]]:
    """The address of a server that answers from the script, and the dialogues that it was asked for."""
    asked: list[Dialogue] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            messages, tools = body["messages"], body.get("tools") or []
            text = scripted(messages, tools)
            asked.append((messages, tools, text))
            read = read_message(text, tools=tools_from_any(tools))
            calls = [
                {"index": index, "id": f"x{index}", "type": "function", "function": function_to_openai(call)}
                for index, call in enumerate(read.calls)
            ]
            message = {"role": "assistant", "content": read.content or None, "tool_calls": calls or None}
            choice = {"index": 0, "finish_reason": "tool_calls" if calls else "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            head = {"id": "1", "created": 1, "model": body["model"], "usage": usage}
            if body.get("stream"):
                whole = {**head, "object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}
                data = f"data: {json.dumps(whole)}\n\ndata: [DONE]\n\n"
            else:
                data = json.dumps({**head, "object": "chat.completion", "choices": [{**choice, "message": message}]})
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
            self.end_headers()
            self.wfile.write(data.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


def of_clients() -> list[Dialogue]:
    """The dialogues of all clients that are installed; those of one package differ only in how they are sent."""
    found: list[Dialogue] = []
    for name, hold in outside_clients.CLIENTS.items():
        package = outside_clients.PACKAGES.get(name, "openai")
        if importlib.util.find_spec(package) is None:
            continue
        with script() as (url, asked):
            assert hold(url, "by-heart", "key") == (["Oslo"], outside_clients.WORDS), name
            found += asked
    return found


PROBED = {  # scenario of `canitoolcall probe` -> what the model writes
    "single-call": answer("", ("get_weather", {"city": "Paris"})),
    "parallel-calls": answer("", ("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Tokyo"})),
    "no-call": answer("42"),
    "nested-args": answer(
        "",
        (
            "create_event",
            {
                "title": "Design review",
                "start": "2026-10-01T15:00:00Z",
                "attendees": [
                    {"name": "Ana", "email": "ana@example.com"},
                    {"name": "Bo", "email": "bo@example.com"},
                ],
                "location": {"city": "Berlin", "room": "4.12"},
            },
        ),
    ),
    "unicode-args": answer(
        "", ("save_note", {"title": "Grüße aus Zürich", "body": "Café ☕ in 東京 — naïve résumé 🚀"})
    ),
    "empty-args": answer("", ("get_server_time", {})),
    "forced-tool-choice": answer("", ("get_weather", {"city": "Lisbon"})),
    "tool-result-followup": answer("It is 18 degrees and clear in Paris."),
    "reasoning-then-call": answer("9.9 is larger than 9.11.", ("record_answer", {"answer": "9.9"})),
}


def of_probe() -> list[Dialogue]:
    """The probe's scenarios with the answers that they ask for."""
    from canitoolcall.probe import BUILTIN_SCENARIOS

    return [
        ([dict(message) for message in one.messages], [dict(tool) for tool in one.tools], PROBED[one.id])
        for one in BUILTIN_SCENARIOS
    ]


def make_model(folder: Path, dialogues: list[Dialogue]) -> Path:
    """A checkpoint that has learnt the dialogues by heart."""
    rows = {
        json.dumps((openai_messages(messages), tools)): (messages, tools, text) for messages, tools, text in dialogues
    }
    learnt = [(openai_messages(messages), tools, text) for messages, tools, text in rows.values()]
    return tiny.make_model(folder, learnt=learnt, vocabulary=2000)


def in_stock(model: str) -> int:
    """How many bicycles of a model there are.

    Args:
        model: name of the model
    """
    return {"Falcon 3": 2, "Swift": 0}[model]


ASKED = ("Are the Falcon 3 and the Swift in stock?", "And the Comet?")  # of a shop, by our own conversation
ANSWERED = (
    answer("Two models, two calls.", ("in_stock", {"model": "Falcon 3"}), ("in_stock", {"model": "Swift"})),
    answer("There are two of the Falcon 3,\nand none of the Swift."),
    answer("", ("in_stock", {"model": "Comet"})),
    answer("We don't have the Comet."),
)


class Scripted:
    """An endpoint that gives the shop's answers, and notes what it was asked."""

    model = "script"

    def __init__(self) -> None:
        self.asked: list[Dialogue] = []

    async def complete(self, messages: list[dict[str, Any]], **options: Any) -> Completion:
        """The next answer."""
        text = ANSWERED[len(self.asked)]
        self.asked.append((list(messages), options["tools"], text))
        read = read_message(text, tools=tools_from_any(options["tools"]))
        return Completion(read.content, tuple(function_to_openai(call) for call in read.calls))


def shop(endpoint: Any) -> Conversation:
    """The conversation in the shop, held with an endpoint."""
    held = Conversation(endpoint, Toolbox(Functions([in_stock])), system="Answer for the shop.")
    for words in ASKED:
        held.step(words)
    return held


def of_conversation() -> list[Dialogue]:
    """What the model is asked in the shop, and its answers."""
    endpoint = Scripted()
    shop(endpoint)
    return endpoint.asked
