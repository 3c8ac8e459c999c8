"""Every parser of text of ours: what is given a text, and the texts that it may be slow on."""

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from hostile_texts import GENERIC, Shape

from xlam_lib import answers, chat_template, codec, serialize, views
from xlam_lib.answers import reading, values
from xlam_lib.batch import params
from xlam_lib.data import hub
from xlam_lib.data.apigen import checker, checks, docstrings, stages
from xlam_lib.data.apigen.library import frames
from xlam_lib.data.apigen.multi_turn import rule_players
from xlam_lib.data.apigen.sandbox import lines
from xlam_lib.data.augment import answer_forms, layouts
from xlam_lib.data.formats import (
    actions,
    api_requests,
    bracket_calls,
    call_forms,
    chat,
    code_tags,
    environments,
    episodes,
    literals,
    schemas,
    system_tools,
    tool_forms,
    transcripts,
    turn_layouts,
)
from xlam_lib.data.formats.chats import results
from xlam_lib.data.formats.dialects import bare, bodies, marks, tokens
from xlam_lib.data.pipeline import contamination, near
from xlam_lib.data.quality import grounding, observations, repair, rubric, spellings
from xlam_lib.data.sources import SOURCES
from xlam_lib.data.sources.agents import agentbench, agentlite, toolbench
from xlam_lib.data.sources.agents.agentinstruct_grammars import ENVIRONMENTS
from xlam_lib.data.sources.calls import toolace
from xlam_lib.data.sources.catalogs import toolalpaca_tools
from xlam_lib.data.sources.logs.values import split_list
from xlam_lib.serve import streaming
from xlam_lib.settings import yaml_files
from xlam_lib.trajectory import Step, Tool

