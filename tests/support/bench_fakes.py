"""A small OpenAI-compatible server on 127.0.0.1, whose answers a test decides, and trajectories to ask about."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}
TOOLS = (Tool("get_weather", "Weather of a city", CITY), Tool("get_time", "Time in a city", CITY))


def trajectory(name, *calls, query="Weather in Oslo?", tags=(), steps=()):
    """One question with its expected calls; `steps` go before the last assistant step."""
    asked = steps or (Step("user", query),)
    made = tuple(ToolCall(call.name, call.arguments, f"call_{90 + number}") for number, call in enumerate(calls))
    answer = Step("assistant", "" if calls else "None of them fits.", tool_calls=made)
    return Trajectory(name, Source("test", "CC0-1.0"), tools=TOOLS, steps=(*asked, answer), tags=tags)


def weather(city="Oslo", **more):
    return ToolCall("get_weather", {"city": city, **more})


class Quiet(ThreadingHTTPServer):
    """Says nothing when a client goes away in the midst of an answer."""

    def handle_error(self, *_):
        pass


class FakeServer:
    """`answer(path, body)` gives (status, message): text, a message dict, or an error; `asked` holds the bodies."""

    def __init__(self):
        self.asked, self.answer = [], lambda path, body: (200, "hello")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body))
                status, said = outer.answer(self.path, body)
                if status == 200:
                    message = said if isinstance(said, dict) else {"role": "assistant", "content": said}
                    finish = message.pop("finish", "stop")
                    choice = {"index": 0, "finish_reason": finish, "message": message, "text": message.get("content")}
                    said = {"id": "1", "object": "x", "created": 1, "model": body["model"], "choices": [choice]}
                else:
                    said = {"error": {"message": said}}
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
