"""Chat templates rendered as transformers and vLLM render them."""

from xlam_lib.chat_template import chat_template
from xlam_lib.codec import STYLES

EOS = "<|end|>"


def render(messages, tools=None, style=STYLES["seed"], generate=True, **wrapper) -> str:
    """What `tokenizer.apply_chat_template(..., tokenize=False)` gives."""
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, _ = render_jinja_template(
        [messages],
        tools=tools,
        chat_template=chat_template(style, **wrapper),
        add_generation_prompt=generate,
        eos_token=EOS,
    )
    return rendered[0]
