"""Every parser of text of ours: what is given a text, and the texts that it may be slow on."""

import ast
import inspect
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any

from expressions import Module
from hostile_texts import GENERIC, Shape, match_of

from xlam_lib import answers, chat_template, codec, views
from xlam_lib.agents import JsonCalls
from xlam_lib.answers import Answer, reading, values
from xlam_lib.bench.tasks import heldout, toolalpaca, webshop_records
from xlam_lib.data import hub
from xlam_lib.data.apigen import checker, checks, docstrings, stages
from xlam_lib.data.apigen.broad import wording
from xlam_lib.data.apigen.library import frames
from xlam_lib.data.apigen.multi_turn import play, rule_players
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
from xlam_lib.data.streams import elements_of
from xlam_lib.environments.bfcl_multi_turn import calls
from xlam_lib.environments.hotpotqa import scoring, wikipedia
from xlam_lib.environments.mint import checkers
from xlam_lib.environments.mint.environment import ACTIONS, Tags
from xlam_lib.environments.tool_query import language, weather
from xlam_lib.environments.tooleval import apis, environment, verdicts
from xlam_lib.environments.tooleval import server as virtual
from xlam_lib.environments.webshop import catalogue as shop_catalogue
from xlam_lib.environments.webshop import matching
from xlam_lib.environments.webshop.search import embedded_engine
from xlam_lib.serve import streaming
from xlam_lib.serve.api.fastchat import wire
from xlam_lib.settings import yaml_files
from xlam_lib.trajectory import Step, Tool, ToolCall

