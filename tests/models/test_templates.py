"""Chat templates of strangers: rendered as transformers does, and ended where they don't end themselves."""

import json
import sys
import time

import pytest

from xlam_lib.chat_template import chat_template, wrapper_of
from xlam_lib.codec import STYLES
from xlam_lib.models import templates
from xlam_lib.models.templates import TemplateFailed, rendered, template_of

CHAT = [{"role": "user", "content": "Weather in Oslo?"}, {"role": "assistant", "content": "It is cold."}]
LOOP = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"
ATTACKS = {
    "loops in loops": (LOOP, "more than 1 seconds of processor time"),
    "a macro that calls itself twice": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}",
        "more than 1 seconds of processor time",
    ),
    "a macro that calls itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "a large power": ("{{ 9 ** (9 ** 9) }}", "processor time|memory"),
    "a large number as text": ("{{ 9 ** 9999 }}", "Exceeds the limit"),
    "a text that doubles": (
        "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
        "memory|characters",
    ),
    "a text many times": ("{{ 'x' * 10 ** 12 }}", "memory"),
    "a list many times": ("{{ ([0] * 10 ** 10) | length }}", "memory"),
    "a wide text": ("{{ 'x' | center(10 ** 11) }}", "memory"),
    "a wide format": ("{{ '%100000000000d' % 1 }}", "memory|too"),
    "a long range": ("{{ range(10 ** 9) | list | length }}", "too big"),
    "much text": ("{% for i in range(3000) %}{{ 'x' * 10000 }}{% endfor %}", "writes more than"),
    "a filter that sorts for long": ("{{ ((range(99999) | list) * 999) | sort | length }}", "processor time|memory"),
    "attributes of Python": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "attributes through a filter": ("{{ (messages | attr('__class__')).__base__ }}", "unsafe|undefined"),
    "the code of a function": ("{{ raise_exception.__globals__['os'] }}", "unsafe"),
    "a format that reads attributes": ("{{ '{0.__class__.__mro__[1]}'.format(messages) }}", "unsafe|undefined"),
    "another file": ("{% include '/etc/passwd' %}", "loader"),
    "an import": ("{% import 'os' as os %}{{ os }}", "loader"),
    "a change of its input": ("{{ messages.append(1) }}", "unsafe"),
    "deep brackets": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "recursion|nested|memory|ended"),
    "its own error": ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
    "no template": ("{{ messages[", "unexpected"),
    "nothing there": ("{{ messages[7].content.x }}", "undefined|no element"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_in_one_error(name):
    template, words = ATTACKS[name]
    began = time.monotonic()
    with pytest.raises(TemplateFailed, match=f"(?i){words}") as raised:
        print(rendered(template, [CHAT], seconds=1)[0].text[:300])
    assert time.monotonic() - began < 30 and len(str(raised.value)) < 1200


def test_the_conversation_that_failed_is_named():
    template = "{% if messages | length > 1 %}{{ raise_exception('too many') }}{% endif %}"
    with pytest.raises(TemplateFailed, match="too many") as raised:
        rendered(template, [CHAT[:1], CHAT[:1], CHAT])
    assert raised.value.number == 2


def test_what_is_not_plain_is_refused():
    with pytest.raises(TemplateFailed, match="plain JSON"):
        rendered("x", [CHAT], tools=[object()])


def test_the_child_knows_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("XLAM_API_KEY", "secret")
    seen = []
    monkeypatch.setattr(
        templates.processes, "Child", lambda line, env, **_: seen.append((line, env)) or pytest.skip.Exception
    )
    with pytest.raises((TypeError, AttributeError)):
        rendered("x", [CHAT])
    ((line, env),) = seen
    assert line[0] == sys.executable and "XLAM_API_KEY" not in env and set(env) == {"PYTHONPATH", "PYTHONUNBUFFERED"}


def test_one_child_writes_many_conversations():
    began = time.monotonic()
    made = rendered("{{ messages[0].content }}", [[{"role": "user", "content": f"{n}"}] for n in range(2000)])
    assert [one.text for one in made] == [str(n) for n in range(2000)] and time.monotonic() - began < 20


@pytest.mark.parametrize("head", ["[" * 100_000, "5", "{}", "[1", "null"])
def test_a_template_that_looks_like_ours(head):
    with pytest.raises(ValueError, match="was not made by xlam_lib|Expecting|Extra"):
        wrapper_of(f"{{%- set before = {head} -%}}\n{{%- set after = {head} -%}}\n" + LOOP)


def test_several_templates():
    class Tokenizer:
        chat_template = {"default": "a", "tool_use": "b"}

    assert template_of(Tokenizer) == "a"
    Tokenizer.chat_template = {"tool_use": "b"}
    assert template_of(Tokenizer) == ""


TEMPLATES = {
    "ours": chat_template(STYLES["brief"]),
    "marks": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
    "{% endgeneration %}{% else %}<{{ m.role }}>{{ m.content }}{% endif %}\n{% endfor %}",
    "white space": "  {% for m in messages %}\n  {%- if loop.first %}{% continue %}{% endif %}\n"
    "{{ m | tojson(indent=1) }}\n  {% endfor %}\n",
    "tools": "{{ tools | tojson }}{% for t in tools %}{{ t.function.name }}{% break %}{% endfor %}{{ bos_token }}",
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_writes_what_transformers_writes(name):
    from transformers.utils.chat_template_utils import render_jinja_template

    tools = [{"type": "function", "function": {"name": "f", "description": "é <b>", "parameters": {"type": "object"}}}]
    chats = [CHAT, [*CHAT, {"role": "user", "content": "ünïcode <&>"}, {"role": "assistant", "content": "ok\n"}]]
    given = {"tools": tools, "add_generation_prompt": False, "eos_token": "</s>", "bos_token": "<s>"}
    marks = "generation" in TEMPLATES[name]
    texts, places = render_jinja_template(
        chats, chat_template=TEMPLATES[name], return_assistant_tokens_mask=marks, **given
    )
    made = rendered(TEMPLATES[name], chats, **given)
    assert [one.text for one in made] == texts
    if marks:
        assert [list(map(list, one.marked)) for one in made] == json.loads(json.dumps(places))
