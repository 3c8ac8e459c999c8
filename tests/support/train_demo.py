"""Small trajectories of three tools, in five kinds: what the tests of training run on."""

from __future__ import annotations

import random

from xlam_lib.codec import STYLES
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

STYLE = STYLES["brief"]
CITIES = ("Oslo", "Bergen", "Malmö", "Turku", "Aarhus", "Vaasa")


def schema(required: list[str], **properties: dict) -> dict:
    return {"type": "object", "properties": properties, "required": required}


WEATHER = Tool(
    "get_weather",
    "Weather of a city",
    schema(["city"], city={"type": "string"}, unit={"type": "string", "enum": ["celsius", "fahrenheit"]}),
)
ADD = Tool("add", "Add two numbers", schema(["a", "b"], a={"type": "integer"}, b={"type": "integer"}))
BOOK = Tool(
    "book_room",
    "Book a room",
    schema(["hotel", "nights"], hotel={"type": "string"}, nights={"type": "integer"}, breakfast={"type": "boolean"}),
)
TOOLS = (WEATHER, ADD, BOOK)


def trajectory(number: int, kind: str = "") -> Trajectory:
    """One of five kinds, in turn."""
    rng = random.Random(number)
    kind = kind or ("single", "parallel", "irrelevant", "multi_step", "single")[number % 5]
    city, other, nights = rng.choice(CITIES), rng.choice(CITIES), rng.randrange(2, 9)
    call = ToolCall("get_weather", {"city": city}, "call_0")
    if kind == "single":
        call = ToolCall("book_room", {"hotel": f"Hotel {city}", "nights": nights}, "call_0")
        steps = [Step("user", f"Book Hotel {city} for {nights} nights."), Step("assistant", tool_calls=(call,))]
    elif kind == "parallel":
        calls = (call, ToolCall("get_weather", {"city": other + "by"}, "call_1"))
        steps = [Step("user", f"Weather in {city} and {other}by?"), Step("assistant", tool_calls=calls)]
    elif kind == "irrelevant":
        steps = [Step("user", f"Tell me a joke about {city}."), Step("assistant", "No tool fits.")]
    else:
        steps = [
            Step("user", f"Weather in {city}?"),
            Step("assistant", tool_calls=(call,)),
            Step("tool", '{"celsius": 4}', tool_call_id="call_0", name="get_weather"),
            Step("assistant", "It is 4 degrees."),
        ]
    tools = tuple(rng.sample(TOOLS, 3))
    return Trajectory(f"demo-{number}", Source("demo", "CC0-1.0"), tools=tools, steps=tuple(steps), tags=(kind,))


def token_rows(start: list[int], steps: int) -> list[dict[str, list[int]]]:
    """Rows of one trajectory as tokens: the history grows, answers of three tokens are trained."""
    rows, history = [], list(start)
    for step in range(steps):
        answer = [20 + step, 21 + step, 1]
        rows.append({"input_ids": history + answer, "labels": [-100] * len(history) + answer})
        history = [*history, 30 + step, 31 + step]
    return rows


def summed_ones(megabytes: int) -> float:
    """Here, since processes that are made anew find it by name; it holds that many megabytes for a moment."""
    import torch

    return float(torch.ones(megabytes * 250_000).sum())
