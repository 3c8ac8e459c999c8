"""Random answers, tools and conversations for the property tests of the ground floor."""

from hypothesis import strategies as st

from xlam_lib.codec import Answer
from xlam_lib.trajectory import Outcome, Source, Step, Task, Tool, ToolCall, Trajectory

TRICKY = [
    "",
    "</think>",
    "<think>",
    "```json",
    "[TOOL_CALLS]",
    '{"a": 1}',
    "[1, 2",
    "{not json}",
    "\u2028\x85\r\n",
    "{{ x }}",
    "{% raw %}",
    '"',
    "\\",
    "\\u00e9",
    "<b>&amp;</b>",
    "𝒳 ü 漢字 🦙",
    "[END OF QUERY]",
    '["',
    "\n",
    "None",
    "NaN",
]

tricky = st.sampled_from(TRICKY)
texts = st.one_of(tricky, st.text(max_size=20), st.lists(tricky, max_size=4).map("".join))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(texts, values, max_size=4)
names = st.text(min_size=1, max_size=8)
calls = st.builds(ToolCall, name=names, arguments=objects)
answers = st.builds(Answer, thought=texts, calls=st.lists(calls, max_size=3).map(tuple))


@st.composite
def schemas(draw, depth=2):
    """An object schema whose parameters may be objects themselves, of few names, some of them words of JSON Schema."""
    properties = {}
    for name in draw(st.lists(st.sampled_from(["city", "type", "properties", "required", "items", "é"]), unique=True)):
        plain = {"type": draw(st.sampled_from(["string", "number", "boolean", "array"])), "description": draw(texts)}
        properties[name] = draw(schemas(depth - 1)) if depth and draw(st.booleans()) else plain
    required = [name for name in properties if draw(st.booleans())]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


tools = st.builds(Tool, name=names, description=texts, parameters=schemas())
toolsets = st.lists(tools, max_size=3, unique_by=lambda tool: tool.name).map(tuple)
said = st.one_of(st.text(min_size=1, max_size=20), st.sampled_from(TRICKY[1:]))


@st.composite
def turns(draw, toolset, first_call):
    """An assistant step, the results of its calls in any order, and what the user says then, maybe twice."""
    called = [
        ToolCall(tool.name, draw(objects), f"call_{first_call + number}")
        for number, tool in enumerate(draw(st.lists(st.sampled_from(toolset), max_size=3)) if toolset else [])
    ]
    content = draw(texts if called else said)
    turn = [Step("assistant", content, draw(texts), tuple(called))]
    turn += [Step("tool", draw(texts), tool_call_id=call.id, name=call.name) for call in draw(st.permutations(called))]
    return turn + [Step("user", text) for text in draw(st.lists(said, max_size=2))]


@st.composite
def trajectories(draw):
    """A whole, structurally sound conversation; arguments need not fit the schemas."""
    toolset = draw(toolsets)
    steps = [Step("system", draw(texts))] if draw(st.booleans()) else []
    steps += [Step("user", text) for text in draw(st.lists(said, min_size=1, max_size=2))]
    for _ in range(draw(st.integers(0, 3))):
        steps += draw(turns(toolset, sum(len(step.tool_calls) for step in steps)))
    task = Task(draw(st.sampled_from(["", "Help the user."])))
    return Trajectory("random-1", Source("random", "CC0-1.0"), task, toolset, tuple(steps), Outcome())
