"""The chat template of our checkpoints: messages and tools rendered into exactly the prompt that `codec.py` writes.

A checkpoint that carries it can be served to any OpenAI client. The text of one turn is

    before + "\\n" + prompt + after + "\\n" + answer + eos

`chat_template` says this in Jinja, for transformers and vLLM; `model_prompt` and `model_text` say it in Python, for
training; `wrapper_of` finds `before` and `after` in a checkpoint's template. Used by notebooks 02 to 05:
`tokenizer.chat_template = chat_template(BRIEF_STYLE)`. As in the codec, a tool's result enters the history as the JSON
string of its text. The arguments of past calls may be objects, or JSON text, which is copied as it stands. All system
messages, late ones, too, make the task instruction, a blank line between them (`serve/messages.py` says why).

Without `add_generation_prompt` a last assistant message stands behind the prompt as the answer, with the EOS token and
between generation marks, so that a trainer which learns from what the assistant says (trl's `assistant_only_loss`)
finds it. A conversation that ends otherwise has no answer: nothing in it is learnt.
"""

from __future__ import annotations

import json
import re

from xlam_lib.codec import BLOCK_MARKS, SEED_STYLE, PromptStyle
from xlam_lib.json_schema.references import DATA, ESCAPES, MAX_WRITTEN, TABLES

BEFORE, AFTER = "<|user|>", "<|assistant|>"