TOOL = Tool("f", "A tool.", {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
CALL = '{"name": "f", "arguments": {"a": [1]}}'
Parser = Callable[[str], Any]


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
    (codec.block_of, lambda text: codec.block_of(text, "QUERY")),
    (codec.query_of, codec.query_of),
    (chat_template.wrapper_of, chat_template.wrapper_of),
    (chat_template.template_style, lambda text: chat_template.template_style(text + chat_template.chat_template())),
    (views.decode_arguments, views.decode_arguments),
    (yaml_files.parse_yaml, yaml_files.parse_yaml),
    (hub.parsed, hub.parsed),
    (heldout.grade, lambda text: heldout.grade(text, Answer("", (ToolCall("f", {"a": [1]}),)), [TOOL])),
    (checker.read_verdict, checker.read_verdict),
    (checks.stems, checks.stems),
    (checks.overlap, lambda text: checks._check_asked(text, "")),
    (checks.overlap, lambda text: list(checks._values(text))),
    (docstrings.describe, docstrings.describe),
    (docstrings.questions, lambda text: docstrings.questions(f"Head.\n\nQuestions:\n    {text}")),
    (wording.ended, wording.ended),
    (docstrings.describe, lambda text: docstrings.describe(f"Head.\n\nArgs:\n    {text}")),
    (docstrings.describe, lambda text: docstrings.describe(f"Head.\n\nParameters\n---\n{text}")),
    (stages.parse, stages._object),
    (frames.Frame.parse, frames.Frame.parse),
    (rule_players.DeskAgent.act, lambda text: (rule_players.EMAIL.findall(text), rule_players.TITLE.search(text))),
    (play.mentions, lambda text: (play.mentions(text, "2.5"), play.mentions(text, "Bo"))),
    (language.QueryActions.parse, language.ACTIONS.parse),
    (language.QueryActions.parse, lambda text: language.ACTIONS.parse(f"Action: f with Action Input: {text}")),
    (weather.day_of, weather.day_of),
    (lines.value_of, lambda text: lines.value_of(text.encode())),
    *(
        (answer_forms.read_answer, lambda text, form=form: answer_forms.read_answer(text, form))
        for form in answer_forms.FORMS
    ),
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
    (calls.PythonCalls.parse, calls.PythonCalls().parse),
    (calls.PythonCalls.parse, lambda text: calls.PythonCalls().parse(f"f(a={text})")),
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
    (schemas.parse_annotation, schemas._parse.__wrapped__),  # what is cached is tried without its cache
    (system_tools.split_system, system_tools.split_system),
    (system_tools.split_system, lambda text: system_tools.split_system(f"{text}<tools>[{{}}]</tools>")),
    (system_tools.split_system, lambda text: system_tools.split_system(f"<tools>[{{}}]</tools>{text}")),
    (tool_forms.tools_of, tool_forms._raw_tools),
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
    *(
        (read, lambda text, read=read: read(text, 0))
        for read in (
            bodies.function_tags, bodies.leading_json, bodies.json_end, tokens.mistral, tokens.python_tag, tokens.kimi,
            tokens.deepseek,
        )
    ),
    (marks.split_calls, marks.split_calls),
    (marks.split_calls, lambda text: marks.split_calls(f"So <tool_call>{text}")),
    (contamination.words_of, contamination.words_of),
    (contamination.Questions.hit, contamination.Questions({}, {}).hit),
    (near.Words.word_tokenize, near.WORD.findall),
    (grounding.fold, grounding.fold),
    (grounding.squeeze, grounding.squeeze),
    (grounding.Context.grounded, grounding_value),
    (grounding.Texts.add, grounding_text),
    (observations.observation_rule, observed),
    (apis.standard_name, apis.standard_name),
    (apis.safe_name, apis.safe_name),
    (apis.category_name, apis.category_name),
    (environment.CallText.parse, environment.CallText().parse),
    (environment.CallText.parse, lambda text: environment.CallText().parse(f"Action: f\nAction Input: {text}")),
    (environment.CallText.parse, lambda text: environment.CallText().parse(f"f[{text}]")),
    (virtual.read_answer, virtual.read_answer),
    (verdicts.states, lambda text: (verdicts.states(text, "a 1"), verdicts.states(text, "-1.5"))),
    (verdicts.read_status, verdicts.read_status),
    (repair.repaired, lambda text: repair.repaired(TOOL, {"a": text})),
    (rubric.Rubric.read, rubric.RUBRIC.read),
    (spellings.numbers_in, spellings.numbers_in),
    (spellings.dates_in, spellings.dates_in),
    (spellings.times_in, spellings.times_in),
    (agentlite.parse_action, agentlite.parse_action),
    (webshop_records.react_log, webshop_records.react_log),
    (shop_catalogue.read_prices, shop_catalogue.read_prices),
    (matching.normalize_color, matching.normalize_color),
    (matching.title_nouns, matching.title_nouns),
    (embedded_engine, lambda text: embedded_engine().search(text)),
    (agentlite.action_tools, agentlite.action_tools),
    (toolbench.is_error, toolbench.is_error),
    (toolace.split_system, toolace.split_system),
    (toolalpaca_tools.described, toolalpaca_tools.described),
    (split_list, lambda text: list(split_list(text, lambda value: True, "x"))),
    (elements_of, lambda text: list(elements_of(text))),
    (scoring.normalize_answer, scoring.normalize_answer),
    (toolalpaca.verdict_of, toolalpaca.verdict_of),
    (wikipedia.sentences_of, wikipedia.sentences_of),
    (checkers.numbers_of, checkers.numbers_of),
    (checkers.value_of, checkers.value_of),
    (JsonCalls.parse, JsonCalls().parse),
    (Tags.parse, ACTIONS.parse),
    (wire.read_order, wire.read_order),
    (wire.read_order, lambda text: wire.read_order(wire.ORDER + text)),
    *(
        (module.split, lambda text, split=module.split: list(split(text)))
        for module in SOURCES.values()
        if hasattr(module, "split")
    ),
]  # fmt: skip


def refusing(parser: Parser) -> Parser:
    """The parser, where refusing a text is an answer, too."""
    return lambda text: _or_error(lambda: parser(text))


@cache
def words_of(module: ModuleType) -> tuple[list[str], list[str]]:
    """What a module looks for: (matches of its expressions, its short texts)."""
    source = inspect.getsource(module)
    patterns = [pattern for _, pattern, _ in Module(module.__name__, source).made if pattern is not None]
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    texts = [node.value for node in nodes if isinstance(node.value, str) and not node.value.isidentifier()]
    return [match_of(pattern)[0] for pattern in patterns], [text for text in texts if 0 < len(text) <= 40]


def shapes_of_words(module: ModuleType, words: int, fillings: Iterable[str]) -> list[Shape]:
    """Texts that a parser of this module may be slow on: so many of its words, each repeated, or before a long text."""
    matches, texts = words_of(module)
    found = dict.fromkeys(GENERIC)
    for word in filter(None, dict.fromkeys([*matches, *texts[:words]])):
        found |= dict.fromkeys([Shape("", word), Shape("", f"{word}\n"), Shape("", f"a {word} x\n")])
        for filling in fillings:
            found |= dict.fromkeys([Shape("", word + filling), Shape(word, filling), Shape(word, filling, word)])
    return list(found)


KEPT = "keeps the text as it is"
SHOWN = "shows a text of ours"
TRIED = "is tried by what calls it: "
PARTS = "has no other way to read than str's own"
NO_PARSERS = {  # that are given a text first, and why they aren't tried
    "xlam_lib.agents.manual.Actions.parse": "a protocol without a body",
    "xlam_lib.data.apigen.broad.phrasing.Phrasing.parse": "questions of the catalogue that ships with the library",
    "xlam_lib.batch.execute.Watcher.printed": SHOWN,
    "xlam_lib.batch.progress.Plain.printed": SHOWN,
    "xlam_lib.batch.progress.Plain.say": SHOWN,
    "xlam_lib.batch.progress.Terminal.say": SHOWN,
    "xlam_lib.bench.page.heading": SHOWN,
    "xlam_lib.bench.page.paragraph": SHOWN,
    "xlam_lib.bench.page.title": SHOWN,
    "xlam_lib.chat_template.model_prompt": KEPT,
    "xlam_lib.chat_template.model_text": KEPT,
    "xlam_lib.data.apigen.ask.capital": PARTS,
    "xlam_lib.data.apigen.generate.Dialogue.says": KEPT,
    "xlam_lib.data.apigen.generate.Dialogue.user": KEPT,
    "xlam_lib.data.apigen.library.facts.day": PARTS,
    "xlam_lib.data.apigen.multi_turn.model_players.read_proposal": PARTS,
    "xlam_lib.data.apigen.sandbox.interpreter_child.Output.write": KEPT,
    "xlam_lib.data.formats.actions.Action.parse": TRIED + "Grammar.parse",
    "xlam_lib.data.formats.chat.StepBuilder.assistant": KEPT,
    "xlam_lib.data.formats.chat.StepBuilder.result": KEPT,
    "xlam_lib.data.formats.chat.StepBuilder.user": KEPT,
    "xlam_lib.data.formats.chats.results.with_words": PARTS,
    "xlam_lib.data.formats.dialects.bodies.end_of_turn": TRIED + "split_calls",
    "xlam_lib.data.formats.dialects.bodies.may_go_on": TRIED + "split_calls",
    "xlam_lib.data.formats.episodes.Episode.act": TRIED + "parse_loosely",
    "xlam_lib.data.formats.episodes.Episode.user": KEPT,
    "xlam_lib.data.formats.native_actions.ActionBuilder.no_call": KEPT,
    "xlam_lib.data.formats.transcripts.line_numbers": TRIED + "split of the sources that are texts",
    "xlam_lib.data.formats.turn_layouts.Exchange.agent": TRIED + "Dialect.parse",
    "xlam_lib.data.formats.turn_layouts.Exchange.environment": "searches for an expression, which is tried",
    "xlam_lib.data.formats.turn_layouts.Exchange.user": KEPT,
    "xlam_lib.data.formats.turn_layouts.Form.match": TRIED + "Dialect.parse",
    "xlam_lib.data.formats.turn_layouts.literal": PARTS,
    "xlam_lib.data.pipeline.near.Words.sent_tokenize": PARTS,
    "xlam_lib.data.pipeline.near.Words.span_tokenize": TRIED + "Words.word_tokenize, in effect",
    "xlam_lib.data.wordlists.words": PARTS,
    "xlam_lib.journal.fingerprint": KEPT,
    "xlam_lib.models.templates.rendered": "renders in a process of its own, with a time limit",
    "xlam_lib.serve.api.responses.chat_choice": TRIED + "read_message",
    "xlam_lib.serve.choices.choice_as_written": KEPT,
    "xlam_lib.serve.choices.choice_of_text": TRIED + "read_message",
    "xlam_lib.serve.exchange.Exchange.read": TRIED + "read_message",
    "xlam_lib.serve.messages.whole_text": KEPT,
    "xlam_lib.train.rl.rewards.graded": TRIED + "heldout.grade",
    "xlam_lib.views.to_trl_row": KEPT,
}
