"""A small HTTP server that answers like an OpenAI endpoint, well or badly. Helper of tests of clients."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]  # status, and the text of the answer (or the whole body, for a status that is no success)
GOOD = json.dumps(
    {
        "rationale": "Step 1 calls the right tool.",
        "criteria": {"tools": 5, "arguments": 4, "reasoning": 4, "efficiency": 5, "answer": 4},
        "score": 4,
    }
)


class JudgeServer:
    """`with JudgeServer(lambda body, n: (200, GOOD)) as server: ... server.url`; `asked` has the bodies received."""

    def __init__(self, reply: Callable[[dict[str, Any], int], Reply], pause: float = 0.0) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.times: list[float] = []
        self.retry_after = "0.01"  # seconds, after status 429
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with outer.lock:
                    outer.asked.append(body)
                    outer.times.append(time.monotonic())
                    outer.keys.append(self.headers.get("authorization", ""))
                    number = len(outer.asked)
                    outer.busy += 1
                    outer.busiest = max(outer.busiest, outer.busy)
                time.sleep(pause)
                status, content = reply(body, number)
                with outer.lock:
                    outer.busy -= 1
                outer.send(self, status, content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def send(self, handler: BaseHTTPRequestHandler, status: int, content: Any) -> None:
        """One response; status 0 hangs up without a word."""
        if status == 0:
            handler.close_connection = True
            return
        body = content if isinstance(content, dict | bytes) else answer(content)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        if status == 429:
            handler.send_header("retry-after", self.retry_after)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def __enter__(self) -> JudgeServer:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


def answer(text: str) -> dict[str, Any]:
    """The body of a chat completion."""
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "M",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
