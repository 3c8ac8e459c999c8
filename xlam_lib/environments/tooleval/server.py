"""A virtual API server: recorded answers first, then simulated ones, else an error (notebook 05).

After StableToolBench (https://arxiv.org/abs/2403.07714): the same call always gets the same answer, whether its API
still exists or not. An answer is `{"error": "", "response": ...}`; recorded ones lie in files as there,
`<Category>/<tool>_for_<Category>/<api>.json`, each an object of Python's text of the arguments to the answer:

    {"{'city': 'Oslo'}": {"error": "", "response": {"celsius": 4}}}

    server = VirtualServer(read_tools("toolenv/tools"), Recorded.read("tool_response_cache"), (Simulator(endpoint),))
    await server.reply("Weather", "Sky Report", "Current weather", '{"city": "Oslo"}')

Other than there, recorded answers are found whatever the order of the arguments, a simulated one is recorded under the
very names by which it is looked for, and no API of the open internet is asked.
"""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.agents.base import InfrastructureError, resolve
from xlam_lib.endpoint import Endpoint
from xlam_lib.environments.tooleval.apis import (
    Api,
    Key,
    ToolEvalError,
    Tree,
    key_of,
    read_json,
)
from xlam_lib.files import write_text

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Example = tuple[Mapping[str, Any], Answer]  # arguments and their recorded answer
Answerer = Callable[[Api, Mapping[str, Any], Sequence[Example]], Answer | None | Awaitable[Answer | None]]
UNREADABLE: Answer = {"error": "Tool input parse error...\n", "response": ""}
NOT_WORKING: Answer = {"error": "API not working error...", "response": ""}  # the original's words for a dead API
FAILED: Answer = {"error": "Failed to generate fake response", "response": ""}
MAX_EXAMPLES, EXAMPLE_LETTERS = 5, 2048  # of recorded answers that a simulation is shown
ATTEMPTS = 3  # of a simulation to give JSON
SIMULATION = """You stand in for a web API. From its documentation and some of its answers, work out what it returns for
a request, and answer as it would: rich in content, at most 200 words, consistent with the examples, never with an
excuse or a placeholder. Reply with nothing but one JSON object: {"error": "", "response": <what the API returns>}"""


def canonical(arguments: Mapping[str, Any]) -> str:
    """Arguments as a key, whatever their order: `canonical({"b": 1, "a": "x"})` -> '{"a": "x", "b": 1}'."""
    return json.dumps(arguments, sort_keys=True, ensure_ascii=False)