_BEGIN, _END = (mark.format("' ~ name ~ '") for mark in BLOCK_MARKS)  # as Jinja joins them, within quotes
_SOURCE = r"""
{#- The text of a message: null counts as empty, lists of parts are refused. -#}
{%- macro text(message) -%}
  {%- if message.content is string -%}
    {{- message.content -}}
  {%- elif message.content -%}
    {{- raise_exception('the content of a ' ~ message.role ~ ' message must be text') -}}
  {%- endif -%}
{%- endmacro -%}

{#- Parameters, their references written out as `json_schema/references.py` does: refs.left says that one can't be. -#}
{%- set refs = namespace(left=false, written=0) -%}
{%- macro pointed(value, root, inside) -%}
  {%- set reference = value['$ref'] -%}
  {%- set refs.written = refs.written + 1 -%}
  {%- set local = (reference ~ '/').startswith('#/') and reference not in inside and refs.written <= MAX_WRITTEN -%}
  {%- set to = namespace(value=root if local else none, name='') -%}
  {%- for part in reference.split('/')[1:] -%}
    {%- set to.name = part -%}
    {%- for escape, sign in ESCAPES -%}
      {%- set to.name = to.name | replace(escape, sign) -%}
    {%- endfor -%}
    {%- if to.value is mapping -%}
      {%- set to.value = to.value[to.name] if to.name in to.value else none -%}
    {%- elif to.value is sequence and to.value is not string and to.name.isdigit() -%}
      {%- set to.value = to.value[to.name | int] if to.name | int < to.value | length else none -%}
    {%- else -%}
      {%- set to.value = none -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if to.value is mapping or to.value is boolean -%}
    {%- for key, item in value.items() if key != '$ref' -%}
      {%- set to.value = dict(to.value if to.value is mapping else {}, **{key: item}) -%}
    {%- endfor -%}
    {{- caller(to.value, inside + [reference]) -}}
  {%- else -%}
    {%- set refs.left = true -%}
  {%- endif -%}
{%- endmacro -%}

{%- macro schema(value, root, inside, mark=false, required=false) -%}
  {%- if refs.left -%}
  {%- elif value is mapping and value['$ref'] is string -%}
    {%- call(target, within) pointed(value, root, inside) -%}
      {{- schema(target, root, within, mark, required) -}}
    {%- endcall -%}
  {%- elif value is mapping -%}
    {{- '{' -}}
    {%- for key, item in value.items() if not (mark and key == 'required') -%}
      {{- (', ' if not loop.first) ~ (key | tojson) ~ ': ' -}}
      {%- if key in TABLES and item is mapping -%}
        {{- table(item, root, inside, mark and key == 'properties', value['required'] or []) -}}
      {%- elif mark and key == 'properties' -%}
        {{- '{}' -}}
      {%- else -%}
        {{- (item | tojson) if key in DATA or key in TABLES else schema(item, root, inside) -}}
      {%- endif -%}
    {%- endfor -%}
    {%- if mark -%}
      {{- (', ' if value.keys() | reject('equalto', 'required') | list) ~ '"required": ' ~ (required | tojson) -}}
    {%- endif -%}
    {{- '}' -}}
  {%- elif value is sequence and value is not string -%}
    {{- '[' -}}
    {%- for item in value -%}
      {{- (', ' if not loop.first) ~ schema(item, root, inside) -}}
    {%- endfor -%}
    {{- ']' -}}
  {%- else -%}
    {{- value | tojson -}}
  {%- endif -%}
{%- endmacro -%}

{%- macro table(schemas, root, inside, mark, required) -%}
  {{- '{' -}}
  {%- for name, value in schemas.items() -%}
    {{- (', ' if not loop.first) ~ (name | tojson) ~ ': ' -}}
    {{- schema(value, root, inside, mark, name in required) -}}
  {%- endfor -%}
  {{- '}' -}}
{%- endmacro -%}

{#- The properties of a JSON Schema; with mark_required, each of them says whether it is required. -#}
{%- macro properties(value, root, inside) -%}
  {%- if value is mapping and value['$ref'] is string -%}
    {%- call(target, within) pointed(value, root, inside) -%}
      {{- properties(target, root, within) -}}
    {%- endcall -%}
  {%- elif not value['properties'] and (value['allOf'] or value['anyOf'] or value['oneOf']) -%}
    {%- set refs.left = true -%}
  {%- elif mark_required or '$ref' in (root | tojson) -%}
    {{- table(value['properties'] or {}, root, inside, mark_required, value['required'] or []) -}}
  {%- else -%}
    {{- (value['properties'] or {}) | tojson -}}
  {%- endif -%}
{%- endmacro -%}

{%- macro parameters(given) -%}
  {%- set refs.left = false -%}
  {%- set refs.written = 0 -%}
  {%- set written = properties(given, given, []) -%}
  {%- set whole = given if given['type'] is string else dict({'type': 'object'}, **given) -%}
  {{- (whole | tojson) if refs.left else written -}}
{%- endmacro -%}

{%- macro tool(given) -%}
  {%- set tool = given.function or given -%}
  {{- '{"name": ' ~ (tool.name | tojson) ~ ', "description": ' ~ ((tool.description or '') | tojson) -}}
  {{- ', "parameters": ' ~ parameters(tool.parameters or {}) ~ '}' -}}
{%- endmacro -%}

{#- What an assistant message says: thought and calls, without the braces around them. -#}
{%- macro said(message) -%}
  {%- set reasoning = message.reasoning or message.reasoning_content or '' -%}
  {%- set content = text(message) -%}
  {%- set thought = reasoning ~ ('\n' if reasoning and content else '') ~ content -%}
  {{- '"thought": ' ~ (thought | tojson) ~ ', "tool_calls": [' -}}
  {%- for given in message.tool_calls or [] -%}
    {%- set call = given.function or given -%}
    {%- set arguments = call.arguments or {} -%}
    {{- (', ' if not loop.first) ~ '{"name": ' ~ (call.name | tojson) ~ ', "arguments": ' -}}
    {{- (arguments if arguments is string else (arguments | tojson)) ~ '}' -}}
  {%- endfor -%}
  {{- ']' -}}
{%- endmacro -%}

{#- The results of a turn's calls: none, the text of the only one, or those of several in the order of the calls. -#}
{%- macro observation(calls, results) -%}
  {%- set found = namespace(rows=[], ids=[]) -%}
  {%- for call in calls -%}
    {%- set found.ids = found.ids + [call.id] -%}
    {%- for result in results if result.tool_call_id and result.tool_call_id == call.id -%}
      {%- set name = result.name or (call.function or call).name -%}
      {%- set found.rows = found.rows + [{'name': name, 'content': text(result)}] -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- for result in results if not result.tool_call_id or result.tool_call_id not in found.ids -%}
    {%- set found.rows = found.rows + [{'name': result.name or '', 'content': text(result)}] -%}
  {%- endfor -%}
  {%- set several = results and (results | length > 1 or calls | length > 1) -%}
  {{- (found.rows if several else text(results[0]) if results else '') | tojson -}}
{%- endmacro -%}

{%- macro block(name, text) -%}
  {{- 'BEGIN_MARK\n' ~ text ~ '\nEND_MARK\n' -}}
{%- endmacro -%}

{#- Sort the messages: the task, the query, and turns with what came after them; a last answer stands outside. -#}
{%- set answer = messages[-1] if messages[-1].role == 'assistant' and not add_generation_prompt else none -%}
{%- set read = namespace(task=[], query=[], turns=[]) -%}
{%- for message in (messages[:-1] if answer else messages) -%}
  {%- if message.role in ['system', 'developer'] -%}
    {%- set read.task = read.task + ([text(message)] if text(message) else []) -%}
  {%- elif message.role == 'assistant' -%}
    {%- set read.turns = read.turns + [{'message': message, 'results': [], 'inputs': []}] -%}
  {%- elif message.role == 'user' and not read.turns -%}
    {%- set read.query = read.query + [text(message)] -%}
  {%- elif message.role == 'user' -%}
    {%- set turn = read.turns[-1] -%}
    {%- set read.turns = read.turns[:-1] + [dict(turn, inputs=turn.inputs + [text(message)])] -%}
  {%- elif message.role == 'tool' and read.turns -%}
    {%- set turn = read.turns[-1] -%}
    {%- set read.turns = read.turns[:-1] + [dict(turn, results=turn.results + [message])] -%}
  {%- else -%}
    {{- raise_exception('message ' ~ loop.index0 ~ ' cannot have the role ' ~ message.role ~ ' in its place') -}}
  {%- endif -%}
{%- endfor -%}

{#- Write them down. -#}
{%- set tool_list -%}
  {{- '[' -}}
  {%- for given in tools or [] -%}
    {{- (', ' if not loop.first) ~ tool(given) -}}
  {%- endfor -%}
  {{- ']' -}}
{%- endset -%}
{{- before ~ '\n' -}}
{{- block('TASK INSTRUCTION', read.task | join('\n\n') or task_instruction) ~ '\n' -}}
{{- block('AVAILABLE TOOLS', tool_list) ~ '\n' -}}
{{- block('FORMAT INSTRUCTION', format_instruction) ~ '\n' -}}
{{- block('QUERY', read.query | join('\n')) ~ '\n' -}}
{%- if read.turns -%}
  {%- set history -%}
    {{- '[' -}}
    {%- for turn in read.turns -%}
      {{- (', ' if not loop.first) ~ '{"step_id": ' ~ loop.index ~ ', ' ~ said(turn.message) -}}
      {{- ', "next_observation": ' ~ observation(turn.message.tool_calls or [], turn.results) -}}
      {{- (', "user_input": ' ~ (turn.inputs | join('\n') | tojson)) if turn.inputs -}}
      {{- '}' -}}
    {%- endfor -%}
    {{- ']' -}}
  {%- endset -%}
  {{- '\n' ~ block('HISTORY STEPS', history) -}}
{%- endif -%}
{%- if add_generation_prompt or answer -%}
  {{- after ~ '\n' -}}
{%- endif -%}
{%- if answer -%}
  {% generation %}{{- '{' ~ said(answer) ~ '}' ~ eos_token -}}{% endgeneration %}
{%- endif -%}
"""
_NAMES = {"BEGIN_MARK": _BEGIN, "END_MARK": _END, "MAX_WRITTEN": str(MAX_WRITTEN)}
_NAMES |= {"ESCAPES": json.dumps(ESCAPES), "TABLES": json.dumps(TABLES), "DATA": json.dumps(DATA)}
_BODY = re.sub("|".join(_NAMES), lambda found: _NAMES[found[0]], _SOURCE)