TOOL = Tool("f", "A tool.", {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
CALL = '{"name": "f", "arguments": {"a": [1]}}'
Parser = Callable[[str], Any]


def streamed(size: int) -> Parser:
    """An answer that comes in pieces of so many characters."""

    def read(text: str) -> None:
        stream = streaming.AnswerStream(tools=[TOOL])
        for at in range(0, len(text), size):
            stream.feed(text[at : at + size])
        stream.finish()

    return read


def grounding_value(value: str) -> bool:
    context = grounding.Context()
    context.add("In Oslo at 5 pm, May 3rd.")
    return context.grounded(value, "city")


def grounding_text(text: str) -> None:
    context = grounding.Context()
    context.add(text)
    for value in ("Bergen hours 12:30", "5 May 2024", 7.25):
        context.grounded(value, "city")


def observed(text: str) -> None:
    call, result = Step("assistant", ""), Step("tool", text, tool_call_id="call_0", name="f")
    observations.observation_rule(result, call, SOURCES["tau_bench"].SOURCE.policy)
    observations.GIVES_UP.search(text)
    observations.CLAIMS.search(text)


def begun(text: str) -> Any:
    """What stands behind a mark that the text begins with: dialects read on from there."""
    for read in (tokens.mistral, tokens.python_tag, tokens.kimi, tokens.deepseek, bodies.function_tags):
        _or_error(lambda read=read: read(text, 0))


def _or_error(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Exception as error:  # that a text is refused is fine here: it must be so in time
        return error


VARIANTS = [layouts.PromptVariant(markers=markers) for markers in layouts.MARKERS]
PARSERS: list[tuple[Any, Parser]] = [
    (reading.parse_answer, reading.parse_answer),
    (reading.parse_answer, lambda text: reading.parse_answer(text, [TOOL])),
    (reading.parse_answer, lambda text: reading.parse_answer(f"<think>\n{text}\n</think>\n[{CALL}]")),
    (reading.parse_answer, lambda text: reading.parse_answer(f"[{CALL}]{text}")),
    (reading.parse_answer, lambda text: reading.parse_answer(f'{{"thought": "{text}')),
    (reading.parse_answer, lambda text: reading.parse_answer(f'{{"thought": "", "tool_calls": [{text}')),
    (values.read_json, values.read_json),
    (values.string_part, values.string_part),
    (answers.read_arguments, answers.read_arguments),
    (streaming.read_message, lambda text: streaming.read_message(text, tools=[TOOL])),
    (streaming.AnswerStream.feed, streamed(1)),
    (streaming.AnswerStream.feed, streamed(7)),
    (streaming.AnswerStream.feed, lambda text: streamed(1)(f'{{"thought": "{text}')),
    (codec.block_of, lambda text: codec.block_of(text, "QUERY")),
    (codec.query_of, codec.query_of),
    (chat_template.wrapper_of, chat_template.wrapper_of),
    (views.decode_arguments, views.decode_arguments),
    (views.from_openai, lambda text: views.from_openai([{"role": "user", "content": text}])),
    (serialize.loads, serialize.loads),
    (params.parse_cell, params.parse_cell),
    (yaml_files.parse_yaml, yaml_files.parse_yaml),
    (hub.parsed, hub.parsed),
    (checker.read_verdict, checker.read_verdict),
    (checks.stems, checks.stems),
    (checks.overlap, lambda text: checks._check_asked(text, "")),
    (checks.overlap, lambda text: list(checks._values(text))),
    (docstrings.describe, docstrings.describe),
    (docstrings.describe, lambda text: docstrings.describe(f"Head.\n\nArgs:\n    {text}")),
    (docstrings.describe, lambda text: docstrings.describe(f"Head.\n\nParameters\n---\n{text}")),
    (stages.parse, stages._object),
    (frames.Frame.parse, frames.Frame.parse),
    (rule_players.DeskAgent.act, lambda text: (rule_players.EMAIL.findall(text), rule_players.TITLE.search(text))),
    (lines.value_of, lambda text: lines.value_of(text.encode())),
    *((answer_forms.read_answer, lambda text, form=form: answer_forms.read_answer(text, form)) for form in answer_forms.FORMS),
    (answer_forms.escaped, lambda text: answer_forms.escaped(text, answer_forms.TAGS)),
    (answer_forms.unescaped, lambda text: answer_forms.unescaped(text, answer_forms.TAGS)),
    *((layouts.read, lambda text, variant=variant: layouts.read(text, variant)) for variant in VARIANTS),
    (api_requests.parse_request, api_requests.parse_request),
    (api_requests.parse_request, lambda text: api_requests.parse_request(f"F({text})")),
    (api_requests.parse_request, lambda text: api_requests.parse_request(f"F(a={text})")),
    (api_requests.parse_request, lambda text: api_requests.parse_request(f"F(a='{text})")),
    (api_requests.literal, api_requests.literal),
    (api_requests.json_or_literal, api_requests.json_or_literal),
    (bracket_calls.bracket_calls, bracket_calls.bracket_calls),
    (bracket_calls.bracket_calls, lambda text: bracket_calls.bracket_calls(f"[{text}]", ["f", "f(a)"])),
    (bracket_calls.bracket_calls, lambda text: bracket_calls.bracket_calls(f"[f({text})]")),
    (bracket_calls.bracket_calls, lambda text: bracket_calls.bracket_calls(f"[f(a={text})]")),
    (call_forms.calls_of_text, call_forms.calls_of_text),
    (call_forms.calls_of_text, lambda text: call_forms.calls_of_text(f"""{{"name": "f", "arguments": '{text}'}}""")),
    (chat.parse_arguments, lambda text: chat.parse_arguments(text, "f")),
    (literals.decode, literals.decode),
    (literals.decode_repaired, literals.decode_repaired),
    (literals.decode_all, literals.decode_all),
    (literals.literal, literals.literal),
    (literals.quick_literal, literals.quick_literal),
    (schemas.parse_annotation, schemas.parse_annotation),
    (system_tools.split_system, system_tools.split_system),
    (system_tools.split_system, lambda text: system_tools.split_system(f"{text}<tools>[{{}}]</tools>")),
    (system_tools.split_system, lambda text: system_tools.split_system(f"<tools>[{{}}]</tools>{text}")),
    (tool_forms.tools_of, lambda text: tool_forms.tools_of(text, [])),
    (transcripts.labelled_turns, transcripts.labelled_turns),
    (transcripts.prompted_turns, transcripts.prompted_turns),
    (code_tags.several_blocks, code_tags.several_blocks),
    (code_tags.instruction_of, code_tags.instruction_of),
    (environments.shop_goal, environments.shop_goal),
    (environments.household_task, environments.household_task),
    *(
        (actions.Grammar.parse, lambda text, grammar=grammar: episodes.parse_loosely(grammar, text))
        for grammar in (environments.WEBSHOP, environments.ALFWORLD, environments.WIKI)
    ),
    *(
        (turn_layouts.Dialect.parse, lambda text, dialect=dialect: dialect.parse(text))
        for dialect in (
            code_tags.MINT, agentbench.WORDS, *(environment.dialect for environment in ENVIRONMENTS.values())
        )
    ),
    (results.blocks_of, results.blocks_of),
    (bare.bare_calls, lambda text: bare.bare_calls(text, ["f"])),
    (bodies.calls_of_body, bodies.calls_of_body),
    (bodies.function_tags, begun),
    (marks.split_calls, marks.split_calls),
    (marks.split_calls, lambda text: marks.split_calls(f"So <tool_call>{text}")),
    (contamination.words_of, contamination.words_of),
    (near.Words.word_tokenize, lambda text: near.WORD.findall(text)),
    (grounding.Context.grounded, grounding_value),
    (grounding.Texts.add, grounding_text),
    (observations.observation_rule, observed),
    (repair.repaired, lambda text: repair.repaired(TOOL, {"a": text})),
    (repair.repaired, lambda text: repair.repaired(TOOL, {"a": list(text)})),
    (rubric.Rubric.read, rubric.RUBRIC.read),
    (spellings.numbers_in, spellings.numbers_in),
    (spellings.dates_in, spellings.dates_in),
    (spellings.times_in, spellings.times_in),
    (agentlite.parse_action, agentlite.parse_action),
    (agentlite.action_tools, agentlite.action_tools),
    (toolbench.is_error, toolbench.is_error),
    (toolace.split_system, toolace.split_system),
    (toolalpaca_tools.described, toolalpaca_tools.described),
    (split_list, lambda text: list(split_list(text, lambda value: True, "x"))),
    *((module.split, lambda text, split=module.split: list(split(text))) for module in SOURCES.values() if hasattr(module, "split")),
]  # fmt: skip


def refusing(parser: Parser) -> Parser:
    """The parser, where refusing a text is an answer, too."""
    return lambda text: _or_error(lambda: parser(text))


@cache
def words_of(module: ModuleType) -> tuple[str, ...]:
    """What a module looks for: its short texts, those in its expressions as well."""
    tree = ast.parse(inspect.getsource(module))
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) <= 40:
            if not any(char.isalpha() and char.isascii() for char in node.value) or not node.value.isidentifier():
                found[node.value] = None
    return tuple(found)


def shapes_of_words(module: ModuleType) -> Iterator[Shape]:
    """Texts that a parser of this module may be slow on."""
    yield from GENERIC
    for word in words_of(module):
        yield Shape("", word)
        for filling in ("a", " ", "\n", '"', "[", "{", "<", "1", "'"):
            yield Shape("", word + filling)
            yield Shape(word, filling)
            yield Shape(word, filling, word)