def read_input(text: str | Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of a request, or None: `read_input('{"city": "Oslo"}')` -> {"city": "Oslo"}; "" means none."""
    if isinstance(text, Mapping):
        return dict(text)
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Recorded:
    """Recorded answers by API and arguments: `Recorded().get(api.key, {"city": "Oslo"})` -> None."""

    def __init__(self) -> None:
        self._answers: dict[Key, dict[str, Example]] = {}  # by the canonical arguments
        self._files: dict[Key, list[Path]] = {}  # that are read when their API is first called

    @classmethod
    def read(cls, folder: str | Path) -> Recorded:
        """What StableToolBench recorded, e.g. `Recorded.read("tool_response_cache")`; each file when it is needed."""
        recorded = cls()
        for path in sorted(Path(folder).glob("*/*/*.json")):
            recorded._files.setdefault(key_of(path.parent.parent.name, path.parent.name, path.stem), []).append(path)
        return recorded

    def write(self, folder: str | Path) -> None:
        """The same files again, which `read` and StableToolBench's server read."""
        for category, tool, api in self._keys():
            if category.startswith("."):
                raise ToolEvalError(f"category {category!r} can't be a folder's name; expected one like 'Weather'")
            shown = {str(arguments): answer for arguments, answer in self._of((category, tool, api)).values()}
            path = Path(folder) / category / f"{tool}_for_{category}" / f"{api}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(shown, indent=4) + "\n")

    def add(self, key: Key, arguments: Mapping[str, Any], answer: Answer) -> Answer:
        """Records an answer, and returns the first that was recorded for these arguments."""
        return self._of(key).setdefault(canonical(arguments), (dict(arguments), answer))[1]

    def get(self, key: Key, arguments: Mapping[str, Any]) -> Answer | None:
        """The answer recorded for these arguments, in any order."""
        found = self._of(key).get(canonical(arguments))
        return found and found[1]

    def examples(self, key: Key) -> list[Example]:
        """Up to five recorded answers of an API, together not much longer than 2,048 characters."""
        found: list[Example] = []
        letters = 0
        for arguments, answer in list(self._of(key).values())[:MAX_EXAMPLES]:
            letters += len(str(arguments)) + len(str(answer))
            if found and letters > EXAMPLE_LETTERS:
                break
            found.append((arguments, answer))
        return found

    def __len__(self) -> int:
        return sum(len(self._of(key)) for key in self._keys())

    def _keys(self) -> list[Key]:
        return list(dict.fromkeys([*self._files, *self._answers]))

    def _of(self, key: Key) -> dict[str, Example]:
        answers = self._answers.setdefault(key, {})
        for path in self._files.pop(key, ()):
            raw, unreadable = read_json(path), 0
            for shown, answer in raw.items() if isinstance(raw, dict) else ():
                arguments = _arguments(shown)
                if arguments is None or not isinstance(answer, dict):
                    unreadable += 1
                else:
                    answers.setdefault(canonical(arguments), (arguments, answer))
            if unreadable or not isinstance(raw, dict):
                log.warning("%s: %d recorded answers left out: arguments or form can't be read", path, unreadable)
        return answers


def _arguments(shown: str) -> dict[str, Any] | None:
    try:
        found = ast.literal_eval(shown)
        canonical(found)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class VirtualServer:
    """Answers for the APIs of a tree; `answerers` are asked in turn for what isn't recorded.

    An answerer is given the API, the arguments and some recorded answers, and gives an answer, or None where it has
    none. What it gave is recorded, unless it is an error.
    """

    def __init__(self, tree: Tree, recorded: Recorded | None = None, answerers: Sequence[Answerer] = ()) -> None:
        self.tree, self.answerers = tree, tuple(answerers)
        self.recorded = Recorded() if recorded is None else recorded  # one without answers yet is false

    async def reply(self, category: str, tool: str, api: str, tool_input: str | Mapping[str, Any]) -> Answer:
        """The answer to a request, e.g. {"error": "", "response": {"celsius": 4}}; names however they are spelt."""
        key = key_of(category, tool, api)
        arguments = read_input(tool_input)
        if arguments is None:
            return UNREADABLE
        try:
            answer = self.recorded.get(key, arguments)
        except (RecursionError, ValueError, TypeError):  # nested deeper than JSON can be written
            return UNREADABLE
        found = self.tree.find(*key)
        if answer is not None or found is None:
            return answer or NOT_WORKING
        for answerer in self.answerers:
            made = await resolve(answerer(found, arguments, self.recorded.examples(key)))
            if made is not None:
                return made if made.get("error") else self.recorded.add(key, arguments, made)
        return NOT_WORKING


class Simulator:
    """A model that answers as an API would: `Simulator(Endpoint("http://127.0.0.1:8000/v1", "sft"))`.

    The endpoint must be open (`with endpoint:`); one that can't be reached is an InfrastructureError, not an answer.
    """

    def __init__(self, endpoint: Endpoint, max_tokens: int = 1024) -> None:
        self.endpoint, self.max_tokens = endpoint, max_tokens

    async def __call__(self, api: Api, arguments: Mapping[str, Any], examples: Sequence[Example]) -> Answer:
        documentation = {"name": api.name, "tool": api.tool, "description": api.description}
        documentation["parameters"] = api.function.parameters["properties"]
        blocks = {"Documentation": documentation, "Request": arguments}
        if examples:
            blocks["Examples"] = [{"request": request, "answer": answer} for request, answer in examples]
        asked = "\n\n".join(f"{name}:\n{json.dumps(block, ensure_ascii=False)}" for name, block in blocks.items())
        messages = [{"role": "system", "content": SIMULATION}, {"role": "user", "content": asked}]
        for attempt in range(ATTEMPTS):
            reply = await self.endpoint.complete(messages, max_tokens=self.max_tokens, seed=attempt)
            if reply.error:
                raise InfrastructureError(f"the simulator of APIs gave no answer: {reply.error}")
            answer = read_answer(reply.text)
            if answer is not None:
                return answer
        return FAILED


def read_answer(text: str) -> Answer | None:
    """A simulated answer, perhaps in a code fence, or None: `read_answer('{"error": "", "response": 4}')`."""
    inside = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    answer = read_input(inside)
    if not answer or "response" not in answer:
        return None
    return {"error": str(answer.get("error") or ""), "response": answer["response"]}
