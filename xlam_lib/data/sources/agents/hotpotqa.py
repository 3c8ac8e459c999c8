"""HotpotQA question sets, as BOLAA and ReAct evaluate agents on them: questions with their right answers (notebook 01).

Raw record (shortened):

    {"id": "5a879ab05542996e4f30887e", "question": "The Oberoi family is part of a hotel company that has a head office
     in what city?", "answer": "Delhi", "type": "bridge", "level": "medium",
     "supporting_facts": [["Oberoi family", 0], ["The Oberoi Group", 0]],
     "context": [["Ritz-Carlton Jakarta", ["The Ritz-Carlton Jakarta is a hotel ...", " ..."]], ...]}

Decisions, from looking at the records:
- A right answer is a right last call: the trajectory is question -> `Finish[answer]`, with the environment's other
  tools (Search, Lookup) declared. It is tagged "gold"; no search is made up that nobody made.
- Where the record has paragraphs (`context`), they are part of the user's message, as in the data set's reading task,
  so the answer can be read there. Without them the tag "closed_book" marks that nothing leads to the answer: a mixture
  should leave these out of training, and may use them as tasks.
- Paragraphs and supporting facts come in two layouts, lists of pairs and a table of columns; both are read. The
  supporting facts are `extra["supporting_facts"]`, as [title, number of the sentence].
- The files overlap (one question with and without its paragraphs). Ids therefore name the file; `task_id` is made from
  the question's text and is the same for all of them, and for the agents' logs of other sources.
- A question without an answer (the hidden test set) is no trajectory: dropped.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, content_id, need, place
from xlam_lib.data.formats.environments import CLOSED_BOOK, WIKI, task_name
from xlam_lib.data.formats.episodes import native_actions
from xlam_lib.trajectory import Step, Task, ToolCall, Trajectory

SOURCE = SourceInfo(
    name="hotpotqa",
    license="CC-BY-SA-4.0",
    url="https://hotpotqa.github.io",
    files=("hotpot_*.json", "bolaa_*.jsonl"),
    hub_id="hotpotqa/hotpot_qa",
    samples={
        "bolaa_easy.jsonl": (0,),
        "bolaa_medium_with_context.jsonl": (0,),
        "bolaa_hard_with_context.jsonl": (0,),
        "hotpot_dev_v1_simplified.json": (0, 1),
    },
    fields=("id", "_id", "question", "answer", "type", "level", "supporting_facts", "context"),
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One question -> one trajectory: the question, and the call that answers it."""
    question = need(record, "question", str).strip()
    answer = record.get("answer")
    if not question:
        raise Drop("empty question")
    if not isinstance(answer, str) or not answer.strip():
        raise Drop("a question without an answer: no trajectory to convert", question[:80])
    paragraphs = _paragraphs(record.get("context"))
    asked = "\n\n".join([*(f"{title}\n{text}" for title, text in paragraphs), question])
    given = record.get("id", record.get("_id"))
    file = place(where).rpartition("/")[2].partition(":")[0]
    raw_id = f"{file}/{given if isinstance(given, str) and given else content_id(record)}"
    extra = {"supporting_facts": [list(pair) for pair in pairs(record.get("supporting_facts"), "title", "sent_id")]}
    call = ToolCall("Finish", {"answer": answer}, "call_0")
    kinds = [record[key] for key in ("type", "level") if isinstance(record.get(key), str) and record[key]]
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(task_id=task_name("hotpotqa", question)),
            tools=WIKI.tools(),
            steps=(Step("user", asked), Step("assistant", tool_calls=(call,))),
            tags=(*(("gold", "reading") if paragraphs else CLOSED_BOOK), "hotpotqa", *kinds),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def native(t: Trajectory) -> list[str]:
    """The answer as the environment takes it: ["Finish[Delhi]"]."""
    return native_actions(t, WIKI)


def _paragraphs(context: Any) -> list[tuple[str, str]]:
    """(title, text) of each paragraph; sentences bring their own spaces."""
    found = []
    for title, sentences in pairs(context, "title", "sentences"):
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise Drop("a paragraph is not a list of sentences", f"{title}: {str(sentences)[:80]!r}")
        found.append((title, "".join(sentences).strip()))
    return found


def pairs(value: Any, first: str, second: str) -> list[tuple[str, Any]]:
    """Pairs in either layout, [["a", 1]] or {first: ["a"], second: [1]}; nothing gives none."""
    if not value:
        return []
    if isinstance(value, dict):
        columns = [value.get(first), value.get(second)]
        if not all(isinstance(column, list) for column in columns) or len(columns[0]) != len(columns[1]):
            raise Drop("a table with uneven columns", f"{first}, {second}: {str(value)[:80]!r}")
        value = list(zip(*columns, strict=True))
    if not isinstance(value, list) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
    ):
        raise Drop("not a list of pairs", f"{first}, {second}: {str(value)[:80]!r}")
    return [(title, other) for title, other in value]