def chat_template(style: PromptStyle = SEED_STYLE, before: str = BEFORE, after: str = AFTER) -> str:
    """Jinja source for `tokenizer.chat_template`; system messages take the place of the style's task instruction.

    Example: `chat_template(BRIEF_STYLE, "<|im_start|>user", "<|im_end|>\\n<|im_start|>assistant")`
    """
    if style.observations != "text":
        raise ValueError(f"observations is {style.observations!r}: a chat template can't parse JSON, it needs 'text'")
    settings = {
        "before": before,
        "after": after,
        "task_instruction": style.task_instruction,
        "format_instruction": style.format_instruction,
        "mark_required": style.mark_required,
    }
    head = (f"{{%- set {name} = {json.dumps(value, ensure_ascii=False)} -%}}\n" for name, value in settings.items())
    return "".join(head) + _BODY.strip()


def model_prompt(prompt: str, before: str = BEFORE, after: str = AFTER) -> str:
    """What a model reads of one turn, from a prompt of `codec.render_prompt`: '<|user|>\\n...<|assistant|>\\n'."""
    return f"{before}\n{prompt}{after}\n"


def model_text(prompt: str, answer: str, eos: str, before: str = BEFORE, after: str = AFTER) -> str:
    """The whole text of one turn: '<|user|>\\n...<|assistant|>\\n{"thought": ...}<|end|>'."""
    return model_prompt(prompt, before, after) + answer + eos


def wrapper_of(template: str) -> tuple[str, str]:
    """(before, after) of a template that `chat_template` made: ('<|user|>', '<|assistant|>')."""
    found = re.match(r"\{%- set before = (.+) -%\}\n\{%- set after = (.+) -%\}\n", template)
    try:
        wrapper = tuple(json.loads(found[number]) for number in (1, 2)) if found else ()
    except RecursionError:
        wrapper = ()
    if not wrapper or not all(isinstance(text, str) for text in wrapper):
        raise ValueError("this chat template was not made by xlam_lib.chat_template; its wrapper can't be known")
    return wrapper


def template_style(template: str) -> tuple[PromptStyle, str, str] | None:
    """(style, before, after) of a template that `chat_template` made, to the last byte; None for any other.

    Example: `template_style(chat_template(BRIEF_STYLE))` -> (BRIEF_STYLE, '<|user|>', '<|assistant|>')
    """
    if not template.endswith(_BODY.strip()):
        return None
    found = dict(re.findall(r"^\{%- set (\w+) = (.+) -%\}$", template[: -len(_BODY.strip())], re.M))
    try:
        settings = {name: json.loads(value) for name, value in found.items()}
        before, after = settings.pop("before"), settings.pop("after")
        style = PromptStyle(**settings)
        texts = (before, after, style.task_instruction, style.format_instruction)
        same = chat_template(style, before, after) == template and all(isinstance(text, str) for text in texts)
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return (style, before, after) if same and isinstance(style.mark_required, bool) else None
